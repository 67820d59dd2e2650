import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, ROOT } from './install.mjs';

// `npm start`: makes everything ready and becomes `tidemark up --sample`.
prepare();
process.argv.splice(
  1,
  Infinity,
  join(ROOT, 'tools/cli/dist/main.js'),
  'up',
  '--sample',
  ...process.argv.slice(2),
);
await import(pathToFileURL(process.argv[1]).href);

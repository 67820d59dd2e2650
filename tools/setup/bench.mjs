import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, ROOT } from './install.mjs';

// `npm run bench`: makes everything ready and becomes the benchmark.
prepare();
process.argv[1] = join(ROOT, 'tools/bench/dist/main.js');
await import(pathToFileURL(process.argv[1]).href);

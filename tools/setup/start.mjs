import { join } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import { pathToFileURL } from 'node:url';
import { prepare, ROOT } from './install.mjs';

// `npm start`: makes everything ready and becomes `tidemark up --sample`.
const parent = process.ppid;
prepare();
// A SIGTERM to npm ends npm and its shell and is not passed on: a parent that is gone means the same.
if (process.env['npm_lifecycle_event'] !== undefined) {
  const watch = setInterval(() => {
    if (process.ppid !== parent) {
      clearInterval(watch);
      process.kill(process.pid, 'SIGTERM');
    }
  }, 500);
  watch.unref();
}
process.argv.splice(
  1,
  Infinity,
  join(ROOT, 'tools/cli/dist/main.js'),
  'up',
  '--sample',
  ...process.argv.slice(2),
);
await import(pathToFileURL(process.argv[1]).href);

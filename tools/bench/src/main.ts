import { isTidemarkError } from '@tidemark/model';
import { readOptions, USAGE } from './options.js';
import { reportOf } from './report.js';
import { runScenario } from './scenario.js';

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());

process.exitCode = await main();
// What was interrupted may still wait for something; the services end with this process.
if (interrupted.signal.aborted) process.exit();

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    console.error(USAGE);
    return 2;
  }
  try {
    const say = (line: string) => console.error(line);
    const figures = await runScenario(options, { env: process.env, say, signal: interrupted.signal });
    console.log(options.json ? JSON.stringify(figures) : reportOf(figures));
    return 0;
  } catch (error) {
    if (interrupted.signal.aborted) console.error('interrupted');
    else console.error(isTidemarkError(error) ? error.message : error);
    return 1;
  }
}

import { parseArgs } from 'node:util';
import { isTidemarkError } from '@tidemark/model';
import { runScenario, type Figures } from './scenario.js';

const USAGE =
  'usage: npm run bench -- [--records N] [--json]   (N from 1,000 to 10,000,000; default 100,000)';

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());

process.exitCode = await main();

async function main(): Promise<number> {
  const options = readOptions();
  if (options === undefined) {
    console.error(USAGE);
    return 2;
  }
  try {
    const say = (line: string) => console.error(line);
    const figures = await runScenario({
      records: options.records,
      env: process.env,
      say,
      signal: interrupted.signal,
    });
    console.log(options.json ? JSON.stringify(figures) : table(figures));
    return 0;
  } catch (error) {
    console.error(isTidemarkError(error) ? error.message : error);
    return 1;
  }
}

function readOptions(): { records: number; json: boolean } | undefined {
  try {
    const { values } = parseArgs({
      options: { records: { type: 'string', default: '100000' }, json: { type: 'boolean', default: false } },
    });
    const records = Number(values.records);
    const fits = Number.isInteger(records) && records >= 1_000 && records <= 10_000_000;
    return fits ? { records, json: values.json } : undefined;
  } catch {
    return undefined; // an option that is not known: the usage says which are
  }
}

function table(figures: Figures): string {
  const { ratios } = figures;
  const line = (what: string, rate: number, note = '') =>
    `${what.padEnd(34)}${rate.toLocaleString('en').padStart(10)} records/s  ${note}`;
  const peaks = Object.entries(figures.peakMemoryMb).map(([name, mb]) => `${name} ${mb ?? '?'} MB`);
  return [
    `${figures.records.toLocaleString('en')} employees of about 0.8 KB, every service a process of its own`,
    '',
    line('raw: parse and insert', figures.rawInsert),
    line('raw: scan, decoded', figures.rawScan),
    line('first sync', figures.firstSync, `${ratios.firstSync} x raw insert`),
    line('identical re-sync', figures.identicalSync, `${ratios.identicalSync} x raw insert`),
    line('re-sync, 2 % of it different', figures.changedSync, `${ratios.changedSync} x raw insert`),
    line(
      'read of those changes',
      figures.readChanges,
      `${figures.changedRecords} records in ${figures.readChangesMs} ms`,
    ),
    line(
      'full read through the gateway',
      figures.fullRead,
      `${ratios.fullRead} x raw scan; first page after ${figures.firstPageMs} ms`,
    ),
    line('  the same, payloads parsed', figures.fullReadParsed, `${ratios.fullReadParsed} x raw scan`),
    '',
    `peak memory: ${peaks.join(', ')}`,
  ].join('\n');
}

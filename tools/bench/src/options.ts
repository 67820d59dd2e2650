import { parseArgs } from 'node:util';

/** Parts of the benchmark that can be run alone. */
export const SECTIONS = [
  'sync',
  'read',
  'size',
  'overhead',
  'schedules',
  'latency',
  'watchers',
  'writers',
] as const;
export type Section = (typeof SECTIONS)[number];

/** What to run. */
export interface Options {
  readonly records: number;
  /** Connections whose syncs are due at once. */
  readonly connections: number;
  readonly json: boolean;
  readonly sections: ReadonlySet<Section>;
}

/** How to call the benchmark. */
export const USAGE = `usage: npm run bench -- [--records N] [--connections N] [--only SECTION,…] [--json]
  N from 1,000 to 10,000,000; default 100,000
  connections from 10 to 10,000; default 1,000
  sections: ${SECTIONS.join(', ')}; default all`;

/** Reads the arguments; undefined when they are not as the usage says. */
export function readOptions(args: readonly string[]): Options | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        records: { type: 'string', default: '100000' },
        connections: { type: 'string', default: '1000' },
        json: { type: 'boolean', default: false },
        only: { type: 'string', default: SECTIONS.join() },
      },
    });
    const records = Number(values.records);
    const connections = Number(values.connections);
    const fits = isWithin(records, 1_000, 10_000_000) && isWithin(connections, 10, 10_000);
    const names = values.only.split(',');
    const sections = SECTIONS.filter((section) => names.includes(section));
    const known = names.every((name) => sections.some((section) => section === name));
    return fits && known
      ? { records, connections, json: values.json, sections: new Set(sections) }
      : undefined;
  } catch {
    return undefined; // an option that is not known: the usage says which are
  }
}

function isWithin(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

import {
  SchemaInference,
  type ChangesTask,
  type Connector,
  type DiscoveredModel,
  type Reading,
  type ReadingEnd,
  type ReadTask,
  type Source,
  type SourceEntry,
} from '@tidemark/connector-kit';
import { TidemarkError, type JsonValue } from '@tidemark/model';
import { delay } from '@tidemark/runtime';
import { z } from 'zod';
import type { Change } from './deed.js';
import { strike } from './faults.js';
import type { Journal } from './journal.js';
import { toRecord, type LivingModel } from './living-model.js';
import type { LivingSource, ReadNote } from './living-source.js';

const config = z.strictObject({ source: z.string().min(1).describe('Names a source inside the process.') });
const credentials = z.strictObject({ token: z.string().optional() });
type Settings = Source<z.output<typeof config>, z.output<typeof credentials>>;

const place = z.object({ time: z.number(), id: z.string() });
const fullPosition = z.object({ after: z.string().optional(), page: z.int() });
/** A delta has its bounds from its start to its end: from and up to which change time it reads. */
const deltaPosition = z.object({ from: z.number(), to: z.number(), after: place.optional(), page: z.int() });
const deltaStart = z.object({ time: z.number() });

/** Where a page ends. */
type PageEnd = (last: Change | undefined, page: number) => JsonValue;
type NextPage = (last: Change | undefined) => Change[];

/** Reads living sources: full in order of id, deltas by change time, both bounds included. */
export class LivingConnector implements Connector<Settings['config'], Settings['credentials']> {
  readonly name = 'living';
  readonly description = 'Reads sources that change all the time and fail on demand.';
  readonly version = '0.1.0';
  readonly config = config;
  readonly credentials = credentials;

  constructor(private readonly journal: Journal) {}

  async check(settings: Settings): Promise<string[]> {
    this.open(settings);
    return [];
  }

  async discover(settings: Settings): Promise<DiscoveredModel[]> {
    const source = this.open(settings);
    return [...source.models]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, model]) => discovered(source, name, model));
  }

  async read(settings: Settings, { model, checkpoint }: ReadTask): Promise<Reading> {
    const source = this.open(settings);
    const start = fullPosition.parse(checkpoint ?? { page: 0 });
    const note = noteOf(model, 'FULL', checkpoint, undefined);
    const items = source.model(model);
    const next: NextPage = (last) => items.page(last?.id ?? start.after, source.behaviour.pageSize);
    const end: PageEnd = (last, page) => ({ ...(last === undefined ? {} : { after: last.id }), page });
    const entries = this.entries(source, { note, page: start.page, next, end }, settings.signal);
    const { delta } = source.behaviour;
    return { primaryKey: ['id'], entries, ...(delta ? { deltaCheckpoint: { time: source.now() } } : {}) };
  }

  async readChanges(settings: Settings, task: ChangesTask): Promise<Reading> {
    const source = this.open(settings);
    if (!source.behaviour.delta)
      throw new TidemarkError('FEATURE_UNSUPPORTED', 'this source offers no delta');
    const { model, checkpoint, overlapMs } = task;
    const note = noteOf(model, 'DELTA', checkpoint, overlapMs);
    const { from, to, after, page } = deltaBounds(source, task);
    const { pageSize, deltaDeletes } = source.behaviour;
    const items = source.model(model);
    const span = { from, to, deletes: deltaDeletes };
    const next: NextPage = (last) => items.changed(span, last ?? after, pageSize);
    const end: PageEnd = (last, number) => ({
      from,
      to,
      page: number,
      ...(last === undefined ? {} : { after: { time: last.time, id: last.id } }),
    });
    const entries = this.entries(source, { note, page, next, end }, settings.signal);
    return { primaryKey: ['id'], deltaCheckpoint: { time: to }, entries };
  }

  private async *entries(
    source: LivingSource,
    read: { readonly note: ReadNote; readonly page: number; readonly next: NextPage; readonly end: PageEnd },
    signal: AbortSignal,
  ): Reading['entries'] {
    const { note, next, end } = read;
    source.note(note);
    let last: Change | undefined;
    for (let page = read.page; ; page++) {
      await delay(source.behaviour.pageDelayMs, signal);
      const index = source.faultOf({ model: note.model, sync: note.sync, page });
      const fault = index === undefined ? undefined : source.faults[index];
      if (index !== undefined && fault !== undefined) {
        this.journal.do({ do: 'strike', source: source.name, fault: index });
        this.lose(source, note.model, fault.loses);
        const instead = yield* strike(fault, signal);
        if (instead !== undefined) return { ...instead, ...countOf(source, note) };
      }
      const items = next(last);
      note.pages++;
      last = items.at(-1);
      if (last === undefined)
        return { evidence: `page ${page} is empty`, failures: [], ...countOf(source, note) };
      yield items.map((item) => entryOf(item, page, end));
    }
  }

  private lose(source: LivingSource, model: string, ids: readonly string[]): void {
    const wishes = ids.map((id) => ({ id, deleted: true, agoMs: 0 }));
    const changes = source.next(model, wishes);
    if (changes.length > 0) this.journal.do({ do: 'change', source: source.name, model, changes });
  }

  private open({ config: { source: name }, credentials: { token } }: Settings): LivingSource {
    const source = this.journal.source(name);
    if (source.behaviour.token !== undefined && source.behaviour.token !== token)
      throw new TidemarkError('SOURCE_CREDENTIALS_REJECTED', 'the source refuses the token');
    return source;
  }
}

/**
 * A delta reads up to the source's time at its start: what changes while it reads is left for the next one, which starts at that
 * very time.
 */
function deltaBounds(
  source: LivingSource,
  { checkpoint, overlapMs }: ChangesTask,
): z.output<typeof deltaPosition> {
  const resumed = deltaPosition.safeParse(checkpoint);
  if (resumed.success) return resumed.data;
  const to = source.now();
  const start = deltaStart.safeParse(checkpoint);
  // From now: a span of time that holds nothing.
  if (!start.success) return { from: to + 1, to, page: 0 };
  return { from: start.data.time - Math.max(overlapMs ?? 0, source.behaviour.overlapMs), to, page: 0 };
}

function entryOf(item: Change, page: number, end: PageEnd): SourceEntry {
  return {
    value: toRecord(item),
    deleted: item.deleted,
    position: () => `page ${page}`,
    checkpoint: () => end(item, page + 1),
  };
}

/** What the source says at the end of a full read that it holds. */
function countOf({ behaviour, models }: LivingSource, { model, sync }: ReadNote): Partial<ReadingEnd> {
  if (!behaviour.counts || sync !== 'FULL') return {};
  return { expectedRecords: BigInt(models.get(model)?.ids().length ?? 0) };
}

function noteOf(
  model: string,
  sync: 'FULL' | 'DELTA',
  checkpoint: unknown,
  overlapMs: number | undefined,
): ReadNote {
  return {
    model,
    sync,
    checkpoint: checkpoint ?? null,
    overlapMs: overlapMs ?? null,
    startTime: Date.now(),
    pages: 0,
  };
}

function discovered({ behaviour }: LivingSource, name: string, model: LivingModel): DiscoveredModel {
  const inference = new SchemaInference();
  inference.add({ id: 'x', n: 1 });
  for (const item of model.page(undefined, 100)) inference.add(toRecord(item));
  const { delta, deltaDeletes } = behaviour;
  return {
    name,
    jsonSchema: inference.jsonSchema(name, ['id']),
    primaryKey: ['id'],
    delta,
    deltaDeletes: delta && deltaDeletes,
    sensitiveFields: [],
    indexFields: [],
    dependsOn: [],
    warnings: [],
  };
}

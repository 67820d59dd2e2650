import { beforeEach, describe, expect, it } from '@jest/globals';
import { SyncKind, type ReadRequest, type ReadResponse } from '@tidemark/contracts';
import { parseJson, TidemarkError, type JsonValue } from '@tidemark/model';
import { z } from 'zod';
import { ConnectorHandlers } from './connector-service.js';
import type { ChangesTask, Connector, Reading, ReadTask, SourceDelay, SourceEntry } from './connector.js';

const config = z.strictObject({ path: z.string().default('a') });
const credentials = z.strictObject({ token: z.string().optional() });
type Config = z.output<typeof config>;
type Step = string | SourceDelay | Error;

/** Gives the steps of its script, a batch each; a record that begins with `-` is gone. */
class ScriptConnector implements Connector<Config, z.output<typeof credentials>> {
  readonly name = 'script';
  readonly description = 'Reads a script.';
  readonly version = '1';
  readonly config = config;
  readonly credentials = credentials;
  steps: Step[] = [];
  bound = 100;
  tasks: (ReadTask | ChangesTask)[] = [];
  /** What the source says at the end, if it does. */
  last: number | undefined;

  async check() {
    return [];
  }

  async discover() {
    const shared = { jsonSchema: {}, primaryKey: ['id'], sensitiveFields: [], indexFields: [] };
    const model = { ...shared, dependsOn: [], warnings: [] };
    return [
      { ...model, name: 'm', delta: true, deltaDeletes: true },
      { ...model, name: 'n' },
    ];
  }

  async read(_: unknown, task: ReadTask): Promise<Reading> {
    return this.reading(task);
  }

  async readChanges(_: unknown, task: ChangesTask): Promise<Reading> {
    return this.reading(task);
  }

  private reading(task: ReadTask): Reading {
    this.tasks.push(task);
    const done = z.object({ step: z.int() }).safeParse(task.checkpoint);
    const entries = this.entries(done.success ? done.data.step : 0);
    return { primaryKey: ['id'], deltaCheckpoint: { bound: this.bound }, entries };
  }

  private async *entries(from: number): Reading['entries'] {
    for (const [index, step] of this.steps.entries()) {
      if (index < from) continue;
      if (step instanceof Error) throw step;
      yield typeof step === 'string' ? [entry(step, index)] : step;
    }
    return {
      evidence: 'the last step',
      failures: [],
      ...(this.last === undefined ? {} : { deltaCheckpoint: this.last }),
    };
  }
}

function entry(text: string, index: number): SourceEntry {
  const deleted = text.startsWith('-');
  const value = parseJson(deleted ? text.slice(1) : text);
  return {
    value,
    deleted,
    position: () => `step ${index}`,
    checkpoint: (): JsonValue => ({ step: index + 1 }),
  };
}

let connector: ScriptConnector;
beforeEach(() => {
  connector = new ScriptConnector();
});

const context = { signal: new AbortController().signal };
const none = new Uint8Array(0);

function request(given: Partial<ReadRequest> = {}): ReadRequest {
  return {
    settings: { config: none, credentials: none },
    model: 'm',
    kind: SyncKind.DELTA,
    checkpoint: none,
    fields: ['id', 'a'],
    fingerprintKey: Buffer.alloc(32, 1),
    pageRecords: 2,
    pageBytes: 100_000,
    overlap: undefined,
    ...given,
  };
}

async function read(given: Partial<ReadRequest> = {}) {
  const received: NonNullable<ReadResponse['message']>[] = [];
  let error: unknown;
  try {
    for await (const { message } of new ConnectorHandlers(connector).read(request(given), context)) {
      if (message !== undefined) received.push(message);
    }
  } catch (failure) {
    error = failure;
  }
  const pages = received.flatMap((message) => (message.$case === 'page' ? [message.value] : []));
  const end = received.flatMap((message) => (message.$case === 'end' ? [message.value] : []))[0];
  return { kinds: received.map(({ $case }) => $case), pages, end, error };
}

const isEmpty = (bytes: Uint8Array | undefined) => bytes?.length === 0;

describe('a delta', () => {
  it('gives records and deletes by id, and where the next one starts', async () => {
    connector.steps = ['{"id":1,"a":"x","b":"out of scope"}', '-{"id":2}', '-{"id":3,"a":"gone"}'];
    const { pages, end } = await read();
    const records = pages.flatMap((page) => page.records);
    expect(records.map(({ id, deleted, payload }) => [id, deleted, Buffer.from(payload).toString()])).toEqual(
      [
        ['1', false, '{"a":"x","id":1}'],
        ['2', true, ''],
        ['3', true, ''],
      ],
    );
    expect(records.map(({ fingerprint }) => fingerprint.length)).toEqual([16, 0, 0]);
    expect(end).toMatchObject({ endEvidence: 'the last step', failures: [] });
    connector.steps = [];
    await read({ checkpoint: end?.deltaCheckpoint ?? none });
    expect(connector.tasks.map(({ checkpoint }) => checkpoint)).toEqual([undefined, { bound: 100 }]);
  });

  it('puts a delete aside whose id cannot be read', async () => {
    connector.steps = ['-{"a":1}'];
    const { pages, end } = await read();
    expect(pages[0]?.rejected).toHaveLength(1);
    expect(end?.failures).toHaveLength(1);
  });

  it('goes over its overlap once, at its start', async () => {
    connector.steps = ['{"id":1}', '{"id":2}', '{"id":3}'];
    const overlap = { seconds: 90n, nanos: 500_000_000 };
    const { pages } = await read({ overlap });
    await read({ overlap, checkpoint: pages[0]?.checkpoint ?? none });
    await read({});
    expect(connector.tasks).toMatchObject([
      { overlapMs: 90_500 },
      { overlapMs: 0, checkpoint: { step: 2 } },
      { overlapMs: undefined },
    ]);
  });

  it('goes on under new credentials and another scope, but not for another source, model or key', async () => {
    const checkpoint = (await read()).end?.deltaCheckpoint ?? none;
    const rotated = { config: none, credentials: Buffer.from('{"token":"new"}') };
    expect((await read({ checkpoint, settings: rotated, fields: ['id'] })).error).toBeUndefined();
    const moved = { config: Buffer.from('{"path":"b"}'), credentials: none };
    for (const change of [
      { settings: moved },
      { model: 'n' },
      { kind: SyncKind.FULL },
      { fingerprintKey: Buffer.alloc(32, 2) },
    ]) {
      const { error } = await read({ checkpoint, ...change });
      expect(error).toMatchObject({ reason: 'SOURCE_CHANGED' });
    }
  });

  it('is offered for the models that discovery says so of', async () => {
    const { models } = await new ConnectorHandlers(connector).discover({ settings: undefined }, context);
    expect(models.map(({ capabilities }) => capabilities)).toEqual([
      { full: true, delta: true, webhook: false, deltaDeletes: true },
      { full: true, delta: false, webhook: false, deltaDeletes: false },
    ]);
  });

  it('is refused an overlap that is none', async () => {
    const { error } = await read({ overlap: { seconds: -1n, nanos: 0 } });
    expect(error).toMatchObject({ reason: 'REQUEST_INVALID', violations: [{ field: 'overlap' }] });
  });
});

describe('a full read of a model with deltas', () => {
  it('names the delta checkpoint taken before its first page, also when it is resumed later', async () => {
    connector.steps = ['{"id":1}', '{"id":2}', '{"id":3}'];
    const whole = await read({ kind: SyncKind.FULL, pageRecords: 1 });
    connector.bound = 200;
    const rest = await read({
      kind: SyncKind.FULL,
      pageRecords: 1,
      checkpoint: whole.pages[0]?.checkpoint ?? none,
    });
    const last = await read({ kind: SyncKind.FULL, checkpoint: rest.pages[0]?.checkpoint ?? none });
    expect(last.end?.deltaCheckpoint).toEqual(whole.end?.deltaCheckpoint);
    connector.tasks = [];
    await read({ checkpoint: last.end?.deltaCheckpoint ?? none });
    expect(connector.tasks).toMatchObject([{ checkpoint: { bound: 100 } }]);
  });

  it('lets what the source says at the end go first', async () => {
    connector.last = 7;
    const { end } = await read({ kind: SyncKind.FULL });
    await read({ checkpoint: end?.deltaCheckpoint ?? none });
    expect(connector.tasks.at(-1)?.checkpoint).toBe(7);
  });
});

describe('what was read', () => {
  it('goes out before the source is waited for', async () => {
    connector.steps = ['{"id":1}', { waitMs: 1_500, message: '429' }, '{"id":2}'];
    const { kinds, end } = await read();
    expect(kinds).toEqual(['page', 'wait', 'page', 'end']);
    expect(isEmpty(end?.deltaCheckpoint)).toBe(false);
  });

  it('goes out before a failure is told, so that it need not be read again', async () => {
    const failure = new TidemarkError('SOURCE_UNAVAILABLE', 'down');
    connector.steps = ['{"id":1}', '{"id":2}', '{"id":3}', failure, '{"id":4}'];
    const first = await read();
    expect(first.pages.map(({ records }) => records.map(({ id }) => id))).toEqual([['1', '2'], ['3']]);
    expect(first.error).toBe(failure);
    connector.steps[3] = '{"id":"now"}';
    const second = await read({ checkpoint: first.pages[1]?.checkpoint ?? none });
    expect(second.pages.flatMap(({ records }) => records.map(({ id }) => id))).toEqual(['now', '4']);
  });

  it('goes out as soon as its page is full', async () => {
    connector.steps = ['{"id":1}', '{"id":2}'];
    const stream = new ConnectorHandlers(connector).read(request({ pageRecords: 1 }), context);
    await stream.next();
    connector.steps.length = 1;
    await stream.next();
    expect((await stream.next()).done).toBe(true);
  });
});

import { beforeEach, describe, expect, it } from '@jest/globals';
import { RejectReason, SyncKind, type Page, type ReadRequest } from '@tidemark/contracts';
import {
  isTidemarkError,
  parseJson,
  RejectedRecordError,
  TidemarkError,
  type JsonValue,
} from '@tidemark/model';
import { z } from 'zod';
import type { Connector, Reading, ReadTask, SourceEntry } from './connector.js';
import { ConnectorHandlers } from './connector-service.js';

const config = z.strictObject({ rows: z.array(z.string()).default([]), batch: z.int().min(1).default(3) });
const credentials = z.strictObject({ token: z.string().min(8).optional() });
type Config = z.output<typeof config>;

/** Reads the rows that its config holds: a real connector whose source is at hand. */
class RowsConnector implements Connector<Config, z.output<typeof credentials>> {
  readonly name = 'rows';
  readonly description = 'Reads rows.';
  readonly version = '1';
  readonly config = config;
  readonly credentials = credentials;
  failure: Error | undefined;
  closed = 0;

  async check() {
    return ['all is wrong.'];
  }

  async discover() {
    const model = {
      name: 'm',
      jsonSchema: { type: 'object' },
      primaryKey: ['id'],
      sensitiveFields: ['ssn'],
      indexFields: ['id', 'city'],
      dependsOn: [],
      warnings: [],
    };
    return [model];
  }

  async read({ config: { rows, batch } }: { config: Config }, task: ReadTask): Promise<Reading> {
    const from = z.number().default(0).parse(task.checkpoint);
    return {
      primaryKey: ['id'],
      expectedRecords: BigInt(rows.length),
      entries: this.entries(rows, from, batch),
    };
  }

  private async *entries(rows: string[], from: number, size: number): Reading['entries'] {
    try {
      for (let at = from; at < rows.length; at += size) {
        yield rows.slice(at, at + size).map((row, i) => entry(row, at + i));
        if (this.failure !== undefined) throw this.failure;
      }
      return { evidence: 'the last row', failures: [] };
    } finally {
      this.closed++;
    }
  }
}

function entry(row: string, index: number): SourceEntry {
  const place = { position: () => `row ${index}`, checkpoint: (): JsonValue => index + 1 };
  return row.startsWith('!')
    ? {
        ...place,
        value: parseJson(row.slice(1)),
        fault: new RejectedRecordError('TYPE_MISMATCH', 'not a number'),
      }
    : { ...place, value: parseJson(row) };
}

let connector: RowsConnector;
let handlers: ConnectorHandlers<Config, unknown>;
beforeEach(() => {
  connector = new RowsConnector();
  handlers = new ConnectorHandlers(connector);
});

const context = { signal: new AbortController().signal };
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const settings = (rows: string[], batch = 3) => ({
  config: json({ rows, batch }),
  credentials: Buffer.alloc(0),
});

async function read(rows: string[], given: Partial<ReadRequest> = {}) {
  const request: ReadRequest = {
    settings: settings(rows),
    model: 'm',
    kind: SyncKind.FULL,
    checkpoint: Buffer.alloc(0),
    fields: ['id', 'a'],
    fingerprintKey: Buffer.alloc(32, 1),
    pageRecords: 2,
    pageBytes: 100_000,
    overlap: undefined,
    ...given,
  };
  const messages = [];
  for await (const { message } of handlers.read(request, context)) messages.push(message);
  const end = messages.pop();
  return {
    pages: messages.map((message) => message?.value as Page),
    end: end?.$case === 'end' ? end.value : undefined,
  };
}

const row = (id: number, size = 1) => JSON.stringify({ id, a: 'x'.repeat(size), ssn: 'secret' });

describe('read', () => {
  it('gives pages of canonical records in scope, each with a checkpoint, and the end', async () => {
    const { pages, end } = await read(['{"ssn":1,"a":1.10,"id":1}', row(2), row(3)]);
    expect(
      pages.map((page) => page.records.map((record) => [record.id, Buffer.from(record.payload).toString()])),
    ).toEqual([
      [
        ['1', '{"a":1.10,"id":1}'],
        ['2', '{"a":"x","id":2}'],
      ],
      [['3', '{"a":"x","id":3}']],
    ]);
    expect(pages[0]?.records[0]?.fingerprint).toHaveLength(16);
    expect(pages[0]?.expectedRecords).toBe(3n);
    expect(end).toMatchObject({ endEvidence: 'the last row', failures: [] });
    expect(connector.closed).toBe(1);
  });

  it('bounds pages by bytes, and gives a larger record a page of its own', async () => {
    const rows = [row(1, 300), row(2, 300), row(3, 2000), row(4, 300), row(5, 300), row(6, 300)];
    const { pages } = await read(rows, { pageBytes: 1000, pageRecords: 100 });
    expect(pages.map((page) => page.records.map(({ id }) => Number(id)))).toEqual([[1, 2], [3], [4, 5], [6]]);
  });

  it('resumes after each page, and remembers what it could not identify', async () => {
    const rows = [row(1), '{"a":1}', row(2), '!{"id":3}', row(4), '{"id":""}'];
    const whole = await read(rows, { pageRecords: 1 });
    expect(whole.end?.failures).toEqual([
      'the ids of 2 rejected entries could not be read, so it is unknown which records they were',
    ]);
    for (const [index, page] of whole.pages.entries()) {
      const rest = await read(rows, { pageRecords: 1, checkpoint: page.checkpoint });
      expect(rest.pages).toEqual(whole.pages.slice(index + 1));
      expect(rest.end).toEqual(whole.end);
    }
  });

  it('puts faulty records aside with their reason, position and readable id, never their content', async () => {
    const rows = [
      '!{"id":7,"a":"secret"}',
      '"secret"',
      `{"id":"${'i'.repeat(2000)}"}`,
      `{"id":8,"a":${'['.repeat(70)}${']'.repeat(70)}}`,
    ];
    const { pages } = await read(rows, { pageRecords: 10 });
    expect(
      pages[0]?.rejected.map(({ reason, position, id }) => [RejectReason[reason], position, id]),
    ).toEqual([
      ['TYPE_MISMATCH', 'row 0', '7'],
      ['ID_MISSING', 'row 1', undefined],
      ['TOO_LARGE', 'row 2', undefined],
      ['TOO_DEEP', 'row 3', '8'],
    ]);
    expect(JSON.stringify(pages[0]?.rejected)).not.toContain('secret');
  });

  it('closes the reading when the caller leaves', async () => {
    const request = {
      settings: settings(['{"id":1}', '{"id":2}'], 1),
      model: 'm',
      kind: SyncKind.FULL,
      checkpoint: Buffer.alloc(0),
    };
    const stream = handlers.read(
      {
        ...request,
        fields: [],
        fingerprintKey: Buffer.alloc(32),
        pageRecords: 1,
        pageBytes: 1,
        overlap: undefined,
      },
      context,
    );
    await stream.next();
    await stream.return(undefined);
    expect(connector.closed).toBe(1);
  });

  it('sorts what the source throws', async () => {
    connector.failure = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
    await expect(read([row(1)])).rejects.toMatchObject({ reason: 'SOURCE_UNAVAILABLE' });
    connector.failure = new TidemarkError('SOURCE_GONE', 'gone');
    await expect(read([row(1)])).rejects.toBe(connector.failure);
    connector.failure = new TypeError('a bug');
    await expect(read([row(1)])).rejects.toBe(connector.failure);
  });

  it('lists every fault of a request', async () => {
    const faulty = { model: '', fingerprintKey: Buffer.alloc(3), pageRecords: 0, pageBytes: 2 ** 30 };
    const error = await read([], faulty).catch((failure: unknown) => failure);
    expect(isTidemarkError(error, 'REQUEST_INVALID') && error.violations.map(({ field }) => field)).toEqual([
      'model',
      'fingerprint_key',
      'page_records',
      'page_bytes',
    ]);
  });

  it('refuses a checkpoint of other settings, models or scopes', async () => {
    const { pages } = await read([row(1), row(2), row(3)]);
    const checkpoint = pages[0]?.checkpoint ?? Buffer.alloc(0);
    await expect(read([row(1), row(2)], { checkpoint })).rejects.toMatchObject({ reason: 'SOURCE_CHANGED' });
    const other = [{ model: 'n' }, { fields: ['id'] }, { fingerprintKey: Buffer.alloc(32, 2) }];
    for (const change of other) {
      await expect(read([row(1), row(2), row(3)], { checkpoint, ...change })).rejects.toMatchObject({
        reason: 'SOURCE_CHANGED',
      });
    }
    const sameScope = await read([row(1), row(2), row(3)], { checkpoint, fields: ['a', 'id'] });
    expect(sameScope.pages).toHaveLength(1);
  });
});

describe('settings', () => {
  it('are refused with every fault and no value', async () => {
    const faulty = {
      config: json({ rows: [7], batch: 0, more: 'secret' }),
      credentials: json({ token: 'secret' }),
    };
    const error = await handlers.check({ settings: faulty }, context).catch((failure: unknown) => failure);
    expect(isTidemarkError(error, 'SOURCE_CONFIG_INVALID')).toBe(true);
    const { violations, message } = error as TidemarkError;
    expect(violations.map(({ field }) => field)).toEqual([
      'config.rows.0',
      'config.batch',
      'config',
      'credentials.token',
    ]);
    expect(message).not.toContain('secret');
  });

  it.each(['[]', '7', '{"rows":', 'null'])('are no JSON object: %s', async (text) => {
    const faulty = { config: Buffer.from(text), credentials: Buffer.alloc(0) };
    await expect(handlers.discover({ settings: faulty }, context)).rejects.toMatchObject({
      reason: 'SOURCE_CONFIG_INVALID',
      violations: [{ field: 'config', description: 'is no JSON object' }],
    });
  });
});

describe('the other calls', () => {
  it('describe, check and discover', async () => {
    const description = await handlers.describe();
    expect(JSON.parse(Buffer.from(description.configSchema).toString())).toMatchObject({
      type: 'object',
      properties: { batch: { type: 'integer' } },
    });
    expect(await handlers.check({ settings: undefined }, context)).toEqual({ problems: ['all is wrong.'] });
    const { models } = await handlers.discover({ settings: undefined }, context);
    expect(models).toMatchObject([
      { name: 'm', capabilities: { full: true, delta: false }, sensitiveFields: ['ssn'] },
    ]);
  });

  it('refuse what is not offered', async () => {
    await expect(read([], { kind: SyncKind.DELTA })).rejects.toMatchObject({ reason: 'FEATURE_UNSUPPORTED' });
    await expect(handlers.interpretWebhook()).rejects.toMatchObject({ reason: 'FEATURE_UNSUPPORTED' });
  });
});

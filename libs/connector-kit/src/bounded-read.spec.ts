import { describe, expect, it } from '@jest/globals';
import { SyncKind, type Page } from '@tidemark/contracts';
import type { JsonValue } from '@tidemark/model';
import { z } from 'zod';
import { ConnectorHandlers } from './connector-service.js';
import type { Connector, Reading, ReadTask, RequestMeter } from './connector.js';

const RECORDS = 10;

/** A source of which one request brings two records, or none where its data has a hole. */
class Source implements Connector {
  readonly name = 'counted';
  readonly description = 'Counts its requests.';
  readonly version = '1';
  readonly config = z.object({});
  readonly credentials = z.object({});
  requests = 0;

  constructor(
    private readonly isMetered: boolean,
    private readonly holes: readonly number[] = [],
  ) {}

  check = async () => [];
  discover = async () => [];

  async read(_source: unknown, task: ReadTask): Promise<Reading> {
    const from = z.number().default(0).parse(task.checkpoint);
    const meter = { requests: 0, isAtEnd: false };
    return {
      primaryKey: ['id'],
      entries: this.entries(from, meter),
      ...(this.isMetered ? { meter } : {}),
    };
  }

  private async *entries(
    from: number,
    meter: { -readonly [Key in keyof RequestMeter]: RequestMeter[Key] },
  ): Reading['entries'] {
    for (let at = from; at < RECORDS; at += 2) {
      this.requests++;
      meter.requests++;
      meter.isAtEnd = at + 2 >= RECORDS;
      const ids = this.holes.includes(at) ? [] : [at, at + 1];
      yield ids.map((id) => ({
        value: { id: String(id) },
        position: () => `record ${id}`,
        checkpoint: (): JsonValue => id + 1,
      }));
    }
    return { evidence: 'the last record', failures: [] };
  }
}

interface Part {
  readonly ids: string[];
  readonly requests: (number | undefined)[];
  readonly last: string | undefined;
}

/** Reads in as many calls as it takes. */
async function readAll(
  source: Source,
  maxRequests: number | undefined,
  pageRecords: number,
): Promise<Part[]> {
  const handlers = new ConnectorHandlers(source);
  const settings = { config: Buffer.from('{}'), credentials: new Uint8Array(0) };
  const parts: Part[] = [];
  let checkpoint: Uint8Array = new Uint8Array(0);
  while (parts.at(-1)?.last !== 'end') {
    const request = {
      ...{ settings, model: 'm', kind: SyncKind.FULL, checkpoint, fields: ['id'], overlap: undefined },
      ...{ fingerprintKey: Buffer.alloc(32, 1), pageRecords, pageBytes: 100_000, maxRequests },
    };
    const pages: Page[] = [];
    let last: string | undefined;
    for await (const { message } of handlers.read(request, { signal: new AbortController().signal })) {
      last = message?.$case;
      if (message?.$case === 'page') pages.push(message.value);
    }
    checkpoint = pages.at(-1)?.checkpoint ?? checkpoint;
    const ids = pages.flatMap(({ records }) => records.map(({ id }) => id));
    parts.push({ ids, requests: pages.map(({ requests }) => requests), last });
  }
  return parts;
}

const all = Array.from({ length: RECORDS }, (_, id) => String(id));

describe('a read with a bound on its requests', () => {
  it.each([1, 2, 3, 4, 5, 6])('makes at most %i and breaks off, and no request twice', async (most) => {
    const source = new Source(true);
    const parts = await readAll(source, most, 100);
    expect(parts.flatMap(({ ids }) => ids)).toEqual(all);
    expect(source.requests).toBe(RECORDS / 2);
    expect(parts).toHaveLength(Math.ceil(RECORDS / 2 / most));
    for (const { requests, last } of parts.slice(0, -1)) expect([requests, last]).toEqual([[most], 'more']);
  });

  it('tells the requests of each page', async () => {
    const [part] = await readAll(new Source(true), undefined, 3);
    expect(part?.requests).toEqual([2, 1, 2, 0]);
  });

  it('goes on until it has something to go on from', async () => {
    const parts = await readAll(new Source(true, [0, 2]), 1, 100);
    expect(parts.flatMap(({ ids }) => ids)).toEqual(all.slice(4));
    expect(parts[0]).toEqual({ ids: ['4', '5'], requests: [3], last: 'more' });
  });

  it('counts each page as one where the connector does not tell', async () => {
    const source = new Source(false);
    const parts = await readAll(source, 2, 3);
    expect(parts.map(({ ids, last }) => [ids.length, last])).toEqual([
      [6, 'more'],
      [4, 'end'],
    ]);
    expect(parts.flatMap(({ ids }) => ids)).toEqual(all);
  });
});

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ConnectorServiceDefinition, type ReadRequest, type ReadResponse } from '@tidemark/contracts';
import { TidemarkError } from '@tidemark/model';
import { bind, fastDefinition, startServer, type CallContext, type RpcServer } from '@tidemark/rpc';
import { createLogger } from '@tidemark/runtime';
import { Connectors } from './connectors.js';
import { SourceBreakers } from './source-breakers.js';

const TOKEN = 'a-token-of-at-least-32-characters';
const LIMITS = {
  ...{ timeoutMs: 60_000, volumeThreshold: 2, errorThresholdPercentage: 49 },
  ...{ resetTimeoutMs: 200, windowMs: 60_000 },
};
const settings = { config: new Uint8Array(0), credentials: new Uint8Array(0) };
const HR = { breaker: 'acme/hr', connector: 'http', settings };
const JOBS = { breaker: 'acme/jobs', connector: 'http', settings };
const request: ReadRequest = {
  ...{ settings, model: 'm', kind: 1, checkpoint: new Uint8Array(0), fields: [], overlap: undefined },
  ...{ fingerprintKey: new Uint8Array(32), pageRecords: 1, pageBytes: 1 },
};
const page: ReadResponse = {
  message: { $case: 'page', value: { records: [], rejected: [], checkpoint: new Uint8Array(0) } },
};
const never = new AbortController().signal;

let server: RpcServer | undefined;
let connectors: Connectors | undefined;
let source: (signal: AbortSignal) => AsyncGenerator<ReadResponse>;
let reads: number;
/** Settles when the connector learns that a read of it was cancelled. */
let cancelled: Promise<void>;

async function start(address = '127.0.0.1:0'): Promise<string> {
  let tell: () => void = () => undefined;
  cancelled = new Promise((resolve) => (tell = resolve));
  async function* read(_request: unknown, { signal }: CallContext): AsyncGenerator<ReadResponse> {
    reads++;
    signal.addEventListener('abort', tell, { once: true });
    yield* source(signal);
  }
  const methods = { read: ConnectorServiceDefinition.methods.read };
  const definition = fastDefinition({ ...ConnectorServiceDefinition, methods });
  const logger = createLogger({ service: 'test', level: 'error' });
  server = await startServer({ address, services: [bind(definition, { read })], logger });
  return server.address;
}

async function connect(limits = LIMITS): Promise<Connectors> {
  connectors = new Connectors(new Map([['http', await start()]]), TOKEN, new SourceBreakers(limits));
  return connectors;
}

async function readAll(of: Connectors, target = HR): Promise<number> {
  let pages = 0;
  for await (const _page of of.read(target, request, never)) pages++;
  return pages;
}

beforeEach(() => {
  reads = 0;
  source = async function* () {
    yield page;
  };
});
afterEach(async () => {
  connectors?.close();
  await server?.stop();
});

describe('a connector whose process dies', () => {
  test('is left alone by all of its connections until it answers again', async () => {
    const of = await connect();
    const address = server?.address ?? '';
    await server?.stop();
    const failed = new Set<string>();
    for (let call = 0; call < 20 && !failed.has('CIRCUIT_OPEN'); call++) {
      await readAll(of).catch((error: TidemarkError) => failed.add(error.reason));
    }
    expect(failed).toEqual(new Set(['SERVICE_UNAVAILABLE', 'CIRCUIT_OPEN']));
    await expect(readAll(of, JOBS)).rejects.toMatchObject({
      reason: 'CIRCUIT_OPEN',
      message: expect.stringContaining('connector http is down'),
    });
    expect(of.breakersOf(HR)).toMatchObject({ own: { state: 'closed' }, connectors: { state: 'open' } });
    await start(address);
    let pages = 0;
    while (pages === 0) {
      pages = await readAll(of, JOBS).catch(async (error: TidemarkError) => {
        await new Promise((resolve) => setTimeout(resolve, Math.min(error.retryAfterMs ?? 0, 50)));
        return 0;
      });
    }
    while (of.breakersOf(HR).connectors?.state !== 'closed')
      await new Promise((resolve) => setImmediate(resolve));
    expect(await readAll(of)).toBe(1);
  });
});

describe('a source that is down', () => {
  test('is left alone by its connection alone, however late in a read it fails', async () => {
    const of = await connect({ ...LIMITS, resetTimeoutMs: 60_000 });
    source = async function* () {
      yield page;
      throw new TidemarkError('SOURCE_UNAVAILABLE', 'the source is overloaded');
    };
    const failed = new Set<string>();
    for (let call = 0; call < 20 && !failed.has('CIRCUIT_OPEN'); call++) {
      await readAll(of).catch((error: TidemarkError) => failed.add(error.reason));
    }
    expect(failed).toEqual(new Set(['SOURCE_UNAVAILABLE', 'CIRCUIT_OPEN']));
    const before = reads;
    await expect(readAll(of)).rejects.toMatchObject({
      message: expect.stringContaining('the source of connection hr is down'),
    });
    expect(reads).toBe(before);
    source = async function* () {
      yield page;
    };
    expect(await readAll(of, JOBS)).toBe(1);
  });

  test.each([
    { outage: 'SOURCE_UNAVAILABLE', state: 'open' },
    { outage: 'DATABASE_UNAVAILABLE', state: 'closed' },
  ] as const)(
    'is one that falls silent late in a read: $outage of the caller leaves it $state',
    async ({ outage, state }) => {
      const of = await connect({ ...LIMITS, resetTimeoutMs: 60_000 });
      source = async function* (signal) {
        yield page;
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      };
      const failed = new Set<string>();
      for (let call = 0; call < 4 && !failed.has('CIRCUIT_OPEN'); call++) {
        const leaving = new AbortController();
        const read = of.read(HR, request, leaving.signal);
        const first = await read.next().catch((error: TidemarkError) => failed.add(error.reason));
        if (first instanceof Set) continue;
        const second = read.next();
        leaving.abort(new TidemarkError(outage, 'nothing came'));
        await expect(second).rejects.toThrow();
      }
      expect(of.breakersOf(HR).own?.state).toBe(state);
      expect(of.breakersOf(HR).connectors?.state).toBe('closed');
    },
  );

  test('that hangs has its read cancelled at the timeout', async () => {
    const of = await connect({ ...LIMITS, timeoutMs: 50 });
    source = async function* (signal) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      yield page;
    };
    await expect(readAll(of)).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    await cancelled;
    expect(of.breakersOf(HR).connectors?.state).toBe('closed');
  });
});

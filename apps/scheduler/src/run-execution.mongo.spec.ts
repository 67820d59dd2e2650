import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ConnectorServiceDefinition, type Page, type ReadResponse } from '@tidemark/contracts';
import { Keyring, TidemarkError } from '@tidemark/model';
import { bind, fastDefinition, startServer, type CallContext, type RpcServer } from '@tidemark/rpc';
import { createLogger } from '@tidemark/runtime';
import type { Connection } from './connection.js';
import { Connectors } from './connectors.js';
import { MongoCadences } from './mongo-cadences.js';
import { MongoConnections } from './mongo-connections.js';
import { MongoRateBudgets } from './mongo-rate-budgets.js';
import { MongoRuns } from './mongo-runs.js';
import { PacedReads } from './paced-read.js';
import { Pacer } from './pacer.js';
import type { Run } from './run.js';
import { RunExecution } from './run-execution.js';
import { settlement, type RunOutcome } from './run-outcome.js';
import { SourceTargets } from './source-targets.js';
import { aConnection } from './testing/a-connection.js';
import { aRun } from './testing/a-run.js';
import { testControlDatabase } from './testing/control-database.js';
import { startStoreEnd } from './testing/store-server.js';

const TOKEN = 'a-token-of-at-least-32-characters';
const logger = createLogger({ service: 'test', level: 'error' });
const connection = aConnection();
const lease = { tenantId: 'acme', connectionId: 'hr', model: 'employees', kind: 1, runId: 'run', epoch: 1n };
const page: Page = {
  records: [{ id: 'e1', payload: Buffer.from('{}'), fingerprint: new Uint8Array(16), deleted: false }],
  rejected: [],
  checkpoint: Buffer.from('1'),
  expectedRecords: undefined,
};

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let end: Awaited<ReturnType<typeof startStoreEnd>>;
let source: RpcServer;
let connectors: Connectors;
let connections: MongoConnections;
let fields: string[][];
let committed: number;
let begun: number;
/** What happens at the store when a page comes. */
let onPage: () => Promise<void>;
let onBegin: () => Promise<void>;

/** After how many pages the source breaks off. */
let breaksOffAfter: number;

/** A source without end, but where it breaks off: only what happens to the scope ends its reads. */
async function* read(request: { fields: string[] }, { signal }: CallContext): AsyncGenerator<ReadResponse> {
  fields.push(request.fields);
  for (let pages = 0; pages < breaksOffAfter && !signal.aborted; pages++) {
    yield { message: { $case: 'page', value: page } };
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

beforeAll(async () => {
  database = await testControlDatabase();
  connections = new MongoConnections(database.db);
  end = await startStoreEnd({
    beginRun: async () => {
      begun++;
      await onBegin();
      return {
        ...{ pages: 0n, checkpoint: new Uint8Array(0), counters: undefined },
        ...{
          fingerprintKey: new Uint8Array(32),
          observedSequence: 0n,
          recordCount: 0n,
          finishing: false,
          reading: 1n,
        },
      };
    },
    commitPage: async () => {
      await onPage();
      committed++;
      return { missingPayloads: [], counters: undefined, lastSequence: 0n, unchangedShare: 0 };
    },
  });
  const methods = { read: ConnectorServiceDefinition.methods.read };
  const definition = fastDefinition({ ...ConnectorServiceDefinition, methods });
  source = await startServer({ address: '127.0.0.1:0', services: [bind(definition, { read })], logger });
  connectors = new Connectors(new Map([['file', source.address]]), TOKEN);
});
afterAll(async () => {
  connectors.close();
  await source.stop();
  await end.stop();
  await database.drop();
});
beforeEach(async () => {
  [fields, committed, begun] = [[], 0, 0];
  breaksOffAfter = Infinity;
  [onPage, onBegin] = [async () => undefined, async () => undefined];
  await database.db.connections.deleteMany({});
  await connections.insert(connection);
});

/** Works on a run until its outcome. */
async function work(changes: Partial<Run> = {}): Promise<RunOutcome> {
  const parts = {
    ...{
      runs: new MongoRuns(database.db),
      connections,
      store: end.store,
      cadences: new MongoCadences(database.db),
      logger,
    },
    reads: new PacedReads(connectors, new Pacer(new MongoRateBudgets(database.db), logger)),
    targets: new SourceTargets(new Keyring(randomBytes(32), [])),
    silenceMs: 300_000,
  };
  const run = aRun({ state: 'RUNNING', ...changes });
  // So that the progress of a run of a test's own finds its document.
  await database.db.runs.deleteMany({});
  await parts.runs.request({ ...run, after: [], startedOver: false });
  await database.db.runs.updateOne({ _id: run.id }, { $set: { state: 'RUNNING', epoch: run.epoch } });
  return (await new RunExecution(parts, run, lease, new AbortController().signal).execute()).outcome;
}

async function setScope(models: Record<string, string[]>, more: Partial<Connection> = {}): Promise<void> {
  const before = await connections.find(connection);
  if (before === undefined) throw new Error('it was just inserted');
  const scope = {
    revision: before.scope.revision + 1,
    models: Object.entries(models).map(([model, names]) => ({ model, fields: names, indexFields: [] })),
  };
  await connections.replace({ ...before, scope, ...more });
}

/** Once, with a page of a run that is under way. */
function withPage(number: number, happens: () => Promise<void>): void {
  let pages = 0;
  onPage = async () => {
    if (++pages === number) await happens();
  };
}

const violated = () =>
  Promise.reject<void>(new TidemarkError('SCOPE_VIOLATED', 'field name is not in the scope'));

describe('a run whose scope changes under it', () => {
  test('is begun anew when a page of it is refused', async () => {
    withPage(3, async () => {
      await setScope({ employees: ['id'] });
      await violated();
    });
    expect(await work()).toEqual({ kind: 'STOPPED', reason: 'SCOPE_CHANGED' });
    expect(fields).toEqual([['id', 'name']]);
  });

  test('is begun anew though no page of it is refused', async () => {
    withPage(3, () => setScope({ employees: ['id'] }));
    expect(await work()).toEqual({ kind: 'STOPPED', reason: 'SCOPE_CHANGED' });
    expect(committed).toBeGreaterThan(2);
  });

  test('is begun anew when it was narrowed and widened again, if that cost it a page', async () => {
    withPage(2, async () => {
      await setScope({ employees: ['id'] });
      await setScope({ employees: ['id', 'name'] });
      await violated();
    });
    expect(await work()).toEqual({ kind: 'STOPPED', reason: 'SCOPE_CHANGED' });
  });

  test('ends when its model left the scope, whoever notices first', async () => {
    withPage(2, () => setScope({ jobs: ['id'] }));
    expect(await work()).toEqual({ kind: 'STOPPED', reason: 'SCOPE_LEFT' });
    expect(await work()).toEqual({ kind: 'STOPPED', reason: 'SCOPE_LEFT' });
    expect(begun).toBe(1);
  });

  test('ends when the store knows its model no more before it has begun', async () => {
    onBegin = async () => {
      await setScope({ jobs: ['id'] });
      throw new TidemarkError('MODEL_NOT_FOUND', 'no such model');
    };
    expect(await work()).toEqual({ kind: 'STOPPED', reason: 'SCOPE_LEFT' });
  });

  test('goes on when its model gains fields, or another one changes', async () => {
    let pages = 0;
    onPage = async () => {
      // By its own number: the page after it comes while it waits.
      const number = ++pages;
      if (number === 2) await setScope({ employees: ['id', 'name', 'city'], jobs: ['id'] });
      // Much later than the watch on the scope looks.
      if (number === 300) await database.db.connections.deleteMany({});
      if (number === 300) throw new TidemarkError('CONNECTION_NOT_FOUND', 'the end of the test');
    };
    expect(await work()).toMatchObject({ kind: 'FAILED', error: { reason: 'CONNECTION_NOT_FOUND' } });
  });
});

test('a run that sends what its own scope does not allow fails', async () => {
  onPage = violated;
  expect(await work()).toMatchObject({ kind: 'FAILED', error: { reason: 'SCOPE_VIOLATED' } });
});

test.each([1, 2])(
  'a run whose page %d is refused fails for that, even if its read breaks off meanwhile',
  async (refused) => {
    breaksOffAfter = refused;
    withPage(refused, async () => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      throw new TidemarkError('SOURCE_CONTRACT_BROKEN', 'the connector sent a record that is no JSON');
    });
    expect(await work()).toMatchObject({
      kind: 'FAILED',
      error: { reason: 'SOURCE_CONTRACT_BROKEN' },
      verdict: { action: 'FAIL' },
    });
  },
);

test('a decision about deletes that a change of scope has undone sends its run back to the start', async () => {
  expect(await work({ decision: 'APPROVED' })).toMatchObject({ kind: 'VOID' });
  await setScope(
    { employees: ['id'] },
    { setup: { backfill: [], changed: ['employees'], since: new Date() } },
  );
  expect(await work({ decision: 'APPROVED' })).toEqual({ kind: 'STOPPED', reason: 'SCOPE_CHANGED' });
});

describe('a full sync whose connection has a delta waiting', () => {
  const delta = {
    ...aRun({ kind: 'DELTA', trigger: 'SCHEDULE' }),
    id: 'run_00000000000000000000000000000002',
  };

  test('lets it go first at a page boundary, once it got on itself', async () => {
    withPage(3, async () => {
      await new MongoRuns(database.db).request(delta);
    });
    const outcome = await work();
    expect(outcome).toMatchObject({ kind: 'STOPPED', reason: 'YIELD', contender: { id: delta.id } });
    expect(settlement(aRun(), outcome, new Date())).toMatchObject({
      state: 'WAITING',
      yieldedTo: delta.id,
      note: 'lets a delta of employees go first',
      effort: { yields: 1 },
    });
  });

  test('goes on for as long as the interruption before it lasted', async () => {
    withPage(1, async () => {
      await new MongoRuns(database.db).request(delta);
    });
    const began = performance.now();
    expect(await work({ interruptionMs: 1_500 })).toMatchObject({ reason: 'YIELD' });
    expect(performance.now() - began).toBeGreaterThanOrEqual(1_500);
  });
});

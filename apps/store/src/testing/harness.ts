import {
  RecordServiceDefinition,
  StoreServiceDefinition,
  SyncKind,
  type BeginRunResponse,
  type CommitPageResponse,
  type FinishRunResponse,
  type ScopeReceipt,
  type Record as RecordMessage,
  type StreamRecordsRequest,
  type StreamRecordsResponse,
} from '@tidemark/contracts';
import { canonicalJson, fingerprint, fingerprintKey, Keyring, parseJson } from '@tidemark/model';
import {
  createClient,
  forTenant,
  internalAuth,
  startServer,
  type RpcClient,
  type RpcServer,
} from '@tidemark/rpc';
import { createLogger, type Logger } from '@tidemark/runtime';
import { testDatabase, type TestDatabase } from '../../../../jest/database.js';
import { StoreDatabase } from '../mongo-collections.js';
import { databaseErrors } from '../mongo-errors.js';
import { createStore, type Store, type StoreOptions } from '../store.js';

/** The master key of the tests' stores. */
export const MASTER_KEY = Buffer.alloc(32, 7);

const DAY_MS = 86_400_000;
const TOKEN = 'test-token-of-at-least-32-characters';

/** A real store on a real database, called over gRPC. */
export interface StoreHarness {
  readonly database: TestDatabase;
  readonly db: StoreDatabase;
  readonly writing: RpcClient<typeof StoreServiceDefinition>;
  readonly reading: RpcClient<typeof RecordServiceDefinition>;
  readonly store: Store;
  stop: () => Promise<void>;
}

/** Starts a store on a database of its own, or as one more process on a given one. */
export async function startStore(
  shared?: TestDatabase,
  settings: Partial<StoreOptions> = {},
  logger: Logger = createLogger({ service: 'store', level: 'error' }),
): Promise<StoreHarness> {
  const database = shared ?? (await testDatabase());
  const db = new StoreDatabase(database.client, database.db);
  const retention = { historyMs: 30 * DAY_MS, tombstoneMs: 90 * DAY_MS };
  const store = await createStore(db, logger, { keyring: new Keyring(MASTER_KEY), retention, ...settings });
  const server: RpcServer = await startServer({
    address: '127.0.0.1:0',
    services: store.services,
    logger,
    middleware: [internalAuth(TOKEN), databaseErrors],
  });
  const options = { credential: { internalToken: TOKEN } };
  const writing = createClient(StoreServiceDefinition, server.address, options);
  const reading = createClient(RecordServiceDefinition, server.address, options);
  return {
    database,
    db,
    writing,
    reading,
    store,
    stop: async () => {
      writing.close();
      reading.close();
      await server.stop();
      await store.feed.stop();
      if (shared === undefined) await database.drop();
    },
  };
}

/** A record to write: its id and content, or its id alone for a delete. */
export type TestRecord = readonly [id: string, content: object | string | null];

/** Drives the writer's side of one connection as a scheduler would. */
export class TestWriter {
  epoch = 0n;

  constructor(
    readonly harness: StoreHarness,
    readonly connectionId: string,
    readonly tenantId = 'acme',
  ) {}

  /** Opens the connection with a scope; returns whether something is left to purge. */
  async open(
    models: Record<string, string[]>,
    revision = 1n,
    index: Record<string, string[]> = {},
  ): Promise<boolean> {
    const entries = Object.entries(models).map(([model, fields]) => ({
      ...{ model, fields, indexFields: index[model] ?? [] },
    }));
    const { scopePending } = await this.harness.writing.openConnection({
      tenantId: this.tenantId,
      connectionId: this.connectionId,
      scope: { revision, models: entries },
    });
    return scopePending;
  }

  /** Brings the scope to effect in what is stored. */
  async purge(): Promise<ScopeReceipt | undefined> {
    const { tenantId, connectionId } = this;
    for (;;) {
      const { done, receipt } = await this.harness.writing.applyScope({ tenantId, connectionId });
      if (done) return receipt;
    }
  }

  async begin(model: string, runId: string, kind = SyncKind.FULL, epoch = ++this.epoch): Promise<TestRun> {
    const lease = { tenantId: this.tenantId, connectionId: this.connectionId, model, kind, runId, epoch };
    const begun = await this.harness.writing.beginRun({ lease });
    return new TestRun(this.harness, lease, begun);
  }

  /** A whole full run of one page a call. */
  async full(model: string, runId: string, ...pages: TestRecord[][]): Promise<FinishRunResponse> {
    const run = await this.begin(model, runId);
    for (const page of pages) await run.page(page);
    return run.finish();
  }

  async records(
    request: Partial<Omit<StreamRecordsRequest, 'connectionId'>> = {},
  ): Promise<{ records: RecordMessage[]; last: StreamRecordsResponse }> {
    const records: RecordMessage[] = [];
    let last: StreamRecordsResponse | undefined;
    const stream = this.harness.reading.streamRecords(
      { connectionId: this.connectionId, ...request },
      { metadata: forTenant(this.tenantId) },
    );
    for await (const response of stream) {
      records.push(...response.records);
      last = response;
    }
    if (last === undefined) throw new Error('the stream sent nothing');
    return { records, last };
  }
}

/** One run under its lease. */
export class TestRun {
  #pages: bigint;
  sendPayloads = true;

  constructor(
    readonly harness: StoreHarness,
    readonly lease: {
      tenantId: string;
      connectionId: string;
      model: string;
      kind: SyncKind;
      runId: string;
      epoch: bigint;
    },
    readonly begun: BeginRunResponse,
  ) {
    this.#pages = begun.pages;
  }

  get observedSequence(): bigint {
    return this.begun.observedSequence;
  }

  get reading(): bigint {
    return this.begun.reading;
  }

  message(page: readonly TestRecord[], pageNumber = this.#pages) {
    const key = fingerprintKey(this.begun.fingerprintKey);
    const records = page.map(([id, content]) => {
      if (content === null) return { id, deleted: true };
      const { text, identity } = canonicalJson(
        parseJson(typeof content === 'string' ? content : JSON.stringify(content)),
      );
      const payload = this.sendPayloads ? Buffer.from(text) : new Uint8Array(0);
      return { id, payload, fingerprint: fingerprint(key, identity), deleted: false };
    });
    return {
      lease: this.lease,
      pageNumber,
      observedSequence: this.observedSequence,
      reading: this.reading,
      records,
      checkpoint: Buffer.from(`checkpoint ${pageNumber}`),
    };
  }

  async page(page: readonly TestRecord[]): Promise<CommitPageResponse> {
    const response = await this.harness.writing.commitPage(this.message(page));
    if (response.missingPayloads.length === 0) this.#pages++;
    return response;
  }

  async finish(
    options: { failures?: string[]; expectedRecords?: bigint; decision?: number; endEvidence?: string } = {},
  ): Promise<FinishRunResponse> {
    const { failures = [], expectedRecords, decision = 1, endEvidence = 'end of test' } = options;
    for (;;) {
      const response = await this.harness.writing.finishRun({
        lease: this.lease,
        end: { endEvidence, failures, expectedRecords },
        decision,
      });
      if (response.done) return response;
    }
  }
}

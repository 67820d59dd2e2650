import {
  ConnectionServiceDefinition,
  RecordServiceDefinition,
  SyncKind,
  SyncRunState,
  SyncServiceDefinition,
  type SyncRun,
} from '@tidemark/contracts';
import { createClient, fastDefinition, type RpcClient } from '@tidemark/rpc';
import { EMPLOYEE_FIELDS } from './workload.js';

/** The one model of the benchmark's connections. */
export const MODEL = 'employees';

const EVERYTHING = {
  excludeDeleted: false,
  fields: [],
  filter: new Map<string, string>(),
  limit: 0n,
  pageSize: 0,
  asOf: undefined,
};

/** What a read gave. */
export interface ReadResult {
  readonly records: number;
  readonly seconds: number;
  readonly firstPageMs: number;
  readonly completeThrough: Date | undefined;
}

/** Moments of one sync, in ms after it was asked for. */
export interface TimedSync {
  /** When the request was answered. */
  readonly answered: number;
  /** When its run started and ended, by the scheduler's clock. */
  readonly started: number;
  readonly ended: number;
  /** When its success was seen through the run's watch. */
  readonly seen: number;
}

/** What the benchmark says of a connection that it makes. */
export type NewConnection = NonNullable<
  Parameters<RpcClient<typeof ConnectionServiceDefinition>['createConnection']>[0]['spec']
>;

/** A user of the gateway, as a service of theirs would be. */
export class GatewayClient {
  readonly #connections: RpcClient<typeof ConnectionServiceDefinition>;
  readonly #syncs: RpcClient<typeof SyncServiceDefinition>;
  readonly #records;

  constructor(address: string, apiKey: string) {
    const options = { credential: { apiKey } };
    this.#connections = createClient(ConnectionServiceDefinition, address, options);
    this.#syncs = createClient(SyncServiceDefinition, address, options);
    this.#records = createClient(fastDefinition(RecordServiceDefinition), address, options);
  }

  /** Makes the connection to a folder of JSON Lines, with every field in scope, also the sensitive ones. */
  async connect(connectionId: string, folder: string): Promise<void> {
    const config = fileConfig(folder);
    const spec = {
      id: connectionId,
      connector: 'file',
      config: Buffer.from(JSON.stringify(config)),
      schedule: { fullInterval: { seconds: 0n, nanos: 0 } },
      scope: { models: [{ model: MODEL, fields: [...EMPLOYEE_FIELDS] }] },
    };
    await this.create(spec, true);
  }

  /** Makes a connection; unless `withoutSync`, its first sync starts at once. */
  async create(spec: NewConnection, withoutSync: boolean): Promise<void> {
    await this.#connections.createConnection({ spec, withoutSync });
  }

  /** A full sync, from the request to its end; its seconds. */
  async sync(connectionId: string): Promise<number> {
    return (await this.timedSync(connectionId)).seen / 1_000;
  }

  /** The same, step by step. */
  async timedSync(connectionId: string): Promise<TimedSync> {
    const [asked, askedWall] = [performance.now(), Date.now()];
    const { runs } = await this.#syncs.runSync({ connectionId, models: [MODEL], kind: SyncKind.FULL });
    const answered = performance.now() - asked;
    const runId = runs[0]?.id ?? '';
    let run: SyncRun | undefined;
    for await (const response of this.#syncs.watchSyncRun({ runId })) {
      run = response.run;
      if (run?.state === SyncRunState.SUCCEEDED) break;
    }
    if (run?.state !== SyncRunState.SUCCEEDED)
      throw new Error(`the sync did not succeed: ${run?.summary ?? ''}`);
    const seen = performance.now() - asked;
    const after = (time: Date | undefined) => (time?.getTime() ?? NaN) - askedWall;
    return { answered, started: after(run.startTime), ended: after(run.endTime), seen };
  }

  /** Reads everything, or what changed after a moment. `parse` also makes objects of the payloads. */
  async read(connectionId: string, updatedAfter: Date | undefined, parse: boolean): Promise<ReadResult> {
    const started = performance.now();
    const start =
      updatedAfter === undefined ? undefined : ({ $case: 'updatedAfter', value: updatedAfter } as const);
    const request = { connectionId, models: [MODEL], start, ...EVERYTHING };
    let records = 0;
    let firstPageMs: number | undefined;
    let completeThrough: Date | undefined;
    for await (const page of this.#records.streamRecords(request)) {
      firstPageMs ??= performance.now() - started;
      records += page.records.length;
      if (parse)
        for (const { data } of page.records)
          if (data.length > 0) JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.length).toString());
      completeThrough = page.completeThrough ?? completeThrough;
    }
    const seconds = (performance.now() - started) / 1_000;
    return { records, seconds, firstPageMs: firstPageMs ?? 0, completeThrough };
  }

  close(): void {
    for (const client of [this.#connections, this.#syncs, this.#records]) client.close();
  }
}

/** The config of a connection to a folder of JSON Lines. */
export function fileConfig(folder: string): object {
  return { path: folder, models: { [MODEL]: { file: `${MODEL}.jsonl` } } };
}

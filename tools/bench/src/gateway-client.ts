import {
  ConnectionServiceDefinition,
  RecordServiceDefinition,
  SyncKind,
  SyncRunState,
  SyncServiceDefinition,
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
    const config = { path: folder, models: { [MODEL]: { file: `${MODEL}.jsonl` } } };
    const spec = {
      id: connectionId,
      connector: 'file',
      config: Buffer.from(JSON.stringify(config)),
      schedule: { fullInterval: { seconds: 0n, nanos: 0 } },
      scope: { models: [{ model: MODEL, fields: [...EMPLOYEE_FIELDS] }] },
    };
    await this.#connections.createConnection({ spec, withoutSync: true });
  }

  /** A full sync, from the request to its end; its seconds. */
  async sync(connectionId: string): Promise<number> {
    const started = performance.now();
    const { runs } = await this.#syncs.runSync({ connectionId, models: [MODEL], kind: SyncKind.FULL });
    const runId = runs[0]?.id ?? '';
    let run;
    for await (const response of this.#syncs.watchSyncRun({ runId })) run = response.run;
    if (run?.state !== SyncRunState.SUCCEEDED)
      throw new Error(`the sync did not succeed: ${run?.summary ?? ''}`);
    return (performance.now() - started) / 1_000;
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

import {
  RecordServiceDefinition,
  StoreServiceDefinition,
  SyncKind,
  WatchStart,
  type BeginRunResponse,
  type WatchChangesResponse,
} from '@tidemark/contracts';
import { canonicalJson, fingerprint, fingerprintKey, parseJson } from '@tidemark/model';
import { createClient, forTenant, type RpcClient } from '@tidemark/rpc';
import type { KeyObject } from 'node:crypto';
import type { RunningService } from './service-process.js';
import type { StoreGroup } from './store-process.js';
import { EMPLOYEE_FIELDS, type employee } from './workload.js';

const TENANT = 'bench';

/** What is written. */
export type Employee = ReturnType<typeof employee>;

/** A scheduler's and a gateway's side of one store. */
export class StoreClient {
  readonly #writing: RpcClient<typeof StoreServiceDefinition>;
  readonly #reading: RpcClient<typeof RecordServiceDefinition>;

  constructor({ address }: RunningService, { internalToken }: StoreGroup) {
    const options = { credential: { internalToken } };
    this.#writing = createClient(StoreServiceDefinition, address, options);
    this.#reading = createClient(RecordServiceDefinition, address, options);
  }

  /** Makes a connection with these models, every field of an employee in scope. */
  async open(connectionId: string, models: readonly string[]): Promise<void> {
    const scope = { revision: 1n, models: models.map((model) => ({ model, fields: [...EMPLOYEE_FIELDS] })) };
    await this.#writing.openConnection({ tenantId: TENANT, connectionId, scope });
  }

  /** Begins a run of small commits, as deltas and webhooks make them. */
  async begin(connectionId: string, model: string): Promise<StoreRun> {
    const kind = SyncKind.DELTA;
    const lease = { tenantId: TENANT, connectionId, model, kind, runId: `run-${model}`, epoch: 1n };
    const begun = await this.#writing.beginRun({ lease });
    return new StoreRun(this.#writing, lease, fingerprintKey(begun.fingerprintKey), begun);
  }

  /** Follows a connection from now on. The first response comes as soon as the watch stands. */
  watch(connectionId: string, signal: AbortSignal): AsyncIterable<WatchChangesResponse> {
    const request = { connectionIds: [connectionId], start: WatchStart.FROM_NOW };
    return this.#reading.watchChanges(request, { metadata: forTenant(TENANT), signal });
  }

  close(): void {
    this.#writing.close();
    this.#reading.close();
  }
}

/** One run under its lease. */
export class StoreRun {
  #pages: bigint;

  constructor(
    readonly writing: RpcClient<typeof StoreServiceDefinition>,
    readonly lease: {
      readonly tenantId: string;
      readonly connectionId: string;
      readonly model: string;
      readonly kind: SyncKind;
      readonly runId: string;
      readonly epoch: bigint;
    },
    readonly key: KeyObject,
    readonly begun: BeginRunResponse,
  ) {
    this.#pages = begun.pages;
  }

  /** Prepares a page, as a connector does, so that committing it is the store's work alone. */
  page(employees: readonly Employee[]) {
    const records = employees.map((content) => {
      const { text, identity } = canonicalJson(parseJson(JSON.stringify(content)));
      return {
        id: content.id,
        payload: Buffer.from(text),
        fingerprint: fingerprint(this.key, identity),
        deleted: false,
      };
    });
    const checkpoint = Buffer.from(String(this.#pages));
    const { lease, begun } = this;
    const { observedSequence, reading } = begun;
    return { lease, pageNumber: this.#pages, observedSequence, reading, records, checkpoint };
  }

  /** Commits a page. Throws when the store asks for payloads, which it has. */
  async commit(page: ReturnType<StoreRun['page']>): Promise<void> {
    const { missingPayloads } = await this.writing.commitPage(page);
    if (missingPayloads.length > 0) throw new Error('the store asked for payloads that it was sent');
    this.#pages++;
  }
}

import {
  StoreServiceDefinition,
  type ApplyRetentionResponse,
  type BeginRunResponse,
  type CommitPageRequest,
  type CommitPageResponse,
  type FinishRunRequest,
  type FinishRunResponse,
  type GetStatisticsResponse,
  type Lease,
  type ScopeReceipt,
} from '@tidemark/contracts';
import { createClient, fastDefinition } from '@tidemark/rpc';
import type { Connection, ConnectionKey } from './connection.js';
import { toScopeMessage } from './connection-messages.js';
import type { OwnedLease } from './leases.js';
import { toWireKind } from './run-messages.js';

/** Writes of the store are bounded, but may wait for other writers of the connection. */
const WRITE_DEADLINE_MS = 90_000;

/** What the scheduler asks of the store. */
export class StoreClient {
  private readonly client;

  constructor(address: string, internalToken: string) {
    this.client = createClient(fastDefinition(StoreServiceDefinition), address, {
      credential: { internalToken },
    });
  }

  close(): void {
    this.client.close();
  }

  /** Makes a connection known with its scope; whether something stored is still to be brought in line with it. */
  async openConnection({ tenantId, id, scope }: Connection, signal?: AbortSignal): Promise<boolean> {
    const request = { tenantId, connectionId: id, scope: toScopeMessage(scope) };
    return (await this.client.openConnection(request, options(signal))).scopePending;
  }

  /** Purges a part of what a connection's scope no longer allows; whether nothing is left. */
  async applyScope({ tenantId, id }: ConnectionKey, signal: AbortSignal): Promise<boolean> {
    return (await this.client.applyScope({ tenantId, connectionId: id }, options(signal))).done;
  }

  /** What was purged of a connection, newest first. */
  async scopeReceipts({ tenantId, id }: ConnectionKey): Promise<ScopeReceipt[]> {
    return (await this.client.listScopeReceipts({ tenantId, connectionId: id })).receipts;
  }

  /** Removes a part of what is past its retention. */
  async applyRetention(
    { tenantId, id }: ConnectionKey,
    signal: AbortSignal,
  ): Promise<ApplyRetentionResponse> {
    return this.client.applyRetention({ tenantId, connectionId: id }, options(signal));
  }

  /** Removes a connection's data, batch by batch while `goOn` says so; returns how many records went. */
  async removeConnection({ tenantId, id }: ConnectionKey, goOn: () => Promise<boolean>): Promise<number> {
    let removed = 0n;
    while (await goOn()) {
      const response = await this.client.removeConnection({ tenantId, connectionId: id }, options(undefined));
      removed += response.removedRecords;
      if (response.done) break;
    }
    return Number(removed);
  }

  async beginRun(lease: Lease, signal: AbortSignal): Promise<BeginRunResponse> {
    return this.client.beginRun({ lease }, options(signal));
  }

  async commitPage(request: CommitPageRequest, signal: AbortSignal): Promise<CommitPageResponse> {
    return this.client.commitPage(request, options(signal));
  }

  async finishRun(request: FinishRunRequest, signal: AbortSignal): Promise<FinishRunResponse> {
    return this.client.finishRun(request, options(signal));
  }

  async getStatistics({ tenantId, id }: ConnectionKey): Promise<GetStatisticsResponse> {
    return this.client.getStatistics({ tenantId, connectionId: id });
  }
}

function options(signal: AbortSignal | undefined): { deadlineMs: number; signal?: AbortSignal } {
  return { deadlineMs: WRITE_DEADLINE_MS, ...(signal === undefined ? {} : { signal }) };
}

/** A lease as the store wants to see it. */
export function toLeaseMessage({ key, runId, epoch }: OwnedLease): Lease {
  const { tenantId, connectionId, model, kind } = key;
  return { tenantId, connectionId, model, kind: toWireKind(kind), runId, epoch: BigInt(epoch) };
}

import type {
  ApplyRetentionRequest,
  ApplyRetentionResponse,
  ApplyScopeRequest,
  ApplyScopeResponse,
  BeginRunRequest,
  BeginRunResponse,
  CommitPageRequest,
  CommitPageResponse,
  FinishRunRequest,
  FinishRunResponse,
  GetStatisticsRequest,
  GetStatisticsResponse,
  ListScopeReceiptsRequest,
  ListScopeReceiptsResponse,
  OpenConnectionRequest,
  OpenConnectionResponse,
  RemoveConnectionRequest,
  RemoveConnectionResponse,
} from '@tidemark/contracts';
import { TidemarkError } from '@tidemark/model';
import type { KeyCabinet } from './connection-keys.js';
import { modelKey, type StoreDatabase } from './mongo-collections.js';
import type { MongoCommitter } from './mongo-committer.js';
import { modelScope, type MongoConnections } from './mongo-connections.js';
import type { MongoFinisher } from './mongo-finisher.js';
import { removeConnection } from './mongo-removal.js';
import type { MongoRetention } from './mongo-retention.js';
import type { MongoRuns } from './mongo-runs.js';
import type { MongoScopeChanges } from './mongo-scope-changes.js';
import type { MongoScopePurge } from './mongo-scope-purge.js';
import type { MongoSeenKeys } from './mongo-seen-keys.js';
import { countConnection } from './mongo-statistics.js';
import {
  toCertificate,
  toCommitPage,
  toCounters,
  toDiscrepancies,
  toLateArrivals,
  toLease,
  toReceipt,
  toRunEnd,
  toScope,
} from './store-messages.js';

/** The parts that writing needs. */
export interface StoreParts {
  readonly db: StoreDatabase;
  readonly cabinet: KeyCabinet;
  readonly connections: MongoConnections;
  readonly scopeChanges: MongoScopeChanges;
  readonly purge: MongoScopePurge;
  readonly retention: MongoRetention;
  readonly runs: MongoRuns;
  readonly seenKeys: MongoSeenKeys;
  readonly committer: MongoCommitter;
  readonly finisher: MongoFinisher;
}

/** StoreService on MongoDB. */
export class StoreServiceHandler {
  constructor(readonly parts: StoreParts) {}

  async openConnection(request: OpenConnectionRequest): Promise<OpenConnectionResponse> {
    const { tenantId, connectionId } = request;
    const scope = toScope(request.scope);
    const known = await this.parts.connections.open(tenantId, connectionId, scope);
    const connection = await this.parts.scopeChanges.apply(known, scope);
    return { generation: connection._id, scopePending: connection.purge !== undefined };
  }

  async removeConnection(request: RemoveConnectionRequest): Promise<RemoveConnectionResponse> {
    const { tenantId, connectionId } = request;
    const { done, removedRecords } = await removeConnection(this.parts.db, tenantId, connectionId);
    return { done, removedRecords: BigInt(removedRecords) };
  }

  async beginRun(request: BeginRunRequest): Promise<BeginRunResponse> {
    const { db, cabinet, connections, runs, seenKeys } = this.parts;
    const lease = toLease(request.lease);
    const connection = await connections.get(lease.tenantId, lease.connectionId);
    modelScope(connection, lease.model);
    if (connection.purge?.removed.includes(lease.model)) throw stillPurged();
    const run = await runs.begin(connection, lease);
    for (const seenAs of run.replaced) await seenKeys.drop({ c: connection._id, seenAs });
    if (run.replaced.length > 0) await runs.settle(run);
    const [clock, model] = await Promise.all([
      db.clocks.findOne({ _id: connection._id }),
      db.models.findOne({ _id: modelKey(connection._id, lease.model) }),
    ]);
    return {
      pages: BigInt(run.pages),
      checkpoint: run.checkpoint.buffer,
      counters: toCounters(run),
      fingerprintKey: cabinet.open(connection).fingerprintKey,
      observedSequence: BigInt(clock?.seq ?? 0),
      recordCount: BigInt(model?.live ?? 0),
      finishing: run.state !== 'READING',
      reading: BigInt(run.readings),
    };
  }

  async commitPage(request: CommitPageRequest): Promise<CommitPageResponse> {
    const result = await this.parts.committer.commit(toLease(request.lease), toCommitPage(request));
    if ('missing' in result) {
      return {
        missingPayloads: [...result.missing],
        counters: undefined,
        lastSequence: 0n,
        unchangedShare: 0,
      };
    }
    return {
      missingPayloads: [],
      counters: toCounters(result.run),
      lastSequence: BigInt(result.run.lastSequence),
      unchangedShare: result.unchangedShare,
    };
  }

  async finishRun(request: FinishRunRequest): Promise<FinishRunResponse> {
    const { done, run } = await this.parts.finisher.finish(toLease(request.lease), toRunEnd(request));
    return {
      done,
      held: run.state === 'HELD',
      heldDeletes: BigInt(run.heldDeletes ?? 0),
      certificate: toCertificate(run.certificate),
      counters: toCounters(run),
      lastSequence: BigInt(run.lastSequence),
      discrepancies: toDiscrepancies(run.discrepancies),
      lateArrivals: toLateArrivals(run.late),
    };
  }

  async applyScope({ tenantId, connectionId }: ApplyScopeRequest): Promise<ApplyScopeResponse> {
    const { done, receipt } = await this.parts.purge.apply(tenantId, connectionId);
    return { done, receipt: receipt && toReceipt(receipt) };
  }

  async listScopeReceipts(request: ListScopeReceiptsRequest): Promise<ListScopeReceiptsResponse> {
    const connection = await this.parts.connections.get(request.tenantId, request.connectionId);
    return { receipts: (await this.parts.purge.receipts(connection)).map(toReceipt) };
  }

  async applyRetention(request: ApplyRetentionRequest): Promise<ApplyRetentionResponse> {
    const { tenantId, connectionId } = request;
    const { done, versions, tombstones } = await this.parts.retention.apply(tenantId, connectionId);
    return { done, removedVersions: BigInt(versions), removedTombstones: BigInt(tombstones) };
  }

  async getStatistics(request: GetStatisticsRequest): Promise<GetStatisticsResponse> {
    const connection = await this.parts.connections.get(request.tenantId, request.connectionId);
    const { models, clock } = await countConnection(this.parts.db, connection._id);
    return {
      models: models.map(({ model, live, quarantined }) => ({
        model,
        recordCount: BigInt(live),
        quarantinedCount: BigInt(quarantined),
      })),
      sequence: BigInt(clock?.seq ?? 0),
      changedAt: clock?.at,
    };
  }
}

function stillPurged(): TidemarkError {
  const message =
    'what was stored of this model when it left the scope is still being removed; try again shortly';
  return new TidemarkError('SERVICE_UNAVAILABLE', message, { retryAfterMs: 1_000 });
}

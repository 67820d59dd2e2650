import type {
  BeginRunRequest,
  BeginRunResponse,
  CommitPageRequest,
  CommitPageResponse,
  FinishRunRequest,
  FinishRunResponse,
  GetStatisticsRequest,
  GetStatisticsResponse,
  OpenConnectionRequest,
  OpenConnectionResponse,
  RemoveConnectionRequest,
  RemoveConnectionResponse,
} from '@tidemark/contracts';
import { modelKey, type StoreDatabase } from './mongo-collections.js';
import type { MongoCommitter } from './mongo-committer.js';
import { modelScope, type MongoConnections } from './mongo-connections.js';
import type { MongoFinisher } from './mongo-finisher.js';
import type { MongoRuns } from './mongo-runs.js';
import type { MongoSeenKeys } from './mongo-seen-keys.js';
import { countConnection } from './mongo-statistics.js';
import { toCertificate, toCommitPage, toCounters, toLease, toRunEnd, toScope } from './store-messages.js';

/** The parts that writing needs. */
export interface StoreParts {
  readonly db: StoreDatabase;
  readonly connections: MongoConnections;
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
    return { generation: await this.parts.connections.open(tenantId, connectionId, toScope(request.scope)) };
  }

  async removeConnection(request: RemoveConnectionRequest): Promise<RemoveConnectionResponse> {
    const { done, removedRecords } = await this.parts.connections.remove(
      request.tenantId,
      request.connectionId,
    );
    return { done, removedRecords: BigInt(removedRecords) };
  }

  async beginRun(request: BeginRunRequest): Promise<BeginRunResponse> {
    const { db, connections, runs, seenKeys } = this.parts;
    const lease = toLease(request.lease);
    const connection = await connections.get(lease.tenantId, lease.connectionId);
    modelScope(connection, lease.model);
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
      fingerprintKey: connection.fingerprintKey.buffer,
      observedSequence: BigInt(clock?.seq ?? 0),
      recordCount: BigInt(model?.live ?? 0),
      finishing: run.state !== 'READING',
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
    };
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

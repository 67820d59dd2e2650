import {
  countCutOff,
  leaseId,
  NOT_BARREN,
  PRIORITY_WORTH_MS,
  priorityOf,
  statesBefore,
  type LeaseKey,
  type SyncRunState,
} from '@tidemark/model';
import { isDuplicateKey } from '@tidemark/mongo';
import type { Document, Filter, UpdateFilter } from 'mongodb';
import { connectionKey, connectionOf, type ConnectionKey } from './connection.js';
import type { ControlDatabase, RunDocument } from './mongo-collections.js';
import { fromRunDocument, newRunDocument, patchUpdate } from './mongo-run-documents.js';
import type { NewRun, Run } from './run.js';
import type { RunPatch, RunQuery, Runs } from './runs.js';

/** Waiting runs of one connection, and connections of one tenant, that are looked at in one go. */
const DUE_PER_CONNECTION = 20;
const DUE_PER_TENANT = 40;
const DUE_TENANTS = 500;
/** As FairRuns has it. */
const URGENT_SINCE = { $subtract: ['$createTime', { $multiply: ['$priority', PRIORITY_WORTH_MS] }] };
const MAX_RUNNING = 10_000;
const MAX_UNFINISHED = 10_000;

/** Runs in the control database. */
export class MongoRuns implements Runs {
  constructor(private readonly db: ControlDatabase) {}

  async request(run: NewRun): Promise<Run> {
    for (;;) {
      try {
        const document = newRunDocument(run, priorityOf(run.kind, run.trigger), new Date());
        await this.db.runs.insertOne(document);
        return fromRunDocument(document);
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
        // Gone again if it was started in between: then the next attempt inserts.
        const waiting = await this.reuse(run);
        if (waiting !== undefined) return waiting;
      }
    }
  }

  /** The equal run that waits; it takes over the higher priority. */
  private async reuse(run: NewRun): Promise<Run | undefined> {
    const waiting = await this.db.runs.findOneAndUpdate(
      // Its type, too, or the index, which has strings alone, is left out.
      { queued: { $eq: leaseId(run), $type: 'string' }, tenant: run.tenantId },
      { $max: { priority: priorityOf(run.kind, run.trigger) }, $inc: { revision: 1 } },
      { returnDocument: 'after' },
    );
    return waiting === null ? undefined : fromRunDocument(waiting);
  }

  async find(tenantId: string, id: string): Promise<Run | undefined> {
    return optional(await this.db.runs.findOne({ _id: id, tenant: tenantId }));
  }

  async findAll(tenantId: string, ids: readonly string[]): Promise<Run[]> {
    const documents = await this.db.runs.find({ _id: { $in: [...ids] }, tenant: tenantId }).toArray();
    return documents.map(fromRunDocument);
  }

  async unfinished(tenantId: string, connectionId?: string): Promise<Run[]> {
    const filter: Filter<RunDocument> = {
      tenant: tenantId,
      ...(connectionId === undefined ? {} : { connection: connectionId }),
      state: { $in: ['WAITING', 'RUNNING', 'PAUSED', 'HELD'] },
    };
    const documents = await this.db.runs.find(filter).sort({ _id: 1 }).limit(MAX_UNFINISHED).toArray();
    return documents.map(fromRunDocument);
  }

  async list({ tenantId, connectionId, before, limit }: RunQuery): Promise<Run[]> {
    const filter: Filter<RunDocument> = {
      tenant: tenantId,
      ...(connectionId === undefined ? {} : { connection: connectionId }),
      ...(before === undefined ? {} : { _id: { $lt: before } }),
    };
    return (await this.db.runs.find(filter).sort({ _id: -1 }).limit(limit).toArray()).map(fromRunDocument);
  }

  async newest(connection: ConnectionKey, models: readonly string[]): Promise<Run[]> {
    const found = await Promise.all(
      models.map((model) =>
        this.db.runs
          .find({ ...of(connection), model })
          .sort({ _id: -1 })
          .limit(1)
          .toArray(),
      ),
    );
    return found.flat().map(fromRunDocument);
  }

  async certifiedTimes(
    connection: ConnectionKey,
    models: readonly string[],
  ): Promise<ReadonlyMap<string, Date>> {
    const filter = { ...of(connection), state: 'SUCCEEDED' as const, 'certificate.certified': true };
    const found = await Promise.all(
      models.map((model) =>
        this.db.runs
          .find({ ...filter, model }, { projection: { endTime: 1 } })
          .sort({ _id: -1 })
          .limit(1)
          .toArray(),
      ),
    );
    return new Map(
      models.flatMap((model, index): [string, Date][] => {
        const endTime = found[index]?.[0]?.endTime;
        return endTime === undefined ? [] : [[model, endTime]];
      }),
    );
  }

  async change(run: Run, patch: RunPatch): Promise<Run | undefined> {
    const filter: Filter<RunDocument> = { _id: run.id, tenant: run.tenantId, revision: run.revision };
    return optional(
      await this.db.runs.findOneAndUpdate(filter, patchUpdate(patch), { returnDocument: 'after' }),
    );
  }

  async inStates(connection: ConnectionKey, states: readonly SyncRunState[]): Promise<Run[]> {
    const documents = await this.db.runs
      .find({ ...of(connection), state: { $in: states } })
      .sort({ _id: 1 })
      .toArray();
    return documents.map(fromRunDocument);
  }

  async due(now: Date): Promise<Run[]> {
    const busy = await this.db.runs.distinct('connectionKey', { state: 'RUNNING' });
    const pipeline: Document[] = [
      { $match: { state: 'WAITING', notBefore: { $lte: now }, connectionKey: { $nin: busy } } },
      { $set: { rank: URGENT_SINCE } },
      { $sort: { rank: 1, _id: 1 } },
      {
        $group: {
          _id: '$connectionKey',
          runs: { $firstN: { n: DUE_PER_CONNECTION, input: '$$ROOT' } },
          first: { $first: '$$ROOT' },
        },
      },
      { $sort: { 'first.rank': 1, 'first._id': 1 } },
      // One tenant's must not hide another's.
      {
        $group: {
          _id: '$first.tenant',
          runs: { $firstN: { n: DUE_PER_TENANT, input: '$runs' } },
          oldest: { $min: '$first._id' },
        },
      },
      { $sort: { oldest: 1 } },
      { $limit: DUE_TENANTS },
      { $project: { runs: 1 } },
    ];
    const tenants = await this.db.runs.aggregate<{ runs: RunDocument[][] }>(pipeline).toArray();
    return tenants.flatMap(({ runs }) => runs.flat().map(fromRunDocument));
  }

  async running(): Promise<Run[]> {
    return (await this.db.runs.find({ state: 'RUNNING' }).sort({ _id: 1 }).limit(MAX_RUNNING).toArray()).map(
      fromRunDocument,
    );
  }

  async isBlocked(run: Run, now: Date): Promise<boolean> {
    const { yieldedTo } = run;
    const filter: Filter<RunDocument> = {
      tenant: run.tenantId,
      connection: run.connectionId,
      state: { $in: ['WAITING', 'RUNNING'] },
      $or: [
        { _id: { $in: [...run.after] } },
        { model: run.model, kind: run.kind, _id: { $lt: run.id } },
        // Not while that one backs off after a failure.
        ...(yieldedTo === undefined ? [] : [{ _id: yieldedTo, notBefore: { $lte: now } }]),
      ],
    };
    return (await this.db.runs.findOne(filter, { projection: { _id: 1 } })) !== null;
  }

  async contender(run: Run, now: Date): Promise<Run | undefined> {
    const waiting = await this.db.runs
      .find({
        ...of(connectionOf(run)),
        state: 'WAITING',
        kind: { $in: ['DELTA', 'WEBHOOK'] },
        notBefore: { $lte: now },
      })
      .sort({ priority: -1, _id: 1 })
      .limit(DUE_PER_CONNECTION)
      .toArray();
    for (const candidate of waiting.map(fromRunDocument))
      // One that comes after this run waits for its end, not for its place.
      if (!(await this.isBlocked(candidate, now))) return candidate;
    return undefined;
  }

  async start(run: Run, epoch: number, now: Date): Promise<Run | undefined> {
    const filter: Filter<RunDocument> = {
      _id: run.id,
      tenant: run.tenantId,
      revision: run.revision,
      state: { $in: statesBefore('RUNNING') },
    };
    const isTakeOver = run.state === 'RUNNING';
    const update: UpdateFilter<RunDocument> = {
      $set: {
        state: 'RUNNING',
        running: connectionKey(connectionOf(run)),
        epoch,
        startTime: run.startTime ?? now,
        barren: isTakeOver ? countCutOff(run.barren, run.counters.pages) : NOT_BARREN,
        ...(run.yieldTime === undefined ? {} : { interruptionMs: now.getTime() - run.yieldTime.getTime() }),
      },
      $inc: { attempts: 1, revision: 1, ...(isTakeOver ? { 'effort.takeovers': 1 } : {}) },
      $unset: { queued: 1, note: 1, error: 1, yieldedTo: 1, yieldTime: 1 },
    };
    try {
      return optional(await this.db.runs.findOneAndUpdate(filter, update, { returnDocument: 'after' }));
    } catch (error) {
      if (isDuplicateKey(error)) return undefined;
      throw error;
    }
  }

  async progress(run: Run, patch: RunPatch, asked?: Run['request']): Promise<Run | undefined> {
    const filter: Filter<RunDocument> = {
      _id: run.id,
      tenant: run.tenantId,
      state: 'RUNNING',
      epoch: run.epoch,
      ...(asked === undefined ? {} : { request: asked }),
    };
    if (Object.keys(patch).length === 0) return optional(await this.db.runs.findOne(filter));
    return optional(
      await this.db.runs.findOneAndUpdate(filter, patchUpdate(patch), { returnDocument: 'after' }),
    );
  }

  async supersede(by: Run, now: Date): Promise<void> {
    await this.db.runs.updateMany(
      { ...ofKey(by), _id: { $lt: by.id }, state: { $in: ['PAUSED', 'HELD'] } },
      patchUpdate({ state: 'CANCELLED', endTime: now, note: `superseded by ${by.id}` }),
    );
  }

  async prune(key: LeaseKey, keep: number): Promise<void> {
    const ofModel = ofKey(key);
    const [oldest] = await this.db.runs
      .find(ofModel, { projection: { _id: 1 } })
      .sort({ _id: -1 })
      .skip(keep)
      .limit(1)
      .toArray();
    if (oldest === undefined) return;
    await this.db.runs.deleteMany({
      ...ofModel,
      _id: { $lte: oldest._id },
      state: { $in: ['SUCCEEDED', 'FAILED', 'CANCELLED'] },
    });
  }
}

function of({ tenantId, id }: ConnectionKey): { tenant: string; connection: string } {
  return { tenant: tenantId, connection: id };
}

function ofKey({ tenantId, connectionId, model, kind }: LeaseKey): {
  tenant: string;
  connection: string;
  model: string;
  kind: LeaseKey['kind'];
} {
  return { tenant: tenantId, connection: connectionId, model, kind };
}

function optional(document: RunDocument | null): Run | undefined {
  return document === null ? undefined : fromRunDocument(document);
}

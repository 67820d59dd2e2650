import { changedPayloadFields } from '@tidemark/model';
import { parsePayload, verifyPayloads, type CommitPage } from './commit-page.js';
import {
  planCommit,
  type CommitPlan,
  type Observation,
  type PlannedChange,
  type StoredState,
} from './commit-plan.js';
import type { KeyCabinet } from './connection-keys.js';
import { indexHashes } from './index-fields.js';
import { FULL, type Lease } from './lease.js';
import { CommitConflict, type CommitPart, type RecordWrite } from './mongo-change-writer.js';
import {
  idOfKey,
  OPERATION,
  recordKey,
  type ConnectionDocument,
  type RecordDocument,
  type RunDocument,
  type StoreDatabase,
} from './mongo-collections.js';
import { modelScope } from './mongo-connections.js';
import type { MongoPacks } from './mongo-packs.js';
import { overtaken } from './mongo-run-progress.js';
import type { MongoRuns } from './mongo-runs.js';
import type { MongoSeenKeys } from './mongo-seen-keys.js';

/** What one page's commit does. */
export interface PlannedPage {
  readonly lease: Lease;
  readonly page: CommitPage;
  readonly run: RunDocument;
  readonly plan: CommitPlan;
  readonly part: CommitPart;
  /** The ids that a snapshot's page held, packed. */
  readonly seen: Buffer;
  /** The snapshot of the same model that is told what this page saw live and unchanged. */
  readonly snapshot: RunDocument | null;
}

/** What deciding whether a record changed needs of it. */
const DECIDING = { v: 1, s: 1, os: 1, r: 1, o: 1, f: 1 };

/** A record as it was read: whole, or what deciding needs. */
interface StoredRecord {
  readonly document: RecordDocument;
  readonly whole: boolean;
}

/** Plans pages outside any transaction, from what is stored. */
export class MongoPagePlanner {
  constructor(
    readonly db: StoreDatabase,
    readonly cabinet: KeyCabinet,
    readonly packs: MongoPacks,
    readonly runs: MongoRuns,
    readonly seenKeys: MongoSeenKeys,
  ) {}

  /** The plan of a page, or the indexes of the payloads that it lacks. Throws SCOPE_VIOLATED, PAGE_OUT_OF_ORDER. */
  async plan(
    connection: ConnectionDocument,
    lease: Lease,
    run: RunDocument,
    page: CommitPage,
    verified: boolean,
  ): Promise<PlannedPage | { readonly missing: readonly number[] }> {
    if (!verified) verifyPayloads(page, modelScope(connection, lease.model), lease.model);
    const stored = await this.#stored(connection._id, lease.model, page.observations);
    const seen = lease.kind === FULL ? await this.seenKeys.load(run) : undefined;
    const plan = planCommit(page.observations, page.rejections, {
      runId: lease.runId,
      snapshot: seen !== undefined,
      observedSequence: page.observedSequence,
      stored: new Map([...stored].map(([id, { document }]) => [id, toState(document)])),
      seen: (id) => seen?.has(id) ?? false,
    });
    if (seen === undefined && plan.stale > 0) throw overtaken(plan.stale);
    if (plan.missing.length > 0) return { missing: plan.missing };
    const writes = await this.#writes(connection, lease.model, plan.changes, stored);
    const snapshot = plan.touched.length > 0 ? await this.runs.openSnapshot(run) : null;
    // A snapshot's page of unchanged records writes and claims nothing that a commit between could make untrue.
    const relies = writes.length > 0 || snapshot !== null;
    const part: CommitPart = {
      model: lease.model,
      runId: lease.runId,
      cause: lease.kind,
      writes,
      drafts: this.packs.draft(writes.map(({ change }) => change.observation.payload)),
      marks: [],
      reliesOn: relies ? page.observations.map(({ id }) => id) : [],
    };
    return {
      ...{ lease, page, run, plan, part },
      seen: seen?.pack([...plan.seenLive, ...plan.seenOther]) ?? Buffer.alloc(0),
      snapshot,
    };
  }

  /** Records by id: whole where a page with payloads is likely to replace them, else what deciding needs. */
  async #stored(
    uid: string,
    model: string,
    observations: readonly Observation[],
  ): Promise<Map<string, StoredRecord>> {
    const keys = observations.map(({ id }) => recordKey(uid, model, id));
    if (keys.length === 0) return new Map();
    const whole = observations.some(({ payload, deleted }) => deleted || payload !== undefined);
    const options = { batchSize: keys.length + 1, ...(whole ? {} : { projection: DECIDING }) };
    const documents = await this.db.records.find({ _id: { $in: keys } }, options).toArray();
    return new Map(documents.map((document) => [idOfKey(document._id, model, uid), { document, whole }]));
  }

  /** Adds to each change the version before it, what differs from it, and the hashes of its index fields. */
  async #writes(
    connection: ConnectionDocument,
    model: string,
    changes: readonly PlannedChange[],
    stored: ReadonlyMap<string, StoredRecord>,
  ): Promise<RecordWrite[]> {
    const previous = await this.#previous(connection._id, model, changes, stored);
    for (const { observation, version } of changes) {
      if ((previous.get(observation.id)?.v ?? 0) !== version - 1)
        throw new CommitConflict('a record changed since it was read');
    }
    const fields = await this.#changedFields(connection, model, changes, previous);
    const index = connection.scope.models.find((entry) => entry.model === model)?.index ?? [];
    const keys = this.cabinet.open(connection);
    const hashes = (payload: Uint8Array | undefined): Uint8Array[] =>
      payload && index.length > 0 ? indexHashes(parsePayload(payload, model), model, index, keys) : [];
    return changes.map((change) => {
      const { id, payload } = change.observation;
      return {
        change,
        previous: previous.get(id),
        changedFields: fields.get(id) ?? [],
        hashes: hashes(payload),
      };
    });
  }

  async #previous(
    uid: string,
    model: string,
    changes: readonly PlannedChange[],
    stored: ReadonlyMap<string, StoredRecord>,
  ): Promise<Map<string, RecordDocument>> {
    const known = changes.flatMap(({ observation: { id } }) => {
      const found = stored.get(id);
      return found ? [{ id, ...found }] : [];
    });
    if (known.every(({ whole }) => whole)) return new Map(known.map(({ id, document }) => [id, document]));
    return readPrevious(
      this.db,
      uid,
      model,
      known.map(({ id }) => id),
    );
  }

  async #changedFields(
    connection: ConnectionDocument,
    model: string,
    changes: readonly PlannedChange[],
    previous: ReadonlyMap<string, RecordDocument>,
  ): Promise<Map<string, string[]>> {
    const updates = changes.filter(({ operation }) => operation === 'UPDATED');
    const fresh = new Map(updates.map(({ observation }) => [observation.id, observation.payload]));
    const documents = [...previous]
      .filter(([id]) => fresh.has(id))
      .map(([, document]) => document)
      .sort((a, b) => a.s - b.s);
    const fields = new Map<string, string[]>();
    for await (const [{ _id }, old] of this.packs.payloads(connection, documents)) {
      const id = idOfKey(_id, model, connection._id);
      const payload = fresh.get(id);
      if (old && payload)
        fields.set(id, changedPayloadFields(old, payload));
    }
    return fields;
  }
}

function toState({ v, s, os, r, o, f }: RecordDocument): StoredState {
  return {
    version: v,
    sequence: os ?? s,
    runId: r,
    deleted: o === OPERATION.DELETED,
    fingerprint: f?.buffer,
  };
}

/** The newest versions of records, by id. */
export async function readPrevious(
  db: StoreDatabase,
  uid: string,
  model: string,
  ids: readonly string[],
): Promise<Map<string, RecordDocument>> {
  if (ids.length === 0) return new Map();
  const keys = ids.map((id) => recordKey(uid, model, id));
  const documents = await db.records.find({ _id: { $in: keys } }, { batchSize: keys.length + 1 }).toArray();
  return new Map(documents.map((document) => [idOfKey(document._id, model, uid), document]));
}

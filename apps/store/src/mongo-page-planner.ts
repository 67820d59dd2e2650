import { changedPayloadFields, isTidemarkError, type TidemarkError } from '@tidemark/model';
import { parsePayload, verifyPayloads, type CommitPage } from './commit-page.js';
import { planCommit, type CommitPlan, type PlannedChange, type StoredState } from './commit-plan.js';
import type { VerifiedScope } from './commit-queue.js';
import type { KeyCabinet } from './connection-keys.js';
import { indexHashes } from './index-fields.js';
import { FULL, type Lease } from './lease.js';
import { CommitConflict, type CommitPart, type RecordWrite } from './mongo-change-writer.js';
import {
  OPERATION,
  recordKey,
  type ConnectionDocument,
  type RecordDocument,
  type RunDocument,
  type StoreDatabase,
} from './mongo-collections.js';
import { modelScope } from './mongo-connections.js';
import type { MongoLateArrivals } from './mongo-late-arrivals.js';
import type { MongoPacks } from './mongo-packs.js';
import { overtaken } from './mongo-run-progress.js';
import type { MongoRuns } from './mongo-runs.js';
import type { MongoSeenKeys } from './mongo-seen-keys.js';
import type { SeenKeys } from './seen-keys.js';

/** A page that is to be committed, and the run that it belongs to. */
export interface PageRequest {
  readonly lease: Lease;
  readonly page: CommitPage;
  readonly run: RunDocument;
  readonly verified: VerifiedScope | undefined;
  /** The keys of the run's snapshot, where they are at hand. */
  readonly seenKeys?: SeenKeys;
}

/** What one page's commit does. */
export interface PlannedPage extends PageRequest {
  readonly plan: CommitPlan;
  readonly part: CommitPart;
  /** The keys of the run's snapshot. */
  readonly seenKeys?: SeenKeys;
  /** The ids that a snapshot's page held, packed. */
  readonly seen: Buffer;
  /** The snapshot of the same model that is told what this page saw live and unchanged. */
  readonly snapshot: RunDocument | null;
}

/** A page's plan, the indexes of the payloads that it lacks, or why it is refused. */
export type PlanOutcome =
  PlannedPage | { readonly missing: readonly number[] } | { readonly refused: TidemarkError };

/** What deciding whether a record changed needs of it. */
const DECIDING = { v: 1, s: 1, os: 1, r: 1, o: 1, f: 1 };

/** A page whose changes are decided. */
interface DecidedPage extends PageRequest {
  readonly plan: CommitPlan;
  readonly seen: Buffer;
}

/** Plans pages outside any transaction, from what is stored; those of one commit together, so that they share their reads. */
export class MongoPagePlanner {
  constructor(
    readonly db: StoreDatabase,
    readonly cabinet: KeyCabinet,
    readonly packs: MongoPacks,
    readonly runs: MongoRuns,
    readonly seenKeys: MongoSeenKeys,
    readonly arrivals: MongoLateArrivals,
  ) {}

  /** Plans pages, which hold no record in common; the outcomes are in their order. Throws CommitConflict. */
  async plan(connection: ConnectionDocument, requests: readonly PageRequest[]): Promise<PlanOutcome[]> {
    const uid = connection._id;
    const [stored] = await Promise.all([this.#stored(uid, requests), this.#noteArrivals(requests)]);
    const decided = await Promise.all(
      requests.map((request) => refusals(() => this.#decide(connection, request, stored))),
    );
    const pages = decided.filter((outcome): outcome is DecidedPage => 'plan' in outcome);
    const previous = await this.#previous(uid, pages, stored);
    const fields = await this.#changedFields(connection, pages, previous);
    return Promise.all(
      decided.map(async (outcome) =>
        'plan' in outcome ? this.#assemble(connection, outcome, previous, fields) : outcome,
      ),
    );
  }

  /** Before the pages are committed, for what they bring is a fact by now. */
  async #noteArrivals(requests: readonly PageRequest[]): Promise<void> {
    for (const { lease, page, run } of requests)
      if (lease.kind !== FULL)
        await this.arrivals.brought(
          run,
          page.observations.map(({ id }) => id),
        );
  }

  async #decide(
    connection: ConnectionDocument,
    request: PageRequest,
    stored: StoredRecords,
  ): Promise<DecidedPage | { readonly missing: readonly number[] }> {
    const { lease, page, run, verified } = request;
    const { _id: uid, scope } = connection;
    // Nobody else's word is taken for it, and not even our own, if it was of another scope.
    if (verified?.uid !== uid || verified.revision !== scope.revision)
      verifyPayloads(page, modelScope(connection, lease.model), lease.model);
    const seen = lease.kind === FULL ? (request.seenKeys ?? (await this.seenKeys.load(run))) : undefined;
    seen?.requireRoom(page.observations.length + page.rejections.length);
    const touched = seen && (await this.seenKeys.touched(run));
    const plan = planCommit(page.observations, page.rejections, {
      runId: lease.runId,
      snapshot: seen !== undefined,
      observedSequence: page.observedSequence,
      stored: (id) => {
        const record = stored.byKey.get(recordKey(uid, lease.model, id));
        return record && toState(record);
      },
      seen: (id) => seen?.has(id) ?? false,
      touched: (id) => touched?.held(id) ?? false,
    });
    if (seen === undefined && plan.stale > 0) throw overtaken(plan.stale);
    if (plan.missing.length > 0) return { missing: plan.missing };
    if (seen === undefined) return { ...request, plan, seen: Buffer.alloc(0) };
    return { ...request, plan, seenKeys: seen, seen: seen.pack([...plan.seenLive, ...plan.seenOther]) };
  }

  async #assemble(
    connection: ConnectionDocument,
    decided: DecidedPage,
    previous: ReadonlyMap<string, RecordDocument>,
    fields: ReadonlyMap<string, readonly string[]>,
  ): Promise<PlannedPage> {
    const { lease, page, plan, run } = decided;
    const { model, runId, kind: cause } = lease;
    const writes = this.#writes(connection, model, plan.changes, previous, fields);
    const snapshot = plan.touched.length > 0 ? await this.runs.openSnapshot(run) : null;
    // A snapshot's page of unchanged records writes and claims nothing that a commit between could make untrue.
    const relies = writes.length > 0 || snapshot !== null;
    const part: CommitPart = {
      ...{ model, runId, cause, writes, marks: [] },
      drafts: this.packs.draft(writes.map(({ change }) => change.observation.payload)),
      reliesOn: relies ? page.observations.map(({ id }) => id) : [],
    };
    return { ...decided, part, snapshot };
  }

  /** Records by key: whole where a page with payloads is likely to replace them, else what deciding needs. */
  async #stored(uid: string, requests: readonly PageRequest[]): Promise<StoredRecords> {
    const keys = requests.flatMap(({ lease, page }) =>
      page.observations.map(({ id }) => recordKey(uid, lease.model, id)),
    );
    const whole = requests.some(({ page }) =>
      page.observations.some(({ payload, deleted }) => deleted || payload !== undefined),
    );
    if (keys.length === 0) return { byKey: new Map(), whole };
    const options = { batchSize: keys.length + 1, ...(whole ? {} : { projection: DECIDING }) };
    const documents = await this.db.records.find({ _id: { $in: keys } }, options).toArray();
    return { byKey: new Map(documents.map((document) => [document._id, document])), whole };
  }

  /** The versions that changes replace, by key. Throws CommitConflict unless they are those that the changes were decided on. */
  async #previous(
    uid: string,
    pages: readonly DecidedPage[],
    stored: StoredRecords,
  ): Promise<ReadonlyMap<string, RecordDocument>> {
    const changes = pages.flatMap(({ lease, plan }) =>
      plan.changes.map(({ observation, version }) => ({
        key: recordKey(uid, lease.model, observation.id),
        before: version - 1,
      })),
    );
    const keys = changes.flatMap(({ key, before }) => (before > 0 ? [key] : []));
    const previous = stored.whole ? stored.byKey : await readRecords(this.db, keys);
    if (changes.some(({ key, before }) => (previous.get(key)?.v ?? 0) !== before))
      throw new CommitConflict('a record changed since it was read');
    return previous;
  }

  /** The fields that updates change, by key of the record. */
  async #changedFields(
    connection: ConnectionDocument,
    pages: readonly DecidedPage[],
    previous: ReadonlyMap<string, RecordDocument>,
  ): Promise<Map<string, string[]>> {
    const fresh = new Map<string, Uint8Array>();
    for (const { lease, plan } of pages) {
      for (const { operation, observation } of plan.changes) {
        if (operation === 'UPDATED' && observation.payload)
          fresh.set(recordKey(connection._id, lease.model, observation.id), observation.payload);
      }
    }
    const documents = [...fresh.keys()].flatMap((key) => previous.get(key) ?? []).sort((a, b) => a.s - b.s);
    const fields = new Map<string, string[]>();
    for await (const [{ _id }, old] of this.packs.payloads(connection, documents)) {
      const payload = fresh.get(_id);
      if (old && payload) fields.set(_id, changedPayloadFields(old, payload));
    }
    return fields;
  }

  /** Adds to each change the version before it, what differs from it, and the hashes of its index fields. */
  #writes(
    connection: ConnectionDocument,
    model: string,
    changes: readonly PlannedChange[],
    previous: ReadonlyMap<string, RecordDocument>,
    fields: ReadonlyMap<string, readonly string[]>,
  ): RecordWrite[] {
    const index = connection.scope.models.find((entry) => entry.model === model)?.index ?? [];
    const keys = this.cabinet.open(connection);
    const hashes = (payload: Uint8Array | undefined): Uint8Array[] =>
      payload && index.length > 0 ? indexHashes(parsePayload(payload, model), model, index, keys) : [];
    return changes.map((change) => {
      const { id, payload } = change.observation;
      const key = recordKey(connection._id, model, id);
      return {
        change,
        previous: change.version > 1 ? previous.get(key) : undefined,
        changedFields: fields.get(key) ?? [],
        hashes: hashes(payload),
      };
    });
  }
}

/** Records as they were read: whole, or what deciding needs. */
interface StoredRecords {
  readonly byKey: ReadonlyMap<string, RecordDocument>;
  readonly whole: boolean;
}

async function refusals<T>(decide: () => Promise<T>): Promise<T | { readonly refused: TidemarkError }> {
  try {
    return await decide();
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    return { refused: error };
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

/** The newest versions of records, by key. */
export async function readRecords(
  db: StoreDatabase,
  keys: readonly string[],
): Promise<Map<string, RecordDocument>> {
  if (keys.length === 0) return new Map();
  const documents = await db.records
    .find({ _id: { $in: [...keys] } }, { batchSize: keys.length + 1 })
    .toArray();
  return new Map(documents.map((document) => [document._id, document]));
}

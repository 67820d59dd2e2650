import { Binary, type AnyBulkWriteOperation, type ClientSession } from 'mongodb';
import type { PlannedChange } from './commit-plan.js';
import {
  modelKey,
  OPERATION,
  recordKey,
  type ClockDocument,
  type CommitDocument,
  type ConnectionDocument,
  type ModelDocument,
  type PackDocument,
  type RecordDocument,
  type StoreDatabase,
  type VersionDocument,
} from './mongo-collections.js';
import type { MongoPacks, PackDraft } from './mongo-packs.js';

/** Something that a commit was planned on is not so any more, so that it has to be planned again. */
export class CommitConflict extends Error {
  override readonly name = 'CommitConflict';
}

/** A planned change with what it needs of the version before. */
export interface RecordWrite {
  readonly change: PlannedChange;
  /** The newest version before this one; undefined for a record never seen. */
  readonly previous: RecordDocument | undefined;
  readonly changedFields: readonly string[];
  /** Of the index fields. */
  readonly hashes: readonly Uint8Array[];
  /** Where no observation made this version: the sequence of the one before that one did. */
  readonly observed?: number;
}

/** What one run does in a commit: an entry of the log for its changes, and one for each marker. */
export interface CommitPart {
  readonly model: string;
  readonly runId: string;
  /** In the contract's numbers of Cause. */
  readonly cause: number;
  readonly writes: readonly RecordWrite[];
  /** The compressed payloads of the writes. */
  readonly drafts: readonly PackDraft[];
  /** In the contract's numbers of MarkerKind. */
  readonly marks: readonly number[];
  /** Ids of all records that the plan relies on: it falls if one of them has changed since. */
  readonly reliesOn: readonly string[];
}

/** A commit ready to be written: its payloads are sealed for the sequences that it gets if nobody commits before it. */
export interface PreparedCommit {
  readonly connection: ConnectionDocument;
  /** The connection's sequence when what it was planned on was read. */
  readonly head: number;
  /** The one that it is written after if no other commit comes between. */
  readonly expected: number;
  readonly parts: readonly CommitPart[];
  readonly packs: readonly PackDocument[];
}

/** A part without changes and markers. */
export const NO_WRITES = { writes: [], drafts: [], marks: [], reliesOn: [] } as const;

/** Writes changes inside a transaction (R2). */
export class MongoChangeWriter {
  constructor(
    readonly db: StoreDatabase,
    readonly packs: MongoPacks,
  ) {}

  /**
   * Seals what a commit writes, outside its transaction: while that lasts, no other of the connection gets on. `expected` is
   * beyond `head` where a commit of ours that concerns none of its records is still being written.
   */
  prepare(
    connection: ConnectionDocument,
    head: number,
    parts: readonly CommitPart[],
    expected = head,
  ): PreparedCommit {
    return { connection, head, expected, parts, packs: this.#seal(connection, expected, parts) };
  }

  /**
   * Writes a commit: the clock first, then superseded versions, records, payloads, log entries and counts. Sequences
   * follow the connection's; returns the one before them. Throws CommitConflict if the plan does not hold any more.
   */
  async write(session: ClientSession, commit: PreparedCommit): Promise<number> {
    const { connection, expected, parts } = commit;
    const count = sequencesOfAll(parts);
    if (count === 0) {
      await this.#requireUnchanged(session, commit);
      return expected;
    }
    const clock = await this.#moveClock(session, commit, count);
    const before = clock.seq - count;
    if (before !== expected) await this.#requireUnchanged(session, commit);
    const packs = before === expected ? commit.packs : this.#seal(connection, before, parts);
    const placed = placeParts(connection._id, parts, before, clock.at, packs);
    await this.#writeVersions(session, placed);
    await this.#writeRecords(session, placed);
    await this.packs.insert(session, [...packs]);
    await this.db.commits.insertMany(
      placed.flatMap((part) => toCommits(connection._id, part)),
      { session },
    );
    await this.#countLive(session, connection._id, parts);
    return before;
  }

  #seal(connection: ConnectionDocument, head: number, parts: readonly CommitPart[]): PackDocument[] {
    let before = head;
    return parts.flatMap((part) => {
      const packs = this.packs.seal(connection, part.model, part.drafts, before + 1);
      before += sequencesOf(part);
      return packs;
    });
  }

  /** Each entry of the log has a time of its own: a watcher who has seen one has seen everything up to its time. */
  async #moveClock(
    session: ClientSession,
    { connection, parts }: PreparedCommit,
    count: number,
  ): Promise<ClockDocument> {
    const entries = parts.reduce((sum, part) => sum + entriesOf(part), 0);
    const changes = parts.reduce((sum, { writes }) => sum + writes.length, 0);
    const clock = await this.db.clocks.findOneAndUpdate(
      { _id: connection._id },
      [
        {
          $set: {
            seq: { $add: ['$seq', count] },
            changes: { $add: ['$changes', changes] },
            at: { $max: [{ $add: ['$at', entries] }, '$$NOW'] },
          },
        },
      ],
      { session, returnDocument: 'after' },
    );
    if (clock === null) throw new CommitConflict('the connection was removed');
    if (clock.scope !== connection.scope.revision) throw new CommitConflict('the scope changed');
    return clock;
  }

  /** Other commits came between: that is no harm unless they changed a record that this one was planned on. */
  async #requireUnchanged(
    session: ClientSession,
    { connection, head, parts }: PreparedCommit,
  ): Promise<void> {
    const keys = parts.flatMap(({ model, reliesOn }) =>
      reliesOn.map((id) => recordKey(connection._id, model, id)),
    );
    if (keys.length === 0) return;
    const changed = await this.db.records.findOne(
      { _id: { $in: keys }, s: { $gt: head } },
      { session, projection: { _id: 1 } },
    );
    if (changed !== null) throw new CommitConflict('a record changed since it was read');
  }

  async #writeVersions(session: ClientSession, placed: readonly PlacedPart[]): Promise<void> {
    const superseded = placed.flatMap(({ part, records }) =>
      part.writes.flatMap(({ previous }, index) => {
        const record = records[index];
        return previous && record ? [toVersion(previous, record)] : [];
      }),
    );
    if (superseded.length > 0) await this.db.versions.insertMany(superseded, { session });
  }

  async #writeRecords(session: ClientSession, placed: readonly PlacedPart[]): Promise<void> {
    const pairs = placed.flatMap(({ part, records }) =>
      records.map((record, index) => ({ record, previous: part.writes[index]?.previous })),
    );
    const created = pairs.filter(({ previous }) => previous === undefined).map(({ record }) => record);
    if (created.length > 0) await this.db.records.insertMany(created, { session });
    const replaced = pairs.flatMap(({ record, previous }): AnyBulkWriteOperation<RecordDocument>[] =>
      previous === undefined
        ? []
        : [{ replaceOne: { filter: { _id: record._id, v: previous.v }, replacement: record } }],
    );
    if (replaced.length === 0) return;
    const { matchedCount } = await this.db.records.bulkWrite(replaced, { session });
    if (matchedCount !== replaced.length) throw new CommitConflict('a record changed since it was read');
  }

  async #countLive(session: ClientSession, c: string, parts: readonly CommitPart[]): Promise<void> {
    const live = new Map<string, number>();
    for (const { model, writes } of parts) {
      const delta = writes.reduce((sum, { change }) => sum + liveDelta(change.operation), 0);
      live.set(model, (live.get(model) ?? 0) + delta);
    }
    const updates = [...live].flatMap(([m, delta]): AnyBulkWriteOperation<ModelDocument>[] =>
      delta === 0
        ? []
        : [
            {
              updateOne: {
                filter: { _id: modelKey(c, m) },
                update: { $inc: { live: delta }, $setOnInsert: { c, m } },
                upsert: true,
              },
            },
          ],
    );
    if (updates.length > 0) await this.db.models.bulkWrite(updates, { session });
  }
}

/** A part with the sequences, times and places of its payloads. */
interface PlacedPart {
  readonly part: CommitPart;
  readonly records: readonly RecordDocument[];
  /** Sequence before its first. */
  readonly before: number;
  /** Time of its first log entry; one more millisecond for each that follows. */
  readonly at: Date;
}

/** Sequences that parts take. */
export function sequencesOfAll(parts: readonly CommitPart[]): number {
  return parts.reduce((sum, part) => sum + sequencesOf(part), 0);
}

function sequencesOf({ writes, marks }: CommitPart): number {
  return writes.length + marks.length;
}

function entriesOf({ writes, marks }: CommitPart): number {
  return (writes.length > 0 ? 1 : 0) + marks.length;
}

/** `last` is the time of the commit's last log entry. */
function placeParts(
  c: string,
  parts: readonly CommitPart[],
  head: number,
  last: Date,
  packs: readonly PackDocument[],
): PlacedPart[] {
  let before = head;
  let entry = parts.reduce((sum, part) => sum + entriesOf(part), 0);
  let pack = 0;
  return parts.map((part) => {
    const at = new Date(last.getTime() - (entry - 1));
    const first = before + 1;
    const records = part.writes.map((write, index) => {
      const s = first + index;
      while ((packs[pack]?._id.n ?? Infinity) < s) pack++;
      return toRecord(c, part, write, s, at, packs[pack]?._id.n);
    });
    const placed = { part, records, before, at };
    before += sequencesOf(part);
    entry -= entriesOf(part);
    return placed;
  });
}

function toRecord(
  c: string,
  { model, cause, runId }: CommitPart,
  { change, changedFields, hashes, previous, observed }: RecordWrite,
  s: number,
  at: Date,
  pack: number | undefined,
): RecordDocument {
  const { observation, operation, version } = change;
  const document: RecordDocument = {
    _id: recordKey(c, model, observation.id),
    ...{ c, m: model, v: version, s, at, o: OPERATION[operation], u: cause, r: runId },
  };
  if (operation === 'DELETED') {
    if (previous?.h !== undefined) document.h = previous.h;
    return document;
  }
  document.f = new Binary(observation.fingerprint);
  if (observed !== undefined) document.os = observed;
  if (pack !== undefined) document.k = pack;
  if (hashes.length > 0) document.h = hashes.map((hash) => new Binary(hash));
  if (changedFields.length > 0) document.x = [...changedFields];
  return document;
}

function toVersion(previous: RecordDocument, { s: us, at: until }: RecordDocument): VersionDocument {
  const { _id, f: _fingerprint, h: _hashes, os: _observed, x = [], ...rest } = previous;
  return { _id: { k: _id, v: rest.v }, ...rest, ...(x.length > 0 ? { x } : {}), until, us };
}

function toCommits(c: string, { part, records, before, at }: PlacedPart): CommitDocument[] {
  const { model: m, runId: r, cause: u, writes, marks } = part;
  const entries: CommitDocument[] = [];
  const last = before + writes.length;
  if (writes.length > 0)
    entries.push({ _id: { c, n: last }, c, f: before + 1, at, m, r, u, ...changesOf(part, records) });
  marks.forEach((mark, index) => {
    const n = last + 1 + index;
    const time = new Date(at.getTime() + entries.length);
    entries.push({
      _id: { c, n },
      c,
      f: n,
      at: time,
      m,
      r,
      u,
      i: [],
      v: [],
      o: new Binary(new Uint8Array(0)),
      x: {},
      mark,
    });
  });
  return entries;
}

function changesOf(
  { writes }: CommitPart,
  records: readonly RecordDocument[],
): Pick<CommitDocument, 'i' | 'v' | 'o' | 'x'> {
  const fields = writes.flatMap(({ changedFields }, index) =>
    changedFields.length > 0 ? [[String(index), [...changedFields]] as [string, string[]]] : [],
  );
  return {
    i: writes.map(({ change }) => change.observation.id),
    v: records.map(({ v }) => v),
    o: new Binary(Uint8Array.from(records, ({ o }) => o)),
    x: Object.fromEntries(fields),
  };
}

function liveDelta(operation: PlannedChange['operation']): number {
  if (operation === 'UPDATED') return 0;
  return operation === 'DELETED' ? -1 : 1;
}

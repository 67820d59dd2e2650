import {
  canonicalJson,
  compileScope,
  fingerprint,
  fingerprintKey,
  splitPath,
  type ScopeNode,
} from '@tidemark/model';
import { withTransaction } from '@tidemark/mongo';
import { Binary, type AnyBulkWriteOperation, type ClientSession } from 'mongodb';
import { parsePayload } from './commit-page.js';
import type { KeyCabinet } from './connection-keys.js';
import { indexHashes } from './index-fields.js';
import { SCOPE } from './lease.js';
import {
  CommitConflict,
  type CommitPart,
  type MongoChangeWriter,
  type RecordWrite,
} from './mongo-change-writer.js';
import {
  idOfKey,
  numberRange,
  type CommitDocument,
  type ConnectionDocument,
  type PackDocument,
  type PurgeDocument,
  type RecordDocument,
  type StoreDatabase,
  type VersionDocument,
} from './mongo-collections.js';
import { scopeNode } from './mongo-connections.js';
import { cutPayload, type MongoPacks } from './mongo-packs.js';
import { scopeRun } from './mongo-scope-changes.js';
import { encodePack, type Pack } from './pack.js';

/** What a purge counts. */
export type PurgeCounts = Partial<
  Pick<PurgeDocument, 'changedRecords' | 'removedRecords' | 'purgedVersions'>
>;

/** A payload of a pack, and what is left of it. */
interface CutEntry {
  readonly sequence: number;
  readonly payload: Uint8Array;
  readonly changed: boolean;
}

/** Purges one pack, and what its payloads left in records, history and log, in one transaction. */
export class MongoPackPurge {
  constructor(
    readonly db: StoreDatabase,
    readonly cabinet: KeyCabinet,
    readonly packs: MongoPacks,
    readonly writer: MongoChangeWriter,
  ) {}

  /** Seals a pack under the purge's key, less what the scope no longer allows. Throws CommitConflict. */
  async sealAnew(connection: ConnectionDocument, purge: PurgeDocument, pack: PackDocument): Promise<void> {
    const { _id, e, m } = pack;
    if (purge.removed.includes(m)) {
      await this.db.packs.deleteOne({ _id, e });
    } else if (purge.narrowed.includes(m) || purge.indexed.includes(m)) {
      await this.#cut(connection, purge, pack);
    } else {
      const encoded = this.packs.unseal(connection, pack);
      await this.#replace(undefined, pack, this.packs.toDocument(connection, m, _id.n, encoded));
    }
  }

  /** Adds to what a purge counts. Throws CommitConflict if the scope has changed again. */
  async count(
    session: ClientSession,
    connection: ConnectionDocument,
    purge: PurgeDocument,
    counts: PurgeCounts,
  ): Promise<void> {
    const $inc = Object.fromEntries(Object.entries(counts).map(([name, by]) => [`purge.${name}`, by]));
    const { matchedCount } = await this.db.connections.updateOne(
      { _id: connection._id, 'purge.revision': purge.revision },
      { $inc },
      { session },
    );
    if (matchedCount !== 1) throw new CommitConflict('the scope changed again');
  }

  async #cut(connection: ConnectionDocument, purge: PurgeDocument, stored: PackDocument): Promise<void> {
    const c = connection._id;
    const { m, _id } = stored;
    const scope = scopeNode(connection, m) ?? compileScope([]);
    const opened = this.packs.open(connection, stored);
    const entries = cutEntries(opened, scope);
    const first = entries[0]?.sequence ?? _id.n;
    const range = { c, m, s: { $gte: first, $lte: _id.n } };
    const clock = await this.db.clocks.findOne({ _id: c });
    const live = (await this.db.records.find(range).sort({ s: 1 }).toArray()).filter(({ k }) => k === _id.n);
    const history = await this.db.versions.find({ ...range, x: { $exists: true } }).toArray();
    const log = await this.db.commits.find({ _id: numberRange(c, first - 1, _id.n) } as object).toArray();
    const part = this.#part(connection, purge, m, entries, live);
    const commit = this.writer.prepare(connection, clock?.seq ?? 0, [part]);
    const encoded = encodePack(entries.map(({ sequence, payload }) => ({ back: _id.n - sequence, payload })));
    const fresh = this.packs.toDocument(connection, m, _id.n, encoded);
    const changedRecords = part.writes.length;
    const purgedVersions = entries.filter(({ changed }) => changed).length - changedRecords;
    await withTransaction(this.db.client, async (session) => {
      await this.writer.write(session, commit);
      await this.#replace(session, stored, fresh);
      await this.#rewriteRecords(session, connection, entries, live, scope);
      await bulk(
        this.db.versions,
        session,
        history.flatMap((version) => cutNames(version, scope)),
      );
      await bulk(
        this.db.commits,
        session,
        log.flatMap((entry) => cutLog(entry, m, scope)),
      );
      await this.count(session, connection, purge, { changedRecords, purgedVersions });
    });
  }

  /** Only a pack that is still as it was read. */
  async #replace(session: ClientSession | undefined, old: PackDocument, fresh: PackDocument): Promise<void> {
    const { matchedCount } = await this.db.packs.replaceOne(
      { _id: old._id, e: old.e, p: old.p },
      fresh,
      session ? { session } : {},
    );
    if (matchedCount !== 1) throw new CommitConflict('the pack changed since it was read');
  }

  /** New versions of the live records that lose content. */
  #part(
    connection: ConnectionDocument,
    { revision }: PurgeDocument,
    model: string,
    entries: readonly CutEntry[],
    live: readonly RecordDocument[],
  ): CommitPart {
    const payloads = new Map(
      entries.filter(({ changed }) => changed).map((entry) => [entry.sequence, entry.payload]),
    );
    const scope = scopeNode(connection, model) ?? compileScope([]);
    const writes = live.flatMap((record) => {
      const payload = payloads.get(record.s);
      const names = (record.x ?? []).filter((path) => allows(scope, path));
      return payload ? [this.#write(connection, model, { ...record, x: names }, payload)] : [];
    });
    return {
      ...{ model, runId: scopeRun(revision), cause: SCOPE, writes, marks: [] },
      drafts: this.packs.draft(writes.map(({ change }) => change.observation.payload)),
      reliesOn: live.map(({ _id }) => idOfKey(_id, model, connection._id)),
    };
  }

  #write(
    connection: ConnectionDocument,
    model: string,
    previous: RecordDocument,
    payload: Uint8Array,
  ): RecordWrite {
    const keys = this.cabinet.open(connection);
    const value = parsePayload(payload, model);
    const observation = {
      id: idOfKey(previous._id, model, connection._id),
      fingerprint: fingerprint(fingerprintKey(keys.fingerprintKey), canonicalJson(value).identity),
      payload,
      deleted: false,
    };
    return {
      change: { observation, operation: 'UPDATED', version: previous.v + 1 },
      previous,
      changedFields: [],
      hashes: indexHashes(value, model, indexOf(connection, model), keys),
      observed: previous.os ?? previous.s,
    };
  }

  /** Records that keep their content still get their index hashes, and lose the names of changed fields out of scope. */
  async #rewriteRecords(
    session: ClientSession,
    connection: ConnectionDocument,
    entries: readonly CutEntry[],
    live: readonly RecordDocument[],
    scope: ScopeNode,
  ): Promise<void> {
    const kept = new Map(
      entries.filter(({ changed }) => !changed).map((entry) => [entry.sequence, entry.payload]),
    );
    const keys = this.cabinet.open(connection);
    const updates = live.flatMap(({ _id, s, m, x = [] }): AnyBulkWriteOperation<RecordDocument>[] => {
      const payload = kept.get(s);
      if (payload === undefined) return [];
      const hashes = indexHashes(parsePayload(payload, m), m, indexOf(connection, m), keys);
      const names = x.filter((path) => allows(scope, path));
      const update = {
        $set: {
          ...(hashes.length > 0 ? { h: hashes.map((hash) => new Binary(hash)) } : {}),
          ...(names.length > 0 ? { x: names } : {}),
        },
        $unset: {
          ...(hashes.length > 0 ? {} : { h: 1 as const }),
          ...(names.length > 0 ? {} : { x: 1 as const }),
        },
      };
      return [{ updateOne: { filter: { _id, s }, update } }];
    });
    await bulk(this.db.records, session, updates);
  }
}

async function bulk<T extends object>(
  collection: {
    bulkWrite(operations: AnyBulkWriteOperation<T>[], options: { session: ClientSession }): Promise<unknown>;
  },
  session: ClientSession,
  operations: AnyBulkWriteOperation<T>[],
): Promise<void> {
  if (operations.length > 0) await collection.bulkWrite(operations, { session });
}

function cutEntries(pack: Pack, scope: ScopeNode): CutEntry[] {
  return pack.sequences.map((sequence) => {
    const before = pack.get(sequence) ?? new Uint8Array(0);
    const payload = cutPayload(before, scope);
    return { sequence, payload, changed: Buffer.compare(before, payload) !== 0 };
  });
}

function cutNames(
  { _id, x = [] }: VersionDocument,
  scope: ScopeNode,
): AnyBulkWriteOperation<VersionDocument>[] {
  const names = x.filter((path) => allows(scope, path));
  if (names.length === x.length) return [];
  const update = names.length > 0 ? { $set: { x: names } } : { $unset: { x: 1 as const } };
  return [{ updateOne: { filter: { _id }, update } }];
}

function cutLog(
  { _id, m, x }: CommitDocument,
  model: string,
  scope: ScopeNode,
): AnyBulkWriteOperation<CommitDocument>[] {
  if (m !== model || Object.keys(x).length === 0) return [];
  const kept = Object.entries(x).map(
    ([index, paths]) => [index, paths.filter((path) => allows(scope, path))] as const,
  );
  const fields = Object.fromEntries(kept.filter(([, paths]) => paths.length > 0));
  return [{ updateOne: { filter: { _id }, update: { $set: { x: fields } } } }];
}

/** Whether a field's name may be told: it, or something below it, is allowed. */
function allows(scope: ScopeNode, path: string): boolean {
  let node: ScopeNode | undefined = scope;
  for (const name of splitPath(path)) {
    if (node.all) return true;
    node = node.children.get(name);
    if (node === undefined) return false;
  }
  return true;
}

function indexOf(connection: ConnectionDocument, model: string): readonly string[] {
  return connection.scope.models.find((entry) => entry.model === model)?.index ?? [];
}

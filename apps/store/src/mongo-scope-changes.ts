import { withTransaction } from '@tidemark/mongo';
import { Binary, type ClientSession, type UpdateFilter } from 'mongodb';
import type { KeyCabinet } from './connection-keys.js';
import { SCOPE } from './lease.js';
import { MARKER } from './marker.js';
import { NO_WRITES, type MongoChangeWriter } from './mongo-change-writer.js';
import type { ConnectionDocument, PurgeDocument, StoreDatabase } from './mongo-collections.js';
import { copyScope, notFound, removing } from './mongo-connections.js';
import { compareScopes, mergeChanges, needsPurge, type ScopeSpec } from './scope-change.js';

/** Replaces scopes: at once for all that is written and read from then on; what is stored is the purge's to do. */
export class MongoScopeChanges {
  constructor(
    readonly db: StoreDatabase,
    readonly cabinet: KeyCabinet,
    readonly writer: MongoChangeWriter,
  ) {}

  /** Replaces a connection's scope by one of a higher revision; another one changes nothing. Watchers are told. */
  async apply(connection: ConnectionDocument, scope: ScopeSpec): Promise<ConnectionDocument> {
    if (scope.revision <= connection.scope.revision) return connection;
    return withTransaction(this.db.client, (session) => this.#replace(session, connection._id, scope));
  }

  /** The clock carries the revision, so that no commit verified under the one before lands any more. */
  async #replace(session: ClientSession, _id: string, scope: ScopeSpec): Promise<ConnectionDocument> {
    const clock = await this.db.clocks.findOneAndUpdate(
      { _id },
      { $max: { scope: scope.revision } },
      { session, returnDocument: 'after' },
    );
    const current = await this.db.connections.findOne({ _id }, { session });
    if (clock === null || current === null) throw notFound();
    if (current.removing) throw removing();
    if (current.scope.revision >= scope.revision) return current;
    const after = await this.db.connections.findOneAndUpdate({ _id }, this.#update(current, scope), {
      session,
      returnDocument: 'after',
    });
    if (after === null) throw notFound();
    const part = { ...NO_WRITES, model: '', runId: scopeRun(scope.revision), cause: SCOPE };
    const marker = { ...part, marks: [MARKER.SCOPE_CHANGED] };
    await this.writer.write(session, this.writer.prepare(after, clock.seq, [marker]));
    return after;
  }

  #update(current: ConnectionDocument, scope: ScopeSpec): UpdateFilter<ConnectionDocument> {
    const change = compareScopes(current.scope, scope);
    const $set: Partial<ConnectionDocument> = { scope: copyScope(scope) };
    if (change.narrowed.length + change.removed.length > 0) $set.floor = scope.revision;
    if (!needsPurge(change)) return { $set };
    const { narrowed, removed, indexed } = mergeChanges(current.purge, change);
    // Everything is sealed anew under it, and the key before is destroyed: so no copy of what was purged can be read.
    const e = Math.max(...current.payloadKeys.map((key) => key.e)) + 1;
    $set.purge = {
      ...(current.purge ?? newPurge()),
      ...{ revision: scope.revision, e },
      ...{ narrowed: [...narrowed], removed: [...removed], indexed: [...indexed] },
    };
    const key = new Binary(this.cabinet.create(current._id));
    return { $set, $push: { payloadKeys: { e, key } } };
  }
}

/** Stands for the run in changes that a change of the scope made. */
export function scopeRun(revision: number): string {
  return `scope-${revision}`;
}

function newPurge(): PurgeDocument {
  return {
    ...{ revision: 0, e: 0, narrowed: [], removed: [], indexed: [], startedAt: new Date() },
    ...{ changedRecords: 0, removedRecords: 0, purgedVersions: 0, purgedQuarantine: 0 },
  };
}

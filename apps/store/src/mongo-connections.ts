import { randomBytes } from 'node:crypto';
import { compileScope, scopeContains, TidemarkError, type ScopeNode } from '@tidemark/model';
import { isDuplicateKey } from '@tidemark/mongo';
import { Binary } from 'mongodb';
import type { ConnectionDocument, StoreDatabase } from './mongo-collections.js';

/** A connection's scope as callers give it. */
export interface ScopeSpec {
  readonly revision: number;
  readonly models: readonly { readonly model: string; readonly fields: readonly string[] }[];
}

const REMOVE_BATCH = 2_000;
const KNOWN_CONNECTIONS = 1_000;

/** The connections that the store knows, by tenant and name. */
export class MongoConnections {
  readonly #known = new Map<string, ConnectionDocument>();

  constructor(readonly db: StoreDatabase) {}

  /** Makes a connection known or widens its scope; returns its generation. Throws SCOPE_NARROWING_UNSUPPORTED. */
  async open(tenant: string, name: string, scope: ScopeSpec): Promise<string> {
    const existing = await this.db.connections.findOne({ tenant, name });
    if (existing === null) return this.#create(tenant, name, scope);
    if (existing.removing) throw removing();
    if (scope.revision > existing.scope.revision) {
      refuseNarrowing(existing.scope, scope);
      await this.db.connections.updateOne(
        { _id: existing._id, 'scope.revision': { $lt: scope.revision } },
        { $set: { scope: copyScope(scope) } },
      );
    }
    return existing._id;
  }

  async #create(tenant: string, name: string, scope: ScopeSpec): Promise<string> {
    const uid = randomBytes(9).toString('base64url');
    // The clock first: a connection that can be found has one.
    await this.db.clocks.insertOne({ _id: uid, seq: 0, at: new Date(0) });
    try {
      await this.db.connections.insertOne({
        _id: uid,
        tenant,
        name,
        fingerprintKey: new Binary(randomBytes(32)),
        scope: copyScope(scope),
      });
      return uid;
    } catch (error) {
      await this.db.clocks.deleteOne({ _id: uid });
      if (isDuplicateKey(error)) return this.open(tenant, name, scope);
      throw error;
    }
  }

  /** The connection; CONNECTION_NOT_FOUND if the tenant has none of that name. */
  async get(tenant: string, name: string): Promise<ConnectionDocument> {
    return this.#keep(await this.db.connections.findOne({ tenant, name }));
  }

  /** The connection as it was last read here, if it was; `refresh` it before relying on it. */
  known(tenant: string, name: string): ConnectionDocument | undefined {
    return this.#known.get(`${tenant}\0${name}`);
  }

  /** The connection as it is now; CONNECTION_NOT_FOUND if it was removed, even if another one has its name. */
  async refresh(connection: ConnectionDocument): Promise<ConnectionDocument> {
    const current = await this.db.connections.findOne({ _id: connection._id });
    if (current === null) this.#known.delete(`${connection.tenant}\0${connection.name}`);
    return this.#keep(current);
  }

  #keep(connection: ConnectionDocument | null): ConnectionDocument {
    if (connection === null || connection.removing) throw notFound();
    if (this.#known.size >= KNOWN_CONNECTIONS) this.#known.clear();
    this.#known.set(`${connection.tenant}\0${connection.name}`, connection);
    return connection;
  }

  /** All connections of a tenant, by name; at most `limit`. */
  async list(tenant: string, limit: number): Promise<ConnectionDocument[]> {
    return this.db.connections
      .find({ tenant, removing: { $exists: false } })
      .sort({ name: 1 })
      .limit(limit)
      .toArray();
  }

  /** Removes a batch of a connection's data; call again until `done`. A connection unknown is done. */
  async remove(tenant: string, name: string): Promise<{ done: boolean; removedRecords: number }> {
    const connection = await this.db.connections.findOneAndUpdate(
      { tenant, name },
      { $set: { removing: true } },
    );
    if (connection === null) return { done: true, removedRecords: 0 };
    const uid = connection._id;
    // Runs first: without them no writer gets past its fence.
    await this.db.runs.deleteMany({ c: uid });
    const removedRecords = await this.#removeBatch(uid);
    if (removedRecords > 0) return { done: false, removedRecords };
    for (const collection of [this.db.seen, this.db.models, this.db.quarantine, this.db.markers]) {
      await collection.deleteMany({ c: uid });
    }
    await this.db.clocks.deleteOne({ _id: uid });
    await this.db.connections.deleteOne({ _id: uid });
    return { done: true, removedRecords };
  }

  async #removeBatch(uid: string): Promise<number> {
    const records = await this.db.records
      .find({ c: uid }, { projection: { _id: 1 } })
      .limit(REMOVE_BATCH)
      .toArray();
    const versions = await this.db.versions
      .find({ c: uid }, { projection: { _id: 1 } })
      .limit(REMOVE_BATCH)
      .toArray();
    const commits = await this.db.commits
      .find({ c: uid }, { projection: { _id: 1 } })
      .limit(REMOVE_BATCH)
      .toArray();
    await this.db.records.deleteMany({ _id: { $in: records.map(({ _id }) => _id) } });
    await this.db.versions.deleteMany({ _id: { $in: versions.map(({ _id }) => _id) } });
    await this.db.commits.deleteMany({ _id: { $in: commits.map(({ _id }) => _id) } });
    return Math.max(records.length, versions.length, commits.length);
  }
}

/** The compiled scope of a connection's model; MODEL_NOT_FOUND if the model is out of scope. */
export function modelScope(connection: ConnectionDocument, model: string): ScopeNode {
  const entry = connection.scope.models.find((candidate) => candidate.model === model);
  if (entry === undefined)
    throw new TidemarkError('MODEL_NOT_FOUND', 'the connection has no such model in its scope');
  return compileScope(entry.fields);
}

/** The error for a connection that the tenant does not have; another tenant's looks the same. */
export function notFound(): TidemarkError {
  return new TidemarkError(
    'CONNECTION_NOT_FOUND',
    'no such connection; `tidemark connections list` shows those there are',
  );
}

function removing(): TidemarkError {
  return new TidemarkError(
    'CONNECTION_EXISTS',
    'a connection of this name is being deleted; try again when that is done',
  );
}

function refuseNarrowing(before: ScopeSpec, after: ScopeSpec): void {
  for (const { model, fields } of before.models) {
    const wider = after.models.find((candidate) => candidate.model === model);
    if (wider === undefined || !scopeContains(compileScope(wider.fields), compileScope(fields))) {
      const message = `the new scope leaves out part of model ${model}; delete the connection and create it with the narrower scope`;
      throw new TidemarkError('SCOPE_NARROWING_UNSUPPORTED', message);
    }
  }
}

function copyScope(scope: ScopeSpec): ConnectionDocument['scope'] {
  return {
    revision: scope.revision,
    models: scope.models.map(({ model, fields }) => ({ model, fields: [...fields] })),
  };
}

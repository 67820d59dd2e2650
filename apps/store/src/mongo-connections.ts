import { randomBytes } from 'node:crypto';
import { compileScope, TidemarkError, type ScopeNode } from '@tidemark/model';
import { isDuplicateKey } from '@tidemark/mongo';
import { Binary } from 'mongodb';
import type { KeyCabinet } from './connection-keys.js';
import type { ConnectionDocument, ScopeDocument, StoreDatabase } from './mongo-collections.js';
import type { ScopeSpec } from './scope-change.js';

const KNOWN_CONNECTIONS = 1_000;

/** The connections that the store knows, by tenant and name. */
export class MongoConnections {
  readonly #known = new Map<string, ConnectionDocument>();

  constructor(
    readonly db: StoreDatabase,
    readonly cabinet: KeyCabinet,
  ) {}

  /** Makes a connection known; one that is known already is returned as it is. */
  async open(tenant: string, name: string, scope: ScopeSpec): Promise<ConnectionDocument> {
    const existing = await this.db.connections.findOne({ tenant, name });
    if (existing === null) return this.#create(tenant, name, scope);
    if (existing.removing) throw removing();
    return existing;
  }

  async #create(tenant: string, name: string, scope: ScopeSpec): Promise<ConnectionDocument> {
    const uid = randomBytes(9).toString('base64url');
    // The clock first: a connection that can be found has one.
    await this.db.clocks.insertOne({ _id: uid, seq: 0, at: new Date(0), changes: 0, scope: scope.revision });
    const connection: ConnectionDocument = {
      _id: uid,
      tenant,
      name,
      identityKey: new Binary(this.cabinet.create(uid)),
      payloadKeys: [{ e: 1, key: new Binary(this.cabinet.create(uid)) }],
      scope: copyScope(scope),
      floor: 0,
      horizon: { history: 0, historyAt: new Date(0), log: 0, logAt: new Date(0) },
    };
    try {
      await this.db.connections.insertOne(connection);
      return connection;
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
}

/** The compiled scope of a connection's model; undefined if the model is out of scope. */
export function scopeNode(connection: ConnectionDocument, model: string): ScopeNode | undefined {
  const entry = connection.scope.models.find((candidate) => candidate.model === model);
  return entry && compileScope(entry.fields);
}

/** The compiled scope of a connection's model; MODEL_NOT_FOUND if the model is out of scope. */
export function modelScope(connection: ConnectionDocument, model: string): ScopeNode {
  const scope = scopeNode(connection, model);
  if (scope === undefined)
    throw new TidemarkError('MODEL_NOT_FOUND', 'the connection has no such model in its scope');
  return scope;
}

/** The error for a connection that the tenant does not have; another tenant's looks the same. */
export function notFound(): TidemarkError {
  return new TidemarkError(
    'CONNECTION_NOT_FOUND',
    'no such connection; `tidemark connections list` shows those there are',
  );
}

/** The error for a connection whose data is being removed. */
export function removing(): TidemarkError {
  return new TidemarkError(
    'CONNECTION_EXISTS',
    'a connection of this name is being deleted; try again when that is done',
  );
}

/** A scope as it is stored. */
export function copyScope(scope: ScopeSpec): ScopeDocument {
  return {
    revision: scope.revision,
    models: scope.models.map(({ model, fields, index }) => ({
      model,
      fields: [...fields],
      index: [...index],
    })),
  };
}

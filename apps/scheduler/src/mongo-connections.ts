import { TidemarkError, type ConnectionState, type Intervals } from '@tidemark/model';
import { isDuplicateKey, withTransaction } from '@tidemark/mongo';
import { Binary, type Filter, type UpdateFilter } from 'mongodb';
import { connectionKey, isSameConnection, type Connection, type ConnectionKey } from './connection.js';
import type { Connections } from './connections.js';
import type { ConnectionDocument, ControlDatabase } from './mongo-collections.js';

/** Connections in the control database. */
export class MongoConnections implements Connections {
  constructor(private readonly db: ControlDatabase) {}

  async insert(connection: Connection): Promise<void> {
    try {
      await this.db.connections.insertOne(toDocument(connection));
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
      throw new TidemarkError('CONNECTION_EXISTS', `a connection named ${connection.id} exists already`);
    }
  }

  async find(key: ConnectionKey): Promise<Connection | undefined> {
    const document = await this.db.connections.findOne(keyFilter(key));
    return document === null ? undefined : fromDocument(document);
  }

  async stateOf(key: ConnectionKey): Promise<ConnectionState | undefined> {
    return (await this.db.connections.findOne(keyFilter(key), { projection: { state: 1 } }))?.state;
  }

  async list(tenantId: string, limit: number, after = ''): Promise<Connection[]> {
    const documents = await this.db.connections
      .find({ tenant: tenantId, connection: { $gt: after } })
      .sort({ connection: 1 })
      .limit(limit)
      .toArray();
    return documents.map(fromDocument);
  }

  async replace(connection: Connection): Promise<Connection | undefined> {
    const { _id, ...rest } = toDocument({ ...connection, revision: connection.revision + 1 });
    const result = await this.db.connections.findOneAndReplace(
      { ...keyFilter(connection), revision: connection.revision },
      rest,
      { returnDocument: 'after' },
    );
    return result === null ? undefined : fromDocument(result);
  }

  async changeState(
    key: ConnectionKey,
    from: readonly ConnectionState[],
    to: ConnectionState,
    reason: string,
  ): Promise<Connection | undefined> {
    const result = await this.db.connections.findOneAndUpdate(
      { ...keyFilter(key), state: { $in: from } },
      { $set: { state: to, stateReason: reason }, $inc: { revision: 1 } },
      { returnDocument: 'after' },
    );
    return result === null ? undefined : fromDocument(result);
  }

  async setCatalogue(key: ConnectionKey, catalogue: Connection['catalogue']): Promise<void> {
    const update: UpdateFilter<ConnectionDocument> = {
      $set: { catalogue: toCatalogue(catalogue) },
      $inc: { revision: 1 },
    };
    await this.db.connections.updateOne(keyFilter(key), update);
  }

  async endSetup(key: ConnectionKey, since: Date): Promise<void> {
    await this.db.connections.updateOne(
      { ...keyFilter(key), 'setup.since': since },
      { $unset: { setup: 1 }, $inc: { revision: 1 } },
    );
  }

  async scopeRevisionOf(key: ConnectionKey): Promise<number | undefined> {
    const projection = { 'scope.revision': 1 } as const;
    return (await this.db.connections.findOne(keyFilter(key), { projection }))?.scope.revision;
  }

  /** Not a change that others have to mind: the revision stays. */
  async touchPurge(connection: Connection, now: Date): Promise<void> {
    await this.db.connections.updateOne(purgeFilter(connection), { $set: { 'purge.since': now } });
  }

  async endPurge(connection: Connection): Promise<void> {
    const update = { $unset: { purge: 1 }, $inc: { revision: 1 } } as const;
    await this.db.connections.updateOne(purgeFilter(connection), update);
  }

  async claimRetention(now: Date, until: Date): Promise<Connection | undefined> {
    const filter: Filter<ConnectionDocument> = {
      $or: [{ retainTime: { $exists: false } }, { retainTime: { $lte: now } }],
      state: { $ne: 'DELETING' },
    };
    const found = await this.db.connections.findOneAndUpdate(
      filter,
      { $set: { retainTime: until } },
      { sort: { retainTime: 1 }, returnDocument: 'after' },
    );
    return found === null ? undefined : fromDocument(found);
  }

  async setRetainTime(connection: Connection, time: Date): Promise<void> {
    const filter = { ...keyFilter(connection), createTime: connection.createTime };
    await this.db.connections.updateOne(filter, { $set: { retainTime: time } });
  }

  async remove(connection: Connection): Promise<void> {
    const owned = { tenant: connection.tenantId, connection: connection.id };
    await withTransaction(this.db.client, async (session) => {
      const now = await this.db.connections.findOne(keyFilter(connection), { session });
      if (now !== null && (now.state !== 'DELETING' || !isSameConnection(fromDocument(now), connection)))
        return;
      await this.db.runs.deleteMany(owned, { session });
      await this.db.leases.deleteMany(owned, { session });
      await this.db.cadences.deleteOne(keyFilter(connection), { session });
      await this.db.connections.deleteOne(keyFilter(connection), { session });
    });
  }

  async unfinished(
    { setup, purge }: { readonly setup: Date; readonly purge: Date },
    limit: number,
  ): Promise<Connection[]> {
    const filter: Filter<ConnectionDocument> = {
      // Their types, too, or the indexes, which have dates alone, are left out.
      $or: [
        { state: 'DELETING' },
        { 'setup.since': { $lt: setup, $type: 'date' } },
        { 'purge.since': { $lt: purge, $type: 'date' } },
      ],
    };
    return (await this.db.connections.find(filter).limit(limit).toArray()).map(fromDocument);
  }
}

const NO_INDEX = { indexFields: [] };

function keyFilter(key: ConnectionKey): { _id: string; tenant: string } {
  return { _id: connectionKey(key), tenant: key.tenantId };
}

/** A connection that waits for a purge of what its scope, as it was read, does not allow; not one made of its name since. */
function purgeFilter(connection: Connection): Filter<ConnectionDocument> {
  const { createTime, scope } = connection;
  return { ...keyFilter(connection), createTime, 'purge.revision': { $lte: scope.revision } };
}

function toCatalogue(catalogue: Connection['catalogue']): ConnectionDocument['catalogue'] {
  return catalogue.map((model) => ({ ...model, jsonSchema: new Binary(model.jsonSchema) }));
}

function toDocument(connection: Connection): ConnectionDocument {
  const { tenantId, id, config, sealedCredentials, schedule, catalogue, ...rest } = connection;
  return {
    _id: connectionKey(connection),
    tenant: tenantId,
    connection: id,
    ...rest,
    config: new Binary(config),
    ...(sealedCredentials === undefined ? {} : { sealedCredentials: new Binary(sealedCredentials) }),
    schedule: {
      ...intervals(schedule),
      models: Object.entries(schedule.models).map(([model, own]) => ({ model, ...intervals(own) })),
    },
    catalogue: toCatalogue(catalogue),
  };
}

function fromDocument(document: ConnectionDocument): Connection {
  const { _id, tenant, connection, config, sealedCredentials, scope, schedule, catalogue, ...rest } =
    document;
  return {
    tenantId: tenant,
    id: connection,
    ...rest,
    // Scopes of before there were index fields have none.
    scope: { ...scope, models: scope.models.map((model) => ({ ...NO_INDEX, ...model })) },
    config: config.buffer,
    ...(sealedCredentials === undefined ? {} : { sealedCredentials: sealedCredentials.buffer }),
    schedule: {
      ...intervals(schedule),
      models: Object.fromEntries(schedule.models.map(({ model, ...own }) => [model, intervals(own)])),
    },
    catalogue: catalogue.map((model) => ({ ...model, jsonSchema: model.jsonSchema.buffer })),
  };
}

function intervals({ fullMs, deltaMs }: Intervals): Intervals {
  return { ...(fullMs === undefined ? {} : { fullMs }), ...(deltaMs === undefined ? {} : { deltaMs }) };
}

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TidemarkError } from '@tidemark/model';
import {
  MongoBulkWriteError,
  MongoErrorLabel,
  MongoNetworkError,
  MongoServerError,
  type BulkWriteResult,
} from 'mongodb';
import { testDatabase, type TestDatabase } from '../../../jest/database.js';
import { connectMongo } from './connect.js';
import { isDatabaseFailure, isDuplicateKey, isTransient, toTidemarkError } from './errors.js';
import { withTransaction } from './transaction.js';

interface Counter {
  _id: string;
  n: number;
}

let database: TestDatabase;
const counters = () => database.db.collection<Counter>('counters');

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(async () => {
  await database.drop();
});

/** Fails the next `times` commits of the clients of this name. */
const failCommits = (appName: string, times: number, failure: object) =>
  database.client.db('admin').command({
    configureFailPoint: 'failCommand',
    mode: { times },
    data: { failCommands: ['commitTransaction'], appName, ...failure },
  });

describe('withTransaction', () => {
  it('commits what the body wrote and gives back its value', async () => {
    await database.db.createCollection('counters');
    const value = await withTransaction(database.client, async (session) => {
      await counters().insertOne({ _id: 'a', n: 1 }, { session });
      return 'done';
    });
    expect(value).toBe('done');
    expect(await counters().findOne({ _id: 'a' })).toEqual({ _id: 'a', n: 1 });
  });

  it('writes nothing and throws on when the body throws', async () => {
    const failure = new TidemarkError('LEASE_LOST', 'an older epoch');
    const run = withTransaction(database.client, async (session) => {
      await counters().insertOne({ _id: 'b', n: 1 }, { session });
      throw failure;
    });
    await expect(run).rejects.toBe(failure);
    expect(await counters().findOne({ _id: 'b' })).toBeNull();
  });

  it('loses no increment among concurrent writers of one document', async () => {
    await counters().insertOne({ _id: 'c', n: 0 });
    let attempts = 0;
    const increment = () =>
      withTransaction(database.client, async (session) => {
        attempts += 1;
        const before = await counters().findOne({ _id: 'c' }, { session });
        await counters().updateOne({ _id: 'c' }, { $set: { n: (before?.n ?? 0) + 1 } }, { session });
      });
    await Promise.all(Array.from({ length: 20 }, increment));
    expect(await counters().findOne({ _id: 'c' })).toEqual({ _id: 'c', n: 20 });
    expect(attempts).toBeGreaterThanOrEqual(20);
  });

  it('runs the body again when the body wrapped a transient error', async () => {
    let attempts = 0;
    await withTransaction(database.client, async () => {
      attempts += 1;
      if (attempts < 3) {
        throw toTidemarkError(transientError());
      }
    });
    expect(attempts).toBe(3);
  });

  it.each([365, 388])('runs the body again when the cache was too full for it (%s)', async (code) => {
    let attempts = 0;
    await withTransaction(database.client, async () => {
      attempts += 1;
      if (attempts < 3) throw new MongoServerError({ code, errmsg: 'too full' });
    });
    expect(attempts).toBe(3);
  });

  it('gives up with DATABASE_UNAVAILABLE when the budget is used up', async () => {
    const run = withTransaction(database.client, () => Promise.reject(transientError()), { budgetMs: 50 });
    await expect(run).rejects.toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
  });

  it('sends only the commit again while its result is unknown', async () => {
    const client = await connectMongo(database.uri, { appName: 'commit-unknown' });
    try {
      const unknown = { errorCode: 64, errorLabels: ['UnknownTransactionCommitResult'] };
      await failCommits('commit-unknown', 3, unknown);
      let attempts = 0;
      await withTransaction(client, async (session) => {
        attempts += 1;
        await client
          .db(database.db.databaseName)
          .collection<Counter>('counters')
          .insertOne({ _id: 'd', n: 1 }, { session });
      });
      expect(attempts).toBe(1);
      expect(await counters().countDocuments({ _id: 'd' })).toBe(1);
    } finally {
      await client.close();
    }
  });

  it('survives connections that break during the commit', async () => {
    const client = await connectMongo(database.uri, { appName: 'commit-cut' });
    try {
      await failCommits('commit-cut', 3, { closeConnection: true });
      await withTransaction(client, async (session) => {
        await client
          .db(database.db.databaseName)
          .collection<Counter>('counters')
          .insertOne({ _id: 'e', n: 1 }, { session });
      });
      expect(await counters().countDocuments({ _id: 'e' })).toBe(1);
    } finally {
      await client.close();
    }
  });

  it.each(['insert', 'commitTransaction'])(
    'survives that the connections of transactions side by side break, at %s',
    async (command) => {
      const client = await connectMongo(database.uri, { appName: `side-by-side-${command}` });
      const name = `side_by_side_${command}`;
      try {
        const rows = client.db(database.db.databaseName).collection<Counter>(name);
        await client.db(database.db.databaseName).createCollection(name);
        await failCommits(client.options.appName ?? '', 12, {
          failCommands: [command],
          closeConnection: true,
        });
        // One break makes the driver give up all its connections, and it does not say of the others what that means.
        const insert = (index: number) =>
          withTransaction(client, async (session) => {
            await rows.insertMany([{ _id: `${index} a`, n: 1 }], { session });
            await rows.insertMany([{ _id: `${index} b`, n: 1 }], { session });
          });
        await Promise.all(Array.from({ length: 40 }, (_, index) => insert(index)));
        expect(await rows.countDocuments()).toBe(80);
      } finally {
        await client.close();
      }
    },
  );

  it('starts no attempt once aborted', async () => {
    let attempts = 0;
    const signal = AbortSignal.abort(new TidemarkError('CANCELLED', 'stopped'));
    const run = withTransaction(database.client, async () => void (attempts += 1), { signal });
    await expect(run).rejects.toMatchObject({ reason: 'CANCELLED' });
    expect(attempts).toBe(0);
  });
});

describe('errors', () => {
  it('names a duplicate key, and never quotes the document', async () => {
    await counters().insertOne({ _id: 'secret-value', n: 1 });
    const error: unknown = await counters()
      .insertOne({ _id: 'secret-value', n: 1 })
      .catch((thrown: unknown) => thrown);
    expect(isDuplicateKey(error)).toBe(true);
    expect(isTransient(error)).toBe(false);
    const converted = toTidemarkError(error);
    expect(converted.reason).toBe('INTERNAL');
    expect(converted.message).not.toContain('secret-value');
    expect(converted.cause).toBe(error);
  });
});

describe.each([
  ['a broken connection', new MongoNetworkError('connection 1 to 127.0.0.1:27017 closed')],
  ['a socket that the other end closed', Object.assign(new Error('ended'), { code: 'EPIPE' })],
  [
    'a cursor that went with its server',
    new MongoServerError({ message: 'cursor id 1 not found', code: 43 }),
  ],
  [
    'a broken connection under a bulk write',
    new MongoBulkWriteError(new MongoNetworkError('closed'), bulkResult()),
  ],
])('%s', (_, failure) => {
  it('is an outage, of which the caller hears nothing but that', () => {
    expect(isDatabaseFailure(failure)).toBe(true);
    expect(toTidemarkError(failure)).toMatchObject({
      reason: 'DATABASE_UNAVAILABLE',
      message: expect.not.stringContaining(failure.message),
    });
  });

  it('in the body of a transaction runs it again', async () => {
    let attempts = 0;
    await withTransaction(database.client, async () => {
      attempts += 1;
      if (attempts < 3) throw failure;
    });
    expect(attempts).toBe(3);
  });
});

/** As a bulk write that did nothing has it. */
function bulkResult(): BulkWriteResult {
  return { insertedCount: 0, matchedCount: 0, modifiedCount: 0, deletedCount: 0 } as BulkWriteResult;
}

function transientError(): MongoServerError {
  const error = new MongoServerError({ message: 'write conflict', code: 112 });
  error.addErrorLabel(MongoErrorLabel.TransientTransactionError);
  return error;
}

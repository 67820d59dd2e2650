import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { MongoPacks } from './mongo-packs.js';
import { MongoRecordReader } from './mongo-record-reader.js';
import { employee } from './testing/employees.js';
import { startStore, type StoreHarness } from './testing/harness.js';
import { newWriter, uidOf } from './testing/writers.js';

let harness: StoreHarness;

beforeAll(async () => {
  harness = await startStore();
});
afterAll(() => harness.stop());

describe('a run that ends', () => {
  it('still tells watchers when its process dies before that', async () => {
    const writer = await newWriter(harness);
    const uid = await uidOf(writer);
    const run = await writer.begin('employees', 'run-1');
    await run.page([employee('a')]);
    const broken = jest
      .spyOn(harness.db.models, 'updateOne')
      .mockRejectedValueOnce(new Error('the process died here'));
    await expect(run.finish()).rejects.toThrow();
    broken.mockRestore();
    await run.finish();
    const marks = await harness.db.commits
      .find({ c: uid, mark: { $exists: true } })
      .sort({ _id: 1 })
      .toArray();
    expect(marks.map(({ mark }) => mark)).toEqual([1, 2]);
    expect(await harness.db.seen.countDocuments({ c: uid })).toBe(0);
  });

  it('leaves no seen-keys of a run replaced, even when the process died in between', async () => {
    const writer = await newWriter(harness);
    const uid = await uidOf(writer);
    await (await writer.begin('employees', 'run-1')).page([employee('a')]);
    const broken = jest
      .spyOn(harness.db.seen, 'deleteMany')
      .mockRejectedValueOnce(new Error('the process died here'));
    await expect(writer.begin('employees', 'run-2')).rejects.toThrow();
    broken.mockRestore();
    await writer.begin('employees', 'run-2');
    expect(await harness.db.seen.countDocuments({ c: uid })).toBe(0);
  });
});

describe('an outage of the database', () => {
  it('is what readers are told when the commit of a killed process stays open, instead of waiting for it', async () => {
    const writer = await newWriter(harness);
    const uid = await uidOf(writer);
    const session = harness.database.client.startSession();
    session.startTransaction();
    await harness.db.clocks.updateOne({ _id: uid }, { $inc: { seq: 1 } }, { session });
    const packs = new MongoPacks(harness.db, harness.store.cabinet);
    const fenced = new MongoRecordReader(harness.db, packs, 50).fence(uid);
    await expect(fenced).rejects.toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
    await session.abortTransaction();
    await session.endSession();
    expect((await writer.records()).records).toEqual([]);
  });

  it('is told as such, so that callers try again', async () => {
    const writer = await newWriter(harness);
    const { MongoNetworkError } = await import('mongodb');
    const broken = jest.spyOn(harness.db.clocks, 'findOne').mockRejectedValue(new MongoNetworkError('gone'));
    const failure = await writer.begin('employees', 'run-1').catch((error: unknown) => error);
    broken.mockRestore();
    expect(failure).toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
  });
});

import { expect } from '@jest/globals';
import type { RecordDocument } from '../mongo-collections.js';
import { idOfKey } from '../mongo-collections.js';
import type { StoreHarness } from './harness.js';

/** One version of a record: `created 3` is its operation's number and its sequence. */
export interface StoredVersion {
  readonly model: string;
  readonly id: string;
  readonly version: number;
  readonly sequence: number;
}

/**
 * What is stored of a connection is whole (P2, P6): a record's versions are 1..n, every version stands in the log once and
 * under its own sequence, the log has no gap and its times grow, and the clock stands at its end. Gives back all versions
 * in sequence order.
 */
export async function expectWhole({ db }: StoreHarness, connectionId: string): Promise<StoredVersion[]> {
  const connection = await db.connections.findOne({ name: connectionId });
  if (connection === null) throw new Error('no such connection');
  const c = connection._id;
  const [records, versions, commits, clock] = await Promise.all([
    db.records.find({ c }).toArray(),
    db.versions.find({ c }).toArray(),
    db.commits.find({ c }).sort({ _id: 1 }).toArray(),
    db.clocks.findOne({ _id: c }),
  ]);
  const stored = [
    ...records.map((record) => toStored(record._id, record, c)),
    ...versions.map((version) => toStored(version._id.k, version, c)),
  ].sort((a, b) => a.sequence - b.sequence);
  const logged: StoredVersion[] = [];
  let last = 0;
  let time = 0;
  for (const { _id, f, at, m: model, i, v, mark } of commits) {
    expect(f).toBe(last + 1);
    expect(_id.n).toBe(f + (mark === undefined ? i.length : 1) - 1);
    expect(at.getTime()).toBeGreaterThan(time);
    i.forEach((id, index) => logged.push({ model, id, version: v[index] ?? 0, sequence: f + index }));
    last = _id.n;
    time = at.getTime();
  }
  expect(clock?.seq).toBe(last);
  expect(logged).toEqual(stored);
  const newest = new Map<string, number>();
  for (const { model, id, version } of stored) {
    const key = `${model}/${id}`;
    expect([key, version]).toEqual([key, (newest.get(key) ?? 0) + 1]);
    newest.set(key, version);
  }
  return stored;
}

type Numbered = Pick<RecordDocument, 'm' | 'v' | 's'>;

function toStored(key: string, { m: model, v: version, s: sequence }: Numbered, uid: string): StoredVersion {
  return { model, id: idOfKey(key, model, uid), version, sequence };
}

import { describe, expect, it } from '@jest/globals';
import { Cause, Change, Operation, Record as StoredRecord, SyncRun, SyncRunState } from '@tidemark/contracts';
import { RawJson, writeJson } from './json.js';
import { changeJson, recordJson } from './record-json.js';
import { runJson } from './run-json.js';

const DATA = '{"amount":1.10,"id":12345678901234567890,"__proto__":null}';

const record = StoredRecord.create({
  connectionId: 'acme-hr',
  model: 'employees',
  id: '7',
  version: 2n,
  sequence: 9n,
  changedAt: new Date('2026-01-31T08:00:00.123Z'),
  data: Buffer.from(DATA),
});

describe('JSON output', () => {
  it('keeps the digits of data, and gives version and sequence as numbers', () => {
    expect(writeJson(recordJson(record))).toBe(
      `{"connectionId":"acme-hr","model":"employees","id":"7","version":2,"sequence":9,"changedAt":"2026-01-31T08:00:00.123Z","data":${DATA}}`,
    );
  });

  it('shows a tombstone with its time and without data', () => {
    const deletedAt = new Date('2026-02-01T00:00:00Z');
    const text = writeJson(recordJson({ ...record, data: new Uint8Array(0), deletedAt }));
    expect(text).toContain('"deletedAt":"2026-02-01T00:00:00.000Z","data":null}');
  });

  it('adds to a change what happened', () => {
    const change = Change.create({
      record,
      operation: Operation.UPDATED,
      cause: Cause.FULL,
      runId: 'r1',
      changedFields: ['amount'],
    });
    expect(writeJson(changeJson(change))).toContain(
      `"data":${DATA},"operation":"UPDATED","cause":"FULL","runId":"r1","changedFields":["amount"]}`,
    );
  });

  it('shows counters of zero, and states without their prefix', () => {
    const run = SyncRun.create({ id: 'r1', state: SyncRunState.SUCCEEDED, counters: { read: 3n } });
    const parsed: unknown = JSON.parse(writeJson(runJson(run)));
    expect(parsed).toMatchObject({ state: 'SUCCEEDED', counters: { read: 3, created: 0, deleted: 0 } });
  });

  it('stays on one line whatever the raw JSON looks like', () => {
    expect(writeJson({ config: new RawJson('{\n  "a": "x\\ny",\r\n  "b": 1\n}') })).toBe(
      '{"config":{ "a": "x\\ny", "b": 1 }}',
    );
  });
});

import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SyncKind, type ReadRequest, type ReadResponse } from '@tidemark/contracts';
import { ConnectorHandlers } from '@tidemark/connector-kit';
import type { z } from 'zod';
import { behaviour, fault, wish, type Behaviour } from './deed.js';
import { Journal } from './journal.js';
import { LivingConnector } from './living-connector.js';

let folder: string;
let journal: Journal;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-living-'));
  journal = new Journal(join(folder, 'living.jsonl'));
  behave({});
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const none = new Uint8Array(0);

function behave(given: Partial<Behaviour>): void {
  journal.do({ do: 'behave', source: 's', behaviour: behaviour.parse({ pageSize: 2, ...given }) });
}

function change(...wishes: { id: string; deleted?: boolean; agoMs?: number }[]): void {
  const changes = journal.source('s').next(
    'm',
    wishes.map((given) => wish.parse(given)),
  );
  journal.do({ do: 'change', source: 's', model: 'm', changes });
}

function fail(given: z.input<typeof fault>): void {
  journal.do({ do: 'fail', source: 's', faults: [fault.parse(given)] });
}

async function read(kind: SyncKind, checkpoint: Uint8Array = none, given: Partial<ReadRequest> = {}) {
  const request: ReadRequest = {
    settings: { config: Buffer.from('{"source":"s"}'), credentials: none },
    model: 'm',
    kind,
    checkpoint,
    fields: ['id', 'n'],
    fingerprintKey: Buffer.alloc(32, 1),
    pageRecords: 2,
    pageBytes: 100_000,
    overlap: undefined,
    ...given,
  };
  const context = { signal: new AbortController().signal };
  const messages: ReadResponse['message'][] = [];
  for await (const { message } of new ConnectorHandlers(new LivingConnector(journal)).read(request, context))
    messages.push(message);
  const pages = messages.flatMap((message) => (message?.$case === 'page' ? [message.value] : []));
  const end = messages.flatMap((message) => (message?.$case === 'end' ? [message.value] : []))[0];
  const records = pages.flatMap((page) =>
    page.records.map(({ id, deleted }) => (deleted ? `-${id}` : id)).sort(),
  );
  const { deltaCheckpoint: next = none, endEvidence: evidence, expectedRecords } = end ?? {};
  return { pages, records, next, evidence, expectedRecords };
}

const full = (checkpoint?: Uint8Array) => read(SyncKind.FULL, checkpoint);
const delta = (checkpoint?: Uint8Array, seconds?: bigint) =>
  read(SyncKind.DELTA, checkpoint, { overlap: seconds === undefined ? undefined : { seconds, nanos: 0 } });

describe('a full read', () => {
  it('gives live records page by page, from each checkpoint on', async () => {
    change({ id: 'a' }, { id: 'b' }, { id: 'c' }, { id: 'd' }, { id: 'e' });
    change({ id: 'b', deleted: true });
    const whole = await full();
    expect(whole.records).toEqual(['a', 'c', 'd', 'e']);
    expect(whole.evidence).not.toBe('');
    expect((await full(whole.pages[0]?.checkpoint)).records).toEqual(['d', 'e']);
  });

  it('lets the delta after it bring what changed while it read', async () => {
    change({ id: 'a' }, { id: 'b' }, { id: 'c' });
    const { pages } = await full();
    change({ id: 'a' }, { id: 'b', deleted: true });
    const { next } = await full(pages[0]?.checkpoint);
    expect((await delta(next)).records).toEqual(expect.arrayContaining(['-b', 'a']));
  });
});

describe('a delta', () => {
  it('without a checkpoint begins now', async () => {
    change({ id: 'a', agoMs: 1 });
    const first = await delta();
    expect(first.records).toEqual([]);
    change({ id: 'b' });
    expect((await delta(first.next)).records).toEqual(['b']);
  });

  it.each([3_600_000, -3_600_000])('minds no clock but its own: %d ms off', async (clockOffsetMs) => {
    behave({ clockOffsetMs });
    const { next } = await full();
    change({ id: 'a' });
    expect((await delta(next)).records).toEqual(['a']);
  });

  it('reads ties at its bound again', async () => {
    behave({ granularityMs: 3_600_000 });
    const { next } = await full();
    change({ id: 'b' });
    const first = await delta(next);
    change({ id: 'a' });
    expect((await delta(first.next)).records).toEqual(['a', 'b']);
  });

  it('finds late arrivals within the overlap, and no others', async () => {
    const { next } = await full();
    change({ id: 'a', agoMs: 600_000 }, { id: 'b', agoMs: 6_000_000 });
    expect((await delta(next)).records).toEqual([]);
    expect((await delta(next, 900n)).records).toEqual(['a']);
    behave({ overlapMs: 900_000 });
    expect((await delta(next)).records).toEqual(['a']);
    expect((await delta(next, 60n)).records).toEqual(['a']);
  });

  it('goes on after each of its pages', async () => {
    const { next } = await full();
    change({ id: 'a' }, { id: 'b' }, { id: 'c' }, { id: 'd' }, { id: 'e' });
    const whole = await delta(next);
    expect(whole.records).toEqual(['a', 'b', 'c', 'd', 'e']);
    const rest = await delta(whole.pages[0]?.checkpoint, 900n);
    expect(rest.records).toEqual(['c', 'd', 'e']);
    expect(rest.next).toEqual(whole.next);
  });

  it('tells of deletes only where the source does', async () => {
    behave({ deltaDeletes: false });
    change({ id: 'a' }, { id: 'b' }, { id: 'c' });
    const { next } = await full();
    change({ id: 'a', deleted: true }, { id: 'b', deleted: true }, { id: 'c' });
    expect((await delta(next)).records).toContain('c');
    expect((await delta(next)).records).not.toContain('-a');
  });
});

describe('the journal', () => {
  it('brings everything back after a kill, but for a deed whose line was cut short', async () => {
    change({ id: 'a' }, { id: 'b' });
    change({ id: 'b', deleted: true });
    fail({ kind: 'unavailable', times: 2 });
    await expect(full()).rejects.toMatchObject({ reason: 'SOURCE_UNAVAILABLE' });
    await appendFile(join(folder, 'living.jsonl'), '{"do":"fail","source":"s","fau');
    journal = new Journal(join(folder, 'living.jsonl'));
    await expect(full()).rejects.toMatchObject({ reason: 'SOURCE_UNAVAILABLE' });
    change({ id: 'c' });
    journal = new Journal(join(folder, 'living.jsonl'));
    expect((await full()).records).toEqual(['a', 'c']);
    expect(journal.source('s').model('m').get('b')).toMatchObject({ n: 2, deleted: true });
  });
});

describe('a fault', () => {
  it('strikes its page, model and kind alone, as often as it is told to', async () => {
    change({ id: 'a' }, { id: 'b' }, { id: 'c' });
    fail({ kind: 'emptySuccess', sync: 'FULL', page: 1 });
    expect(await delta()).toMatchObject({ evidence: expect.stringContaining('empty') });
    expect(await full()).toMatchObject({ records: ['a', 'b'], evidence: '' });
    expect(await full()).toMatchObject({ records: ['a', 'b', 'c'] });
  });

  it('may lie about the end, which the count gives away where the source counts', async () => {
    behave({ counts: true });
    change({ id: 'a' }, { id: 'b' }, { id: 'c' });
    fail({ kind: 'cutShort', page: 1 });
    expect(await full()).toMatchObject({
      ...{ records: ['a', 'b'], expectedRecords: 3n },
      evidence: expect.stringMatching(/./),
    });
    fail({ kind: 'cutShort', page: 0 });
    expect(await delta()).toMatchObject({ records: [], expectedRecords: undefined });
    behave({});
    expect(await full()).toMatchObject({ records: ['a', 'b', 'c'], expectedRecords: undefined });
  });

  it('may come with the loss of records in that moment, which outlives the process', async () => {
    change({ id: 'a' }, { id: 'b' }, { id: 'c' }, { id: 'd' });
    fail({ kind: 'badAnswer', page: 1, loses: ['a', 'd'] });
    await expect(full()).rejects.toMatchObject({ reason: 'SOURCE_CONTRACT_BROKEN' });
    journal = new Journal(join(folder, 'living.jsonl'));
    expect((await full()).records).toEqual(['b', 'c']);
  });
});

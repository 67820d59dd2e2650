import { describe, expect, test } from '@jest/globals';
import type {
  BeginRunResponse,
  CommitPageRequest,
  CommitPageResponse,
  Lease,
  Page,
  SourceRecord,
} from '@tidemark/contracts';
import { TidemarkError } from '@tidemark/model';
import { PageCommitter } from './page-committer.js';

const lease: Lease = {
  tenantId: 'acme',
  connectionId: 'hr',
  model: 'employees',
  kind: 1,
  runId: 'run',
  epoch: 1n,
};
const never = new AbortController().signal;
const DONE: CommitPageResponse = {
  missingPayloads: [],
  counters: undefined,
  lastSequence: 0n,
  unchangedShare: 0,
};
const UNCHANGED: CommitPageResponse = { ...DONE, unchangedShare: 1 };

function begun(changes: Partial<BeginRunResponse> = {}): BeginRunResponse {
  return {
    pages: 0n,
    checkpoint: new Uint8Array(0),
    counters: undefined,
    fingerprintKey: new Uint8Array(32),
    observedSequence: 7n,
    recordCount: 0n,
    finishing: false,
    reading: 1n,
    ...changes,
  };
}

const record = (id: string): SourceRecord => ({
  id,
  payload: Buffer.from(id),
  fingerprint: new Uint8Array(16),
  deleted: false,
});
const page = (...ids: string[]): Page => ({
  records: ids.map(record),
  rejected: [],
  checkpoint: Buffer.from(ids.join()),
  expectedRecords: undefined,
});

type Answer = (request: CommitPageRequest) => CommitPageResponse | Promise<CommitPageResponse>;

const overtook: Answer = () => {
  throw new TidemarkError('PAGE_OUT_OF_ORDER', 'too early');
};

/** The store's side: what was sent to it, and its answers in turn. */
class Wire {
  readonly sent: string[] = [];
  constructor(readonly answers: Answer[]) {}

  async commitPage(request: CommitPageRequest): Promise<CommitPageResponse> {
    const payloads = request.records.map(({ id, payload }) => (payload.byteLength > 0 ? id : '-'));
    this.sent.push(`${request.pageNumber}:${payloads.join('')}`);
    const answer = this.answers.shift();
    if (answer === undefined) throw new Error('nothing more was expected');
    return answer(request);
  }
}

function committer(wire: Wire, changes: Partial<BeginRunResponse> = {}) {
  const committed: string[] = [];
  const pages = new PageCommitter(wire, lease, begun(changes), never, (_response, { checkpoint }) => {
    committed.push(Buffer.from(checkpoint).toString());
  });
  return { pages, committed };
}

describe('committing pages', () => {
  test('goes on after the pages that the store has, and sends payloads where it has no records', async () => {
    const wire = new Wire([() => DONE, () => DONE]);
    const { pages, committed } = committer(wire, { pages: 3n });
    await pages.commit(page('a', 'b'));
    await pages.commit(page('c'));
    await pages.drain();
    expect(wire.sent).toEqual(['3:ab', '4:c']);
    expect(committed).toEqual(['a,b', 'c']);
  });

  test('leaves payloads out while pages come unchanged, and sends those that are asked for', async () => {
    const wire = new Wire([
      () => UNCHANGED,
      () => ({ ...DONE, missingPayloads: [1] }),
      overtook,
      () => ({ ...DONE, unchangedShare: 0.5 }),
      () => DONE,
      () => DONE,
    ]);
    const { pages } = committer(wire, { recordCount: 5n });
    await pages.commit(page('a', 'b'));
    await pages.commit(page('c', 'd'));
    await pages.commit(page('e'));
    await pages.commit(page('f'));
    await pages.drain();
    expect(wire.sent).toEqual(['0:--', '1:--', '2:-', '1:-d', '2:e', '3:f']);
  });

  test('sends every payload when the store keeps asking for others', async () => {
    const asks =
      (index: number): Answer =>
      () => ({ ...DONE, missingPayloads: [index] });
    const wire = new Wire([asks(0), asks(1), asks(2), () => DONE]);
    const { pages } = committer(wire, { recordCount: 5n });
    await pages.commit(page('a', 'b', 'c'));
    await pages.drain();
    expect(wire.sent).toEqual(['0:---', '0:a--', '0:-b-', '0:abc']);
  });

  test('has two pages under way at most', async () => {
    const gates: (() => void)[] = [];
    const gated: Answer = () => new Promise((resolve) => gates.push(() => resolve(DONE)));
    const wire = new Wire([gated, gated, gated]);
    const { pages, committed } = committer(wire);
    await pages.commit(page('a'));
    const second = pages.commit(page('b'));
    expect(wire.sent).toEqual(['0:a', '1:b']);
    gates[0]?.();
    await second;
    expect(committed).toEqual(['a']);
    const third = pages.commit(page('c'));
    expect(wire.sent).toEqual(['0:a', '1:b', '2:c']);
    gates.slice(1).forEach((open) => open());
    await third;
    await pages.drain();
    expect(committed).toEqual(['a', 'b', 'c']);
  });

  test('sends a page again that overtook the one before it', async () => {
    const wire = new Wire([() => DONE, overtook, () => DONE]);
    const { pages, committed } = committer(wire);
    await pages.commit(page('a'));
    await pages.commit(page('b'));
    await pages.drain();
    expect(wire.sent).toEqual(['0:a', '1:b', '1:b']);
    expect(committed).toEqual(['a', 'b']);
  });

  test('fails only once the page after the one that failed is answered', async () => {
    let answer: () => void = () => undefined;
    const wire = new Wire([
      () => Promise.reject(new TidemarkError('PAGE_OUT_OF_ORDER', 'overtaken')),
      () => new Promise((resolve) => (answer = () => resolve(DONE))),
      () => Promise.reject(new TidemarkError('PAGE_OUT_OF_ORDER', 'overtaken')),
    ]);
    const { pages } = committer(wire);
    await pages.commit(page('a'));
    await expect(pages.commit(page('b'))).rejects.toMatchObject({ reason: 'PAGE_OUT_OF_ORDER' });
    let isDrained = false;
    const drained = pages.drain().finally(() => (isDrained = true));
    drained.catch(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    expect(isDrained).toBe(false);
    answer();
    await expect(drained).rejects.toMatchObject({ reason: 'PAGE_OUT_OF_ORDER' });
  });

  test('fails with what the store failed with, and tells of no page after it', async () => {
    const lost: Answer = () => {
      throw new TidemarkError('LEASE_LOST', 'lost');
    };
    const wire = new Wire([lost, () => DONE]);
    const { pages, committed } = committer(wire);
    await pages.commit(page('a'));
    await expect(pages.commit(page('b'))).rejects.toMatchObject({ reason: 'LEASE_LOST' });
    await expect(pages.drain()).rejects.toMatchObject({ reason: 'LEASE_LOST' });
    expect(committed).toEqual([]);
  });
});

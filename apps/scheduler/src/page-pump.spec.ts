import { describe, expect, test } from '@jest/globals';
import type { Page, ReadEnd, SourceWait } from '@tidemark/contracts';
import { TidemarkError } from '@tidemark/model';
import type { Hold, PacedResponse } from './paced-read.js';
import { pumpPages, type PageSink } from './page-pump.js';

const END: ReadEnd = {
  endEvidence: 'end',
  failures: [],
  expectedRecords: undefined,
  deltaCheckpoint: new Uint8Array(0),
};
const end: PacedResponse = { message: { $case: 'end', value: END } };

function page(number: number): PacedResponse {
  const value = { records: [], rejected: [], checkpoint: Uint8Array.of(number), expectedRecords: undefined };
  return { message: { $case: 'page', value } };
}

/** A source that tells how far it was asked. */
class Source {
  given = 0;
  closed = false;

  async *read(...messages: PacedResponse[]): AsyncGenerator<PacedResponse> {
    try {
      for (const message of messages) {
        this.given++;
        yield message;
      }
    } finally {
      this.closed = true;
    }
  }
}

class Sink implements PageSink {
  readonly committed: number[] = [];
  readonly waits: SourceWait[] = [];
  readonly holds: Hold[] = [];
  beforeCommit: (number: number) => Promise<void> | void = () => undefined;

  async commit({ checkpoint }: Page): Promise<void> {
    await this.beforeCommit(checkpoint[0] ?? 0);
    this.committed.push(checkpoint[0] ?? 0);
  }

  wait(wait: SourceWait): void {
    this.waits.push(wait);
  }

  hold(hold: Hold): void {
    this.holds.push(hold);
  }
}

/** Longer than any test. */
const SILENCE_MS = 300_000;
const never = new AbortController().signal;
const hangs: AsyncIterator<PacedResponse> = { next: () => new Promise(() => undefined) };

describe('pumping pages', () => {
  test('commits them in order and gives back the closing message', async () => {
    const sink = new Sink();
    const result = await pumpPages(
      new Source().read(page(0), page(1), page(2), end),
      sink,
      never,
      SILENCE_MS,
    );
    expect(sink.committed).toEqual([0, 1, 2]);
    expect(result).toEqual({ end: END });
  });

  test('receives one page ahead while a page is committed, and no more', async () => {
    const source = new Source();
    const sink = new Sink();
    const given: number[] = [];
    sink.beforeCommit = async () => {
      await new Promise((resolve) => setImmediate(resolve));
      given.push(source.given);
    };
    await pumpPages(source.read(page(0), page(1), page(2), page(3), end), sink, never, SILENCE_MS);
    expect(given).toEqual([2, 3, 4, 5]);
  });

  test('takes a stream that ends without its closing message for an outage', async () => {
    const sink = new Sink();
    await expect(pumpPages(new Source().read(page(0)), sink, never, SILENCE_MS)).rejects.toMatchObject({
      reason: 'SOURCE_UNAVAILABLE',
    });
    expect(sink.committed).toEqual([0]);
  });

  test('fails with what the stream failed with, after the pages before are committed', async () => {
    async function* broken(): AsyncGenerator<PacedResponse> {
      yield page(0);
      throw new TidemarkError('SOURCE_GONE', 'deleted');
    }
    const sink = new Sink();
    await expect(pumpPages(broken(), sink, never, SILENCE_MS)).rejects.toMatchObject({
      reason: 'SOURCE_GONE',
    });
    expect(sink.committed).toEqual([0]);
  });

  test('commits nothing after a failed commit', async () => {
    const sink = new Sink();
    sink.beforeCommit = (number) => {
      if (number === 1) throw new TidemarkError('LEASE_LOST', 'lost');
    };
    await expect(
      pumpPages(new Source().read(page(0), page(1), page(2), end), sink, never, SILENCE_MS),
    ).rejects.toMatchObject({ reason: 'LEASE_LOST' });
    expect(sink.committed).toEqual([0]);
  });

  test('stops at the page boundary, once the commit under way is through', async () => {
    const stop = new AbortController();
    const sink = new Sink();
    sink.beforeCommit = async (number) => {
      if (number === 1) stop.abort();
      await new Promise((resolve) => setImmediate(resolve));
    };
    const result = await pumpPages(
      new Source().read(page(0), page(1), page(2), end),
      sink,
      stop.signal,
      SILENCE_MS,
    );
    expect(result).toEqual({ stopped: true });
    expect(sink.committed).toEqual([0, 1]);
  });

  test('stops while the source is silent', async () => {
    const stop = new AbortController();
    const pumping = pumpPages(hangs, new Sink(), stop.signal, SILENCE_MS);
    stop.abort();
    await expect(pumping).resolves.toEqual({ stopped: true });
  });

  test('does not take a page when it is stopped before it begins', async () => {
    const sink = new Sink();
    await expect(
      pumpPages(new Source().read(page(0), end), sink, AbortSignal.abort(), SILENCE_MS),
    ).resolves.toEqual({
      stopped: true,
    });
    expect(sink.committed).toEqual([]);
  });

  test('passes on that the source asked to wait', async () => {
    const wait: SourceWait = { duration: { seconds: 2n, nanos: 0 }, message: '429' };
    const sink = new Sink();
    await pumpPages(
      new Source().read({ message: { $case: 'wait', value: wait } }, page(0), end),
      sink,
      never,
      SILENCE_MS,
    );
    expect(sink.waits).toEqual([wait]);
    expect(sink.committed).toEqual([0]);
  });

  test('passes on that the read waits by itself, and is patient for as long', async () => {
    const hold: Hold = { ms: 60_000, note: 'it waits for its budget', goesOn: false };
    async function* held(): AsyncGenerator<PacedResponse> {
      yield { message: { $case: 'hold', value: hold } };
      await new Promise((resolve) => setTimeout(resolve, 50));
      yield end;
    }
    const sink = new Sink();
    await expect(pumpPages(held(), sink, never, 5)).resolves.toEqual({ end: END });
    expect(sink.holds).toEqual([hold]);
  });

  test('takes a silent source for an outage in the end', async () => {
    await expect(pumpPages(hangs, new Sink(), never, 1)).rejects.toMatchObject({
      reason: 'SOURCE_UNAVAILABLE',
    });
  });

  test('refuses a message that it does not know', async () => {
    await expect(
      pumpPages(new Source().read({ message: undefined }), new Sink(), never, SILENCE_MS),
    ).rejects.toMatchObject({
      reason: 'SOURCE_CONTRACT_BROKEN',
    });
  });
});

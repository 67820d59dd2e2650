import { setTimeout as sleep } from 'node:timers/promises';
import { connectMongo, withTransaction } from '@tidemark/mongo';
import type { Poll, Version } from './judge.js';

/** The name by which the database knows the naive pair's connections. */
export const NAIVE_APP = 'tidemark-fire-naive';

const LONGEST_PAUSE_MS = 100;

interface NaiveDocument {
  _id: string;
  /** When its transaction began: the classic fault. */
  updatedAt: Date;
}

/**
 * What many a sync does: each transaction stamps its records with the time at which it began, and a reader polls for
 * those after the newest stamp that it has seen. A commit that lands late is never seen.
 */
export class NaivePair {
  readonly polls: Poll[] = [];
  readonly #acknowledged: NaiveDocument[] = [];

  private constructor(readonly client: Awaited<ReturnType<typeof connectMongo>>) {}

  static async start(uri: string): Promise<NaivePair> {
    const pair = new NaivePair(await connectMongo(uri, { appName: NAIVE_APP }));
    await pair.#records.createIndex({ updatedAt: 1 });
    return pair;
  }

  /** What was written, in the order that the stamps claim. Each record is written once, so that none replaces another. */
  get written(): Version[] {
    return this.#acknowledged.map(toVersion).sort((a, b) => a.at - b.at);
  }

  /** So many writers commit so many pages of new records each, while the reader polls. */
  async run(writers: number, pages: number, pageSize: number): Promise<void> {
    const done = new AbortController();
    const reading = this.#read(done.signal);
    const writing = Array.from({ length: writers }, () => this.#write(pages, pageSize));
    await Promise.all(writing).finally(() => done.abort());
    await reading;
  }

  async close(): Promise<void> {
    await this.client.close();
  }

  get #records() {
    return this.client.db('naive').collection<NaiveDocument>('records');
  }

  async #write(pages: number, pageSize: number): Promise<void> {
    for (let page = 0; page < pages; page++) {
      const documents = await withTransaction(this.client, async (session) => {
        const updatedAt = new Date();
        const records = Array.from({ length: pageSize }, () => ({ _id: crypto.randomUUID(), updatedAt }));
        await this.#records.insertMany(records, { session });
        return records;
      });
      this.#acknowledged.push(...documents);
    }
  }

  /** Until the signal aborts, and then a last time. */
  async #read(signal: AbortSignal): Promise<void> {
    for (let isLast = false; !isLast;) {
      isLast = signal.aborted;
      const newest = new Date(this.polls.at(-1)?.completeThrough ?? 0);
      const found = await this.#records
        .find({ updatedAt: { $gt: newest } })
        .sort({ updatedAt: 1 })
        .toArray();
      const completeThrough = (found.at(-1)?.updatedAt ?? newest).getTime();
      this.polls.push({ given: found.map(toVersion), completeThrough, head: 0 });
      await sleep(Math.random() * LONGEST_PAUSE_MS);
    }
  }
}

function toVersion({ _id, updatedAt }: NaiveDocument): Version {
  return { key: _id, version: 1, sequence: 0, at: updatedAt.getTime(), content: '' };
}

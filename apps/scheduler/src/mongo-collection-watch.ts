import { setTimeout as sleep } from 'node:timers/promises';
import type { ChangeStream, Collection, Document } from 'mongodb';

/** Told of changes and of what went wrong. */
export interface CollectionListener {
  onChange(change: Document): void;
  onError(error: unknown): void;
}

const REOPEN_MS = 1_000;

/**
 * Watches changes of a collection, as far as a pipeline lets them through, once they are durable. What happens while the stream
 * reopens is missed: whoever relies on it has to look by itself, too.
 */
export class CollectionWatch {
  private stream: ChangeStream | undefined;
  private closed = false;
  private ended: Promise<void> = Promise.resolve();

  constructor(
    private readonly collection: Pick<Collection, 'watch'>,
    private readonly pipeline: Document[],
    private readonly listener: CollectionListener,
  ) {}

  start(): void {
    this.ended = this.follow();
  }

  async stop(): Promise<void> {
    this.closed = true;
    await this.stream?.close();
    await this.ended;
  }

  private async follow(): Promise<void> {
    while (!this.closed) {
      try {
        await this.followOnce();
      } catch (error) {
        if (this.closed) return;
        this.listener.onError(error);
        await sleep(REOPEN_MS, undefined, { ref: false });
      }
    }
  }

  private async followOnce(): Promise<void> {
    const stream = this.collection.watch(this.pipeline);
    this.stream = stream;
    try {
      for await (const change of stream) this.listener.onChange(change);
    } finally {
      await stream.close();
    }
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { ChangeStream, ChangeStreamInsertDocument, Db, Document } from 'mongodb';
import { JOBS_COLLECTION } from './mongo-collections.js';

/** A job that was inserted. */
export interface InsertedJob {
  readonly id: string;
  readonly name: string;
  readonly nextRunAt: Date | null;
  readonly priority: number;
}

/** Told of inserted jobs and of what went wrong. */
export interface JobInsertListener {
  onInsert(job: InsertedJob): void;
  onError(error: unknown): void;
}

const REOPEN_MS = 1_000;

/**
 * Watches inserts into Agenda's jobs. Updates are left out: Agenda writes a job several times for each run, and a stream of
 * those slows it down. What is missed while the stream reopens, Agenda's own poll finds.
 */
export class JobInserts {
  private stream: ChangeStream<Document, ChangeStreamInsertDocument> | undefined;
  private closed = false;
  private ended: Promise<void> = Promise.resolve();

  constructor(
    private readonly db: Db,
    private readonly listener: JobInsertListener,
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
    const pipeline = [
      { $match: { operationType: 'insert' } },
      {
        $project: {
          'fullDocument._id': 1,
          'fullDocument.name': 1,
          'fullDocument.nextRunAt': 1,
          'fullDocument.priority': 1,
        },
      },
    ];
    const stream = this.db.collection(JOBS_COLLECTION).watch<Document, ChangeStreamInsertDocument>(pipeline);
    this.stream = stream;
    try {
      for await (const { fullDocument } of stream) this.listener.onInsert(toJob(fullDocument));
    } finally {
      await stream.close();
    }
  }
}

function toJob(document: Document): InsertedJob {
  const job = document as { _id: unknown; name: string; nextRunAt?: Date | null; priority?: number };
  return {
    id: String(job._id),
    name: job.name,
    nextRunAt: job.nextRunAt ?? null,
    priority: job.priority ?? 0,
  };
}

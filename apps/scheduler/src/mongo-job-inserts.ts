import type { Db, Document } from 'mongodb';
import { CollectionWatch } from './mongo-collection-watch.js';
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

const PIPELINE = [
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

/**
 * Watches inserts into Agenda's jobs. Updates are left out: Agenda writes a job several times for each run, and a stream of
 * those slows it down. What is missed while the stream reopens, Agenda's own poll finds.
 */
export class JobInserts extends CollectionWatch {
  constructor(db: Db, listener: JobInsertListener) {
    super(db.collection(JOBS_COLLECTION), PIPELINE, {
      onChange: ({ fullDocument }) => listener.onInsert(toJob(fullDocument as Document)),
      onError: (error) => listener.onError(error),
    });
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

import { setTimeout as sleep } from 'node:timers/promises';
import { TidemarkError } from '@tidemark/model';
import type { ClientSession, MongoClient } from 'mongodb';
import { isBroken, isCommitUnknown, isTransient } from './errors.js';

const DEFAULT_BUDGET_MS = 30_000;
const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 250;

/** Bounds of one transaction with all its attempts. */
export interface TransactionOptions {
  /** Stops further attempts, though not the resolving of an unknown commit; pass it to the body's own calls as well. */
  readonly signal?: AbortSignal;
  /** How long attempts may go on, in milliseconds; 30,000 by default. */
  readonly budgetMs?: number;
}

interface Attempts {
  readonly client: MongoClient;
  readonly deadline: number;
  count: number;
}

/**
 * Runs `body` in one snapshot transaction and commits it at majority.
 *
 * The body runs again, from its start, whenever the server says that nothing was applied; an unknown commit result sends
 * the commit alone again. So the body must have no effect but through the session. Anything else it throws aborts the
 * transaction and is thrown on. Throws DATABASE_UNAVAILABLE when the budget is used up; the message then says whether the
 * commit's result is unknown.
 */
export async function withTransaction<T>(
  client: MongoClient,
  body: (session: ClientSession) => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  const deadline = performance.now() + (options.budgetMs ?? DEFAULT_BUDGET_MS);
  const attempts: Attempts = { client, deadline, count: 0 };
  for (;;) {
    options.signal?.throwIfAborted();
    const outcome = await attemptOnce(attempts, body);
    if ('value' in outcome) {
      return outcome.value;
    }
    await pauseBeforeRetry(attempts, outcome.transient, 'Nothing was written');
  }
}

async function attemptOnce<T>(
  attempts: Attempts,
  body: (session: ClientSession) => Promise<T>,
): Promise<{ value: T } | { transient: unknown }> {
  // A fresh session per attempt: a session whose transaction met a network error keeps its server pinned.
  const session = attempts.client.startSession();
  let isCommitting = false;
  try {
    session.startTransaction({
      readConcern: { level: 'snapshot' },
      writeConcern: { w: 'majority' },
      maxCommitTimeMS: Math.max(1, Math.ceil(attempts.deadline - performance.now())),
    });
    const value = await body(session);
    isCommitting = true;
    await commit(session, attempts);
    return { value };
  } catch (error) {
    if (session.inTransaction()) {
      await session.abortTransaction();
    }
    if (isCommitting ? isTransient(error) : isBroken(error)) {
      return { transient: error };
    }
    throw error;
  } finally {
    await session.endSession();
  }
}

async function commit(session: ClientSession, attempts: Attempts): Promise<void> {
  for (;;) {
    try {
      await session.commitTransaction();
      return;
    } catch (error) {
      if (!isCommitUnknown(error)) {
        throw error;
      }
      await pauseBeforeRetry(attempts, error, 'Whether it was written is unknown');
    }
  }
}

async function pauseBeforeRetry(attempts: Attempts, cause: unknown, outcome: string): Promise<void> {
  const ceiling = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempts.count);
  attempts.count += 1;
  const pause = ceiling * (0.5 + Math.random() / 2);
  if (performance.now() + pause >= attempts.deadline) {
    const message = `The database took no transaction in time. ${outcome}; try again.`;
    throw new TidemarkError('DATABASE_UNAVAILABLE', message, { cause });
  }
  await sleep(pause);
}

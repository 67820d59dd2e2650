import { SyncRunState, type SyncRun } from '@tidemark/contracts';
import { isTidemarkError, TidemarkError, type ErrorReason } from '@tidemark/model';
import { delay } from '@tidemark/runtime';
import type { Gateway } from './gateway.js';

/** How long a service may be away before a wait gives up. */
const PATIENCE_MS = 60_000;
const RECONNECT_MS = 1_000;
/** What goes away when a service has restarted. */
const PASSING: readonly ErrorReason[] = ['SERVICE_UNAVAILABLE', 'DATABASE_UNAVAILABLE'];

/** True for a run that goes on by itself. */
export function isUnderWay(run: SyncRun): boolean {
  return run.state === SyncRunState.WAITING || run.state === SyncRunState.RUNNING;
}

/**
 * Streams a run's states until it ends, is held or is paused. A service that restarts meanwhile is waited for, a minute
 * at most; its run goes on too.
 */
export async function* followRun(
  { syncs }: Pick<Gateway, 'syncs'>,
  runId: string,
  signal: AbortSignal,
): AsyncGenerator<SyncRun> {
  let heardAt = Date.now();
  for (;;) {
    let failure: TidemarkError | undefined;
    try {
      for await (const { run } of syncs.watchSyncRun({ runId }, { signal })) {
        heardAt = Date.now();
        if (run !== undefined) {
          yield run;
          if (!isUnderWay(run)) {
            return;
          }
        }
      }
    } catch (error) {
      if (!isTidemarkError(error)) {
        throw error;
      }
      failure = error;
    }
    await pauseBeforeRetry(failure, heardAt, signal);
  }
}

/** Waits a moment when trying again makes sense; throws the failure when it does not. */
export async function pauseBeforeRetry(
  failure: TidemarkError | undefined,
  heardAt: number,
  signal: AbortSignal,
): Promise<void> {
  if (failure !== undefined && !PASSING.includes(failure.reason)) {
    throw failure;
  }
  if (Date.now() - heardAt > PATIENCE_MS) {
    throw failure ?? new TidemarkError('SERVICE_UNAVAILABLE', 'the stream ends each time it is opened');
  }
  try {
    await delay(RECONNECT_MS, signal);
  } catch (error) {
    throw new TidemarkError('CANCELLED', 'the wait was cancelled', { cause: error });
  }
}

/** Waits for runs, each state to `onState`; gives back their last states in the order of the runs. */
export async function waitForRuns(
  gateway: Pick<Gateway, 'syncs'>,
  runs: readonly SyncRun[],
  onState: (run: SyncRun) => Promise<void>,
  signal: AbortSignal,
): Promise<SyncRun[]> {
  return Promise.all(
    runs.map(async (first) => {
      let last = first;
      await onState(first);
      if (isUnderWay(first)) {
        for await (const run of followRun(gateway, first.id, signal)) {
          last = run;
          await onState(run);
        }
      }
      return last;
    }),
  );
}

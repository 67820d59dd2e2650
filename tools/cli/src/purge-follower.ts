import type { GetScopeResponse } from '@tidemark/contracts';
import { isTidemarkError, type TidemarkError } from '@tidemark/model';
import type { Gateway } from './gateway.js';
import { pauseBeforeRetry } from './run-follower.js';

/** Waits until nothing is left to purge; a service that restarts meanwhile is waited for, a minute at most. */
export async function waitForPurge(
  { connections }: Pick<Gateway, 'connections'>,
  connectionId: string,
  signal: AbortSignal,
): Promise<GetScopeResponse> {
  let heardAt = Date.now();
  for (;;) {
    let failure: TidemarkError | undefined;
    try {
      const status = await connections.getScope({ connectionId }, { signal });
      if (!status.purging) {
        return status;
      }
      heardAt = Date.now();
    } catch (error) {
      if (!isTidemarkError(error)) {
        throw error;
      }
      failure = error;
    }
    await pauseBeforeRetry(failure, heardAt, signal);
  }
}

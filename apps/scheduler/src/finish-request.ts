import { DeleteDecision, type DeltaCheck, type FinishRunRequest, type Lease } from '@tidemark/contracts';
import type { GuardSpec } from './connection.js';
import type { Run, RunEnd } from './run.js';
import { toReadEnd } from './run-messages.js';

/** How a run shall end: with what its connector said, within its connection's limits, as a person decided. */
export function toFinishRequest(
  lease: Lease,
  end: RunEnd,
  { maxDeletedShare, minDeletedRecords, maxQuarantinedShare }: GuardSpec,
  decision: Run['decision'],
  deltaCheck?: DeltaCheck,
): FinishRunRequest {
  return {
    lease,
    end: toReadEnd(end),
    guard: { maxDeletedShare, minDeletedRecords, maxQuarantinedShare },
    decision: toDecision(decision),
    deltaCheck,
  };
}

function toDecision(decision: Run['decision']): DeleteDecision {
  switch (decision) {
    case 'APPROVED':
      return DeleteDecision.APPROVED;
    case 'DISCARDED':
      return DeleteDecision.DISCARDED;
    case undefined:
      return DeleteDecision.BY_GUARD;
  }
}

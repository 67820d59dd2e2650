import { describe, expect, it } from '@jest/globals';
import { ErrorReason as WireReason, SyncRun, SyncRunState } from '@tidemark/contracts';
import type { ErrorReason } from '@tidemark/model';
import { exitCodeOf, exitCodeOfRuns } from './exit-code.js';

const REASONS = Object.keys(WireReason).filter(
  (name) => !/^(-?\d+|UNSPECIFIED|UNRECOGNIZED)$/.test(name),
) as ErrorReason[];

describe('exit codes', () => {
  it.each(REASONS)('exist for %s, and none means success', (reason) => {
    expect([1, 2, 3, 4, 5]).toContain(exitCodeOf(reason));
  });

  it.each<[ErrorReason, number]>([
    ['REQUEST_INVALID', 2],
    ['FIELD_UNKNOWN', 2],
    ['CONNECTION_NOT_FOUND', 3],
    ['RECORD_NOT_FOUND', 3],
    ['CREDENTIAL_MISSING', 4],
    ['CREDENTIAL_INVALID', 4],
    ['ROLE_MISSING', 4],
    ['SERVICE_UNAVAILABLE', 5],
    ['DATABASE_UNAVAILABLE', 5],
    ['CIRCUIT_OPEN', 5],
    ['CONNECTION_EXISTS', 1],
    ['INTERNAL', 1],
  ])('of %s is %i', (reason, code) => {
    expect(exitCodeOf(reason)).toBe(code);
  });

  const { SUCCEEDED, HELD, FAILED, CANCELLED, PAUSED } = SyncRunState;
  it.each([
    [[], 0],
    [[SUCCEEDED, SUCCEEDED], 0],
    [[SUCCEEDED, HELD], 6],
    [[HELD, FAILED], 1],
    [[CANCELLED], 1],
    [[SUCCEEDED, PAUSED], 1],
  ])('of runs in the states %j is %i', (states, code) => {
    expect(exitCodeOfRuns(states.map((state) => SyncRun.create({ state })))).toBe(code);
  });
});

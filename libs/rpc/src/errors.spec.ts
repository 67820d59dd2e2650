import { ErrorReason as WireReason } from '@tidemark/contracts';
import { isTidemarkError, TidemarkError, type ErrorReason } from '@tidemark/model';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Status } from 'nice-grpc-common';
import { codeOf, isReason } from './reason.js';
import { startRecordServer, type RecordServer } from './testing/record-server.js';

const REASONS = Object.keys(WireReason).filter((name): name is ErrorReason => isReason(name));

describe('errors over the wire', () => {
  let failure: () => unknown = () => undefined;
  let records: RecordServer;

  beforeAll(async () => {
    records = await startRecordServer({
      getRecord: async () => {
        throw failure();
      },
      async *streamRecords() {
        yield { cursor: 'first' };
        throw failure();
      },
    });
  });
  afterAll(() => records.close());

  const call = async (): Promise<TidemarkError> => {
    const error: unknown = await records.client.getRecord({}).catch((caught: unknown) => caught);
    if (!isTidemarkError(error)) {
      throw new Error('the client gave something else than a TidemarkError');
    }
    return error;
  };

  it('knows every reason of the contract', () => {
    expect(REASONS).toHaveLength(40);
    expect(isReason('UNSPECIFIED')).toBe(false);
    expect(isReason('UNRECOGNIZED')).toBe(false);
    expect(isReason('7')).toBe(false);
    expect(isReason('toString')).toBe(false);
  });

  it.each(REASONS)('gives %s back as it was thrown', async (reason) => {
    const metadata = { bound: '100', reference: 'r-1' };
    const violations = [{ field: 'page_size', description: 'must be 0 to 1000 — “größer” is refused' }];
    failure = () =>
      new TidemarkError(reason, `why ${reason}: 100 % \u{1f30a}`, {
        violations,
        retryAfterMs: 61_250,
        metadata,
      });
    const error = await call();
    expect(error).toMatchObject({
      reason,
      message: failure() instanceof Error ? `why ${reason}: 100 % \u{1f30a}` : '',
    });
    expect(error).toMatchObject({ violations, retryAfterMs: 61_250, metadata });
    expect(error.cause).toMatchObject({ code: codeOf(reason) });
  });

  it('gives no violations, delay or metadata where there were none', async () => {
    failure = () => new TidemarkError('RECORD_NOT_FOUND', 'no such record');
    const error = await call();
    expect(error.violations).toEqual([]);
    expect(error.retryAfterMs).toBeUndefined();
    expect(error.metadata).toEqual({});
  });

  it('lets nothing of an unknown failure out, and logs its cause once under the reference sent', async () => {
    const secret = new Error('password=hunter2');
    failure = () => secret;
    const before = records.logs.length;
    const error = await call();
    expect(error.reason).toBe('INTERNAL');
    expect(error.message).toBe(`internal error, reference ${error.metadata['reference']}`);
    expect(JSON.stringify([error, error.cause, error.message])).not.toContain('hunter2');
    const logged = records.logs.slice(before);
    expect(logged).toHaveLength(1);
    expect(logged[0]).toMatchObject({
      level: 'error',
      fields: { reference: error.metadata['reference'], error: secret },
    });
  });

  it('logs a failure at the level of its kind', async () => {
    const levels: Partial<Record<ErrorReason, string>> = {
      DATABASE_UNAVAILABLE: 'warn',
      ROLE_MISSING: 'info',
      RECORD_NOT_FOUND: 'debug',
      INTERNAL: 'error',
    };
    for (const [reason, level] of Object.entries(levels)) {
      failure = () => new TidemarkError(reason as ErrorReason, 'x');
      await call();
      expect(records.logs.at(-1)).toMatchObject({ level, fields: { reason } });
    }
  });

  it('does not log again what another service logged under a reference', async () => {
    failure = () => new TidemarkError('INTERNAL', 'x', { metadata: { reference: 'there' } });
    expect((await call()).metadata).toEqual({ reference: 'there' });
    expect(records.logs.at(-1)).toMatchObject({ level: 'debug' });
  });

  it('gives a typed error in the middle of a stream', async () => {
    failure = () => new TidemarkError('CURSOR_EXPIRED', 'too old', { metadata: { oldest: '5' } });
    const cursors: string[] = [];
    const read = async () => {
      for await (const page of records.client.streamRecords({})) {
        cursors.push(page.cursor);
      }
    };
    await expect(read()).rejects.toMatchObject({
      reason: 'CURSOR_EXPIRED',
      message: 'too old',
      metadata: { oldest: '5' },
    });
    expect(cursors).toEqual(['first']);
  });

  it('bounds violations and messages, and says how many violations were left out', async () => {
    const violations = Array.from({ length: 500 }, (_, index) => ({
      field: `f${index}`,
      description: 'x'.repeat(92),
    }));
    failure = () => new TidemarkError('REQUEST_INVALID', `${'m'.repeat(5000)}\ud800`, { violations });
    const error = await call();
    expect(error.violations.length).toBeGreaterThan(10);
    expect(error.metadata).toEqual({ omitted_violations: String(500 - error.violations.length) });
    expect(error.message).toHaveLength(1000);
  });

  it('carries a message with a lone surrogate', async () => {
    failure = () => new TidemarkError('REQUEST_INVALID', 'bad \ud800 name');
    expect((await call()).message).toBe('bad \ufffd name');
  });

  it('gives gRPC’s own refusals a reason', async () => {
    const big = new Uint8Array(1 + 16 * 1024 * 1024);
    const error: unknown = await records.client
      .getRecord({ id: big.toString().slice(0, big.length) })
      .catch((e: unknown) => e);
    expect(error).toMatchObject({ reason: 'LIMIT_EXCEEDED', cause: { code: Status.RESOURCE_EXHAUSTED } });
  });
});

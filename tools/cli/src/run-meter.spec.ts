import { describe, expect, it } from '@jest/globals';
import { SyncRun, SyncRunState } from '@tidemark/contracts';
import { RunMeter } from './run-meter.js';

const runOf = (read: bigint, state = SyncRunState.RUNNING, expectedRecords: bigint | undefined = 5000n) =>
  SyncRun.create({ connectionId: 'acme-hr', model: 'employees', state, counters: { read }, expectedRecords });

describe('a run meter', () => {
  it('tells share, rate and time left', () => {
    const meter = new RunMeter(runOf(0n));
    meter.update(runOf(0n), 1000);
    meter.update(runOf(2000n), 2000);
    expect(meter.plainLine()).toBe(
      'acme-hr employees: running, 2,000 of 5,000 read, 2,000/s, 1.5 s left (40%)',
    );
    expect(meter.barLine(120)).toContain('██████░░░░░░░░  40%  2,000 of 5,000 read, 2,000/s, 1.5 s left');
  });

  it('keeps to what is known when the whole is not', () => {
    const unknown = SyncRun.create({
      model: 'employees',
      state: SyncRunState.RUNNING,
      counters: { read: 10n },
    });
    const meter = new RunMeter(unknown);
    meter.update(unknown, 0);
    expect(meter.share).toBeUndefined();
    expect(meter.barLine(80)).toContain('   ?  10 read');
  });

  it('claims no share of a whole that the source has outgrown', () => {
    const meter = new RunMeter(runOf(7000n));
    expect(meter.share).toBeUndefined();
    expect(meter.plainLine()).toBe('acme-hr employees: running, 7,000 read');
  });

  it('measures anew when a run starts over', () => {
    const meter = new RunMeter(runOf(4000n));
    meter.update(runOf(4000n), 0);
    meter.update(runOf(0n), 1000);
    meter.update(runOf(500n), 2000);
    expect(meter.rate).toBe(500);
  });

  it('is at its end when the run succeeded, even if less was read than expected', () => {
    expect(new RunMeter(runOf(4998n, SyncRunState.SUCCEEDED)).share).toBe(1);
  });
});

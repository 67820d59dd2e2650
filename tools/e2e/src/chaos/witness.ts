import { expect } from '@jest/globals';
import { ChangeWatch, storedRecords, type LivingRecord } from './change-watch.js';
import type { Api, Driver } from './cluster.js';
import { CommitLog } from './commit-log.js';
import { eventually } from './patience.js';

/** What there is to know of a connection's changes: the commit log, and what a watcher was told from the first one on. */
export class Witness {
  readonly log: CommitLog;
  readonly watch: ChangeWatch;

  constructor(
    private readonly api: Api,
    driver: Driver,
    private readonly connectionId: string,
  ) {
    this.log = new CommitLog(driver, connectionId);
    this.watch = new ChangeWatch(api.records, connectionId);
  }

  stop(): Promise<void> {
    return this.watch.stop();
  }

  /** The live records, as the store has them. */
  stored(): Promise<Map<string, LivingRecord>> {
    return storedRecords(this.api, this.connectionId);
  }

  /** Waits until the watch has come as far as the log, then compares both with each other and with the source. */
  async expectTrue(truth: ReadonlyMap<string, LivingRecord>): Promise<void> {
    const { log, watch } = this;
    await log.readOn();
    await eventually(
      () => watch.changes >= log.changes || watch.faults.length > 0 || undefined,
      () => `the watch of ${this.connectionId} brought ${watch.changes} of ${log.changes} changes`,
    );
    expect(log.faults).toEqual([]);
    expect(watch.faults).toEqual([]);
    expect(watch.versions).toEqual(log.versions);
    expect(watch.states).toEqual(truth);
  }
}

import type { Logger } from '@tidemark/runtime';
import type { ControlDatabase } from './mongo-collections.js';
import type { Uptime } from './uptime.js';

/** A break, by the database's clock. A process that is restarted is back sooner. */
const BREAK_MS = 60_000;
const BEAT_MS = 10_000;

/** The uptime of all schedulers of a control database, each of which says every 10 s that it is there. */
export class MongoUptime implements Uptime {
  private last: { readonly since: Date; readonly beatAt: number } | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly db: ControlDatabase,
    private readonly logger: Logger,
  ) {}

  start(): void {
    this.timer = setInterval(() => {
      this.beat().catch((error: unknown) =>
        this.logger.warn({ error }, 'the database could not be told that a scheduler is there'),
      );
    }, BEAT_MS);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** After a time without the database, too: then it was no use to be there. */
  async since(): Promise<Date> {
    if (this.last === undefined || performance.now() - this.last.beatAt > BEAT_MS * 1.5) return this.beat();
    return this.last.since;
  }

  private async beat(): Promise<Date> {
    const beatAt = performance.now();
    const isBreak = { $gt: [{ $subtract: ['$$NOW', { $ifNull: ['$seen', new Date(0)] }] }, BREAK_MS] };
    const document = await this.db.uptime.findOneAndUpdate(
      { _id: 'schedulers' },
      [{ $set: { since: { $cond: [isBreak, '$$NOW', '$since'] }, seen: '$$NOW' } }],
      { upsert: true, returnDocument: 'after' },
    );
    const since = document?.since ?? new Date();
    this.last = { since, beatAt };
    return since;
  }
}

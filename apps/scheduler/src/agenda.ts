import { MongoBackend, type Db } from '@agendajs/mongo-backend';
import { Agenda, BaseNotificationChannel, toJobId, type Job } from 'agenda';
import { firstDue, type DueEntry, type SyncKind } from '@tidemark/model';
import { isDuplicateKey } from '@tidemark/mongo';
import type { Logger } from '@tidemark/runtime';
import { connectionKey, type ConnectionKey } from './connection.js';
import { JOBS_COLLECTION } from './mongo-collections.js';
import { JobInserts, type InsertedJob } from './mongo-job-inserts.js';
import type { Due, NextDue, Schedules } from './schedules.js';

const DUE = 'sync.due';
const WAKE = 'workers.wake';
const POLL_MS = 5_000;
/** Short, for each run of a job leaves a timer of half of it. A wake-up takes milliseconds, and two of it do no harm. */
const LOCK_MS = 5_000;
/** A wake-up that could not ask for its run comes again this much later, not a whole interval. */
const RETRY_MS = 15_000;

/** What a repeating job carries. `key` is unique by an index of its own. */
interface DueData {
  readonly key: string;
  /** `tenant/connection` */
  readonly connection: string;
  readonly tenant: string;
  readonly id: string;
  readonly model: string;
  readonly kind: SyncKind;
}

/** What the wake-ups lead to. */
export interface WakeUps {
  /** Asks for a run. */
  onDue(due: Due): Promise<void>;
  /** Work may be waiting. */
  onWake(): void;
}

/** Schedules on Agenda. */
export class AgendaSchedules implements Schedules {
  private readonly agenda: Agenda;

  /** The database has to be connected: Agenda ends the process otherwise. */
  constructor(
    db: Db,
    private readonly logger: Logger,
  ) {
    this.agenda = new Agenda({
      backend: new MongoBackend({ mongo: db, collection: JOBS_COLLECTION }),
      notificationChannel: new InsertChannel(db, logger),
      processEvery: POLL_MS,
      defaultLockLifetime: LOCK_MS,
    });
    this.agenda.on('error', (error: Error) => {
      this.logger.warn({ error }, 'a job of Agenda failed');
    });
  }

  async start(wakeUps: WakeUps): Promise<void> {
    const backoff = () => RETRY_MS;
    this.agenda.define<DueData>(DUE, (job) => wakeUps.onDue(toDue(job)), { concurrency: 10, backoff });
    this.agenda.define(WAKE, async () => wakeUps.onWake(), { concurrency: 5, removeOnComplete: true });
    await this.agenda.start();
  }

  async stop(): Promise<void> {
    await this.agenda.stop();
  }

  async set(connection: ConnectionKey, entries: readonly DueEntry[]): Promise<void> {
    const wanted = new Map(entries.map((entry) => [jobKey(connection, entry), entry]));
    const stale: string[] = [];
    for (const job of await this.jobs(connection)) {
      const key = job.data.key;
      if (wanted.get(key)?.intervalMs === job.repeatInterval) wanted.delete(key);
      else stale.push(job._id);
    }
    if (stale.length > 0) await this.agenda.cancel({ ids: stale });
    for (const entry of wanted.values()) await this.insert(connection, entry);
  }

  async next(connection: ConnectionKey): Promise<NextDue[]> {
    const jobs = await this.jobs(connection);
    return jobs.flatMap(({ data, nextRunAt }) =>
      nextRunAt ? [{ model: data.model, kind: data.kind, time: nextRunAt }] : [],
    );
  }

  async wake(): Promise<void> {
    await this.agenda.now(WAKE);
  }

  private async insert(connection: ConnectionKey, entry: DueEntry): Promise<void> {
    const { tenantId: tenant, id } = connection;
    const key = jobKey(connection, entry);
    const data: DueData = {
      key,
      connection: connectionKey(connection),
      tenant,
      id,
      model: entry.model,
      kind: entry.kind,
    };
    const job = this.agenda.create<DueData>(DUE, data);
    try {
      // insertOnly: another scheduler's job, and the lock on it, stay as they are.
      await job
        .unique({ 'data.key': key }, { insertOnly: true })
        .repeatEvery(entry.intervalMs)
        .schedule(firstDue(new Date(), entry.intervalMs, Math.random()))
        .save();
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
    }
  }

  private async jobs(connection: ConnectionKey) {
    const { jobs } = await this.agenda.queryJobs({
      name: DUE,
      data: { connection: connectionKey(connection) },
    });
    return jobs.map((job) => ({
      _id: String(job._id),
      data: job.data as DueData,
      repeatInterval: job.repeatInterval,
      nextRunAt: job.nextRunAt,
    }));
  }
}

function jobKey(connection: ConnectionKey, { model, kind }: { model: string; kind: SyncKind }): string {
  return `${connectionKey(connection)}/${model}/${kind}`;
}

function toDue(job: Job<DueData>): Due {
  const { tenant, id, model, kind } = job.attrs.data;
  return { connection: { tenantId: tenant, id }, model, kind };
}

/** Tells Agenda at once of inserted jobs, one turn for all that came together of one name. */
class InsertChannel extends BaseNotificationChannel {
  private readonly inserts: JobInserts;
  private readonly pending = new Map<string, InsertedJob>();

  constructor(db: Db, logger: Logger) {
    super();
    this.inserts = new JobInserts(db, {
      onInsert: (job) => this.collect(job, logger),
      onError: (error) => logger.warn({ error }, 'the watch on new jobs broke off and is opened again'),
    });
  }

  async connect(): Promise<void> {
    this.inserts.start();
    this.setState('connected');
  }

  async disconnect(): Promise<void> {
    this.setState('disconnected');
    await this.inserts.stop();
    this.handlers.clear();
  }

  async publish(): Promise<void> {
    // Nothing to do: the insert itself is what the others see.
  }

  private collect(job: InsertedJob, logger: Logger): void {
    if (this.pending.size === 0) setImmediate(() => this.flush(logger));
    this.pending.set(job.name, job);
  }

  private flush(logger: Logger): void {
    const jobs = [...this.pending.values()];
    this.pending.clear();
    for (const { id, name, nextRunAt, priority } of jobs) {
      const notification = { jobId: toJobId(id), jobName: name, nextRunAt, priority, timestamp: new Date() };
      this.notifyHandlers(notification).catch((error: unknown) =>
        logger.warn({ error }, 'Agenda could not be told of a new job'),
      );
    }
  }
}

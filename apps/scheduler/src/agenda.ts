import { MongoBackend, type Db } from '@agendajs/mongo-backend';
import { Agenda, BaseNotificationChannel, toJobId } from 'agenda';
import { isDuplicateKey } from '@tidemark/mongo';
import type { Logger } from '@tidemark/runtime';
import { connectionKey, type ConnectionKey } from './connection.js';
import { JOBS_COLLECTION } from './mongo-collections.js';
import { JobInserts, type InsertedJob } from './mongo-job-inserts.js';
import type { Schedules } from './schedules.js';

const WAKE_CONNECTION = 'connection.wake';
/** Jobs of earlier versions: repeating ones, one a model and kind, and those that told workers of waiting runs. */
const FORMER = 'sync.due';
const FORMER_WAKE = 'workers.wake';
const POLL_MS = 5_000;
/** Short, for each run of a job leaves a timer of half of it. A wake-up takes milliseconds, and two of it do no harm. */
const LOCK_MS = 5_000;
/** A wake-up that came to nothing comes again this much later. */
const RETRY_MS = 15_000;
const FORMER_APART_MS = 50;

/** What the job carries that wakes a connection. `key` is unique by an index of its own. */
interface WakeData {
  readonly key: string;
  /** `tenant/connection` */
  readonly connection: string;
  readonly tenant: string;
  readonly id: string;
}

/** What the wake-ups lead to. */
export interface WakeUps {
  /** What comes next of a connection is to be planned. */
  onConnection(connection: ConnectionKey): Promise<void>;
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
    this.agenda.define<WakeData>(WAKE_CONNECTION, ({ attrs }) => wakeUps.onConnection(toKey(attrs.data)), {
      concurrency: 10,
      backoff,
      removeOnComplete: true,
    });
    await this.agenda.start();
    await this.replaceFormer();
  }

  async stop(): Promise<void> {
    await this.agenda.stop();
  }

  async wakeAt(connection: ConnectionKey, time: Date): Promise<void> {
    const jobs = await this.jobs(connection);
    // One that comes before stays: whoever asked for it may know more than we do, and it does no harm.
    if (!jobs.some(({ nextRunAt }) => nextRunAt !== undefined && nextRunAt <= time))
      await this.insert(connection, time);
    await this.cancel(jobs.filter(({ nextRunAt }) => nextRunAt === undefined || nextRunAt > time));
  }

  async next(connection: ConnectionKey): Promise<Date | undefined> {
    const times = (await this.jobs(connection)).flatMap(({ nextRunAt }) => nextRunAt?.getTime() ?? []);
    return times.length === 0 ? undefined : new Date(Math.min(...times));
  }

  async remove(connection: ConnectionKey): Promise<void> {
    await this.cancel(await this.jobs(connection));
  }

  private async insert(connection: ConnectionKey, time: Date): Promise<void> {
    const { tenantId: tenant, id } = connection;
    // Two schedulers that plan the same from the same facts meet in one job.
    const key = `${connectionKey(connection)}@${time.getTime()}`;
    const data: WakeData = { key, connection: connectionKey(connection), tenant, id };
    const job = this.agenda.create<WakeData>(WAKE_CONNECTION, data);
    try {
      // Without Agenda's unique(), which looks through all jobs first: the index refuses a second one. An insert, too, is what all
      // schedulers see at once.
      await job.schedule(time).save();
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
    }
  }

  private async cancel(jobs: readonly WakeJob[]): Promise<void> {
    if (jobs.length > 0) await this.agenda.cancel({ ids: jobs.map(({ _id }) => _id) });
  }

  /** The connection's jobs but those that a process has taken up: they are removed once they are done. */
  private async jobs(connection: ConnectionKey): Promise<WakeJob[]> {
    const { jobs } = await this.agenda.queryJobs({
      name: WAKE_CONNECTION,
      data: { connection: connectionKey(connection) },
    });
    return jobs
      .filter(({ lockedAt }) => lockedAt === undefined)
      .map(({ _id, nextRunAt }) => ({ _id: String(_id), nextRunAt: nextRunAt ?? undefined }));
  }

  /** Connections that earlier versions scheduled are woken soon, then what woke them is taken away. */
  private async replaceFormer(): Promise<void> {
    const { jobs } = await this.agenda.queryJobs({ name: FORMER });
    const connections = new Map(
      jobs.map(({ data }) => [(data as WakeData).connection, toKey(data as WakeData)]),
    );
    for (const [index, connection] of [...connections.values()].entries())
      await this.wakeAt(connection, new Date(Date.now() + index * FORMER_APART_MS));
    await this.agenda.cancel({ names: [FORMER, FORMER_WAKE] });
  }
}

/** A job that wakes a connection. */
interface WakeJob {
  readonly _id: string;
  readonly nextRunAt: Date | undefined;
}

function toKey({ tenant, id }: WakeData): ConnectionKey {
  return { tenantId: tenant, id };
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
    const other = this.pending.get(job.name);
    // Of those that come together the first to run counts: Agenda looks for the others of its name, too.
    if (other === undefined || timeOf(job) < timeOf(other)) this.pending.set(job.name, job);
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

function timeOf({ nextRunAt }: InsertedJob): number {
  return nextRunAt?.getTime() ?? Infinity;
}

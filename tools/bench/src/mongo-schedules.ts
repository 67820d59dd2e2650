import { connectMongo } from '@tidemark/mongo';
import type { MongoClient } from 'mongodb';

/** When a run was asked for, started and ended, in ms since 1970. */
export interface RunTimes {
  readonly created: number;
  readonly started: number;
  readonly ended: number;
}

interface Cadences {
  readonly _id: string;
  readonly syncs: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

interface Run {
  readonly connector: string;
  readonly kind: string;
  readonly state: string;
  readonly createTime: Date;
  readonly startTime: Date;
  readonly endTime: Date;
}

const DATABASE = 'tidemark_control';

/** The scheduler's own database: no API makes a thousand syncs due at one moment, for their spread is what keeps them apart. */
export class ScheduleView {
  private constructor(private readonly mongo: MongoClient) {}

  static async open(uri: string): Promise<ScheduleView> {
    return new ScheduleView(await connectMongo(uri, { appName: 'tidemark-bench' }));
  }

  /** Runs of a kind of a connector's connections that succeeded. */
  async succeeded(connector: string, kind: 'FULL' | 'DELTA'): Promise<number> {
    return this.runs.countDocuments({ connector, kind, state: 'SUCCEEDED' });
  }

  /** When they were asked for, started and ended. */
  async times(connector: string, kind: 'FULL' | 'DELTA'): Promise<RunTimes[]> {
    const runs = await this.runs.find({ connector, kind, state: 'SUCCEEDED' }).toArray();
    return runs.map(({ createTime, startTime, endTime }) => ({
      created: createTime.getTime(),
      started: startTime.getTime(),
      ended: endTime.getTime(),
    }));
  }

  /** Connections that are to be woken. */
  async wakeUps(connector: string): Promise<number> {
    return this.jobs.countDocuments({ name: 'connection.wake', 'data.id': new RegExp(`^${connector}-`) });
  }

  /** Lets all that happened be `ms` longer ago, as far as schedules mind, and wakes every connection at `time`. */
  async makeDue(ms: number, time: Date): Promise<void> {
    const cadences = this.mongo.db(DATABASE).collection<Cadences>('cadences');
    const earlier = (value: unknown) => (value instanceof Date ? new Date(value.getTime() - ms) : value);
    const updates = (await cadences.find().toArray()).map(({ _id, syncs }) => {
      const shifted = Object.entries(syncs).map(([sync, cadence]) => [
        sync,
        Object.fromEntries(Object.entries(cadence).map(([field, value]) => [field, earlier(value)])),
      ]);
      return {
        updateOne: {
          filter: { _id },
          update: { $set: { syncs: Object.fromEntries(shifted) as Cadences['syncs'] } },
        },
      };
    });
    await cadences.bulkWrite(updates);
    // What came due while no scheduler was at work would be spread over minutes.
    await this.mongo
      .db(DATABASE)
      .collection('uptime')
      .updateMany({}, { $set: { since: new Date(0) } });
    await this.jobs.updateMany({ name: 'connection.wake' }, { $set: { nextRunAt: time } });
  }

  close(): Promise<void> {
    return this.mongo.close();
  }

  private get runs() {
    return this.mongo.db(DATABASE).collection<Run>('runs');
  }

  private get jobs() {
    return this.mongo.db(DATABASE).collection('agendaJobs');
  }
}

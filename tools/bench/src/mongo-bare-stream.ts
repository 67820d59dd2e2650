import { connectMongo, withTransaction } from '@tidemark/mongo';
import type { ChangeStream, Collection, Db, MongoClient } from 'mongodb';
import { Arrivals } from './arrivals.js';
import type { TimedWrite } from './wall-clock.js';

/** Where the plain driver writes to: single inserts, and the log entries of small transactions. */
export const BARE_INSERTS = 'bare.inserts';
export const BARE_LOG = 'bare.log';

interface BareDocument {
  _id: string;
  n?: number;
}

/**
 * The plain driver's way of telling others of a write: a change stream. Once with nothing but an insert, and once with the
 * least that a versioned store writes in a transaction: a clock, the record, its run and a log entry.
 */
export class BareStream {
  readonly #arrivals = new Arrivals();
  readonly #following: Promise<void>;
  #sequence = 0;

  private constructor(
    readonly client: MongoClient,
    readonly db: Db,
    readonly stream: ChangeStream<BareDocument>,
  ) {
    this.#following = this.#follow();
  }

  /** Resolves once the change stream stands. */
  static async open(uri: string): Promise<BareStream> {
    const client = await connectMongo(uri, { appName: 'tidemark-bench' });
    const db = client.db('bare');
    // Transactions cannot make collections on the way.
    for (const name of ['inserts', 'log', 'records', 'counters']) await db.createCollection(name);
    const match = { operationType: 'insert', 'ns.coll': { $in: ['inserts', 'log'] } };
    const stream = db.watch<BareDocument>([{ $match: match }]);
    await stream.tryNext(); // opens it on the server
    return new BareStream(client, db, stream);
  }

  /** One insert at majority, followed to its event. `id` is new. */
  async insert(id: string, document: object): Promise<TimedWrite> {
    const arrival = this.#arrivals.expect(id);
    const started = performance.now();
    await this.#collection('inserts').insertOne({ ...document, _id: id });
    const answered = performance.now();
    return { started, answered, seen: await arrival };
  }

  /** One small transaction at majority, followed to the event of its log entry. `id` is new. */
  async transact(id: string, document: object): Promise<TimedWrite> {
    const arrival = this.#arrivals.expect(id);
    const started = performance.now();
    const n = ++this.#sequence;
    await withTransaction(this.client, async (session) => {
      const counters = this.#collection('counters');
      await counters.updateOne({ _id: 'clock' }, { $set: { n } }, { session, upsert: true });
      await this.#collection('records').insertOne({ ...document, _id: id }, { session });
      await counters.updateOne({ _id: 'run' }, { $set: { n } }, { session, upsert: true });
      await this.#collection('log').insertOne({ _id: id, n }, { session });
    });
    const answered = performance.now();
    return { started, answered, seen: await arrival };
  }

  async close(): Promise<void> {
    await this.stream.close();
    await this.#following;
    await this.client.close();
  }

  #collection(name: string): Collection<BareDocument> {
    return this.db.collection(name);
  }

  async #follow(): Promise<void> {
    try {
      for await (const event of this.stream)
        if (event.operationType === 'insert') this.#arrivals.arrived(event.fullDocument._id);
    } catch (error) {
      // Closing it ends it with an error, too; nobody waits then.
      this.#arrivals.fail(error);
    }
  }
}

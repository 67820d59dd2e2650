import { randomBytes } from 'node:crypto';
import { ConnectorServiceDefinition, SyncKind } from '@tidemark/contracts';
import { connectMongo } from '@tidemark/mongo';
import { createClient, fastDefinition, type RpcClient } from '@tidemark/rpc';
import type { Collection, MongoClient } from 'mongodb';
import type { Bed } from './bed.js';
import { fileConfig, MODEL } from './gateway-client.js';
import { startAlone, type RunningService } from './service-process.js';
import { EMPLOYEE_FIELDS } from './workload.js';

/**
 * Writes that no sync can do without, for each has to be durable before the next thing happens: the run is asked for, its lease
 * is taken, it is started, the store learns of the lease, of the page and of the end, and the run's success is told.
 */
export const BARE_WRITES = 7;

/** About what a run's document holds. */
const DOCUMENT = { state: 'WAITING', note: 'x'.repeat(1_000), revision: 0 };

const NONE = new Uint8Array(0);

type Connector = RpcClient<ReturnType<typeof fastDefinition<typeof ConnectorServiceDefinition>>>;

/** The calls that a sync is made of, and nothing else: plain driver, plain connector. */
export class BareSyncs {
  private constructor(
    readonly connector: RunningService,
    private readonly client: Connector,
    private readonly mongo: MongoClient,
    private readonly documents: Collection<{ _id: string }>,
    private readonly folder: string,
  ) {}

  /** `folder` holds the source. */
  static async open(bed: Bed, folder: string): Promise<BareSyncs> {
    const internalToken = randomBytes(32).toString('hex');
    const connector = await startAlone(bed, 'connector-file', 'connector', {
      internalToken,
      fileRoots: [folder],
    });
    const client = createClient(fastDefinition(ConnectorServiceDefinition), connector.address, {
      credential: { internalToken },
    });
    const mongo = await connectMongo(bed.mongo.uri, { appName: 'tidemark-bench' });
    const documents = mongo.db('bare').collection<{ _id: string }>('syncs');
    await documents.insertOne({ _id: 'run', ...DOCUMENT });
    return new BareSyncs(connector, client, mongo, documents, folder);
  }

  /** All of them once, one after the other; their ms. */
  async once(): Promise<number> {
    const started = performance.now();
    await this.read();
    for (let i = 0; i < BARE_WRITES; i++)
      await this.documents.findOneAndUpdate({ _id: 'run' }, { $inc: { revision: 1 } });
    return performance.now() - started;
  }

  async close(): Promise<void> {
    this.client.close();
    await this.connector.stop();
    await this.mongo.close();
  }

  private async read(): Promise<void> {
    let records = 0;
    const request = {
      settings: { config: Buffer.from(JSON.stringify(fileConfig(this.folder))), credentials: NONE },
      model: MODEL,
      kind: SyncKind.FULL,
      checkpoint: NONE,
      overlap: undefined,
      fields: [...EMPLOYEE_FIELDS],
      fingerprintKey: Buffer.alloc(32, 1),
      pageRecords: 500,
      pageBytes: 4 * 1024 * 1024,
    };
    for await (const { message } of this.client.read(request))
      if (message?.$case === 'page') records += message.value.records.length;
    if (records === 0) throw new Error('the connector read nothing');
  }
}

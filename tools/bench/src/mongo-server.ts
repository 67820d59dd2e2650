import { connectMongo } from '@tidemark/mongo';
import type { MongoClient } from 'mongodb';
import type { ServerCounts } from './server-counts.js';

/** Commands with which drivers, and the benchmark itself, look after the server. */
const HOUSEKEEPING = [
  'hello',
  'isMaster',
  'ping',
  'serverStatus',
  'endSessions',
  'saslStart',
  'saslContinue',
];

/** What the database itself says of its work. */
export class ServerView {
  private constructor(readonly client: MongoClient) {}

  static async open(uri: string): Promise<ServerView> {
    return new ServerView(await connectMongo(uri, { appName: 'tidemark-bench' }));
  }

  /** Open change streams of a database, at work or idle. */
  async changeStreams(database: string): Promise<number> {
    const command = 'cursor.originatingCommand';
    const streams = await this.client
      .db('admin')
      .aggregate(
        [
          { $currentOp: { allUsers: true, idleConnections: true, idleCursors: true, idleSessions: false } },
          {
            $match: {
              [`${command}.$db`]: database,
              [`${command}.pipeline.0.$changeStream`]: { $exists: true },
            },
          },
          { $group: { _id: '$cursor.cursorId' } },
        ],
        { readConcern: { level: 'local' } },
      )
      .toArray();
    return streams.length;
  }

  /** What it has counted since its start. */
  async counts(): Promise<ServerCounts> {
    const status = (await this.client.db('admin').command({ serverStatus: 1 })) as unknown as ServerStatus;
    const { metrics, transactions, wiredTiger } = status;
    const commands = Object.entries(metrics.commands)
      .filter(([name]) => !HOUSEKEEPING.includes(name))
      .map(([name, { total }]) => [name, Number(total ?? 0)] as const);
    return {
      commands: Object.fromEntries(commands),
      committed: Number(transactions.totalCommitted),
      aborted: Number(transactions.totalAborted),
      journalSyncs: Number(wiredTiger.log['log sync operations']),
      journalSyncMs: Number(wiredTiger.log['log sync time duration (usecs)']) / 1_000,
      pagesRead: Number(wiredTiger.cache['pages read into cache']),
    };
  }

  close(): Promise<void> {
    return this.client.close();
  }
}

interface ServerStatus {
  readonly metrics: { readonly commands: Readonly<Record<string, { readonly total?: unknown }>> };
  readonly transactions: { readonly totalCommitted: unknown; readonly totalAborted: unknown };
  readonly wiredTiger: {
    readonly log: Readonly<Record<string, unknown>>;
    readonly cache: Readonly<Record<string, unknown>>;
  };
}

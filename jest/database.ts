import { randomUUID } from 'node:crypto';
import { connectMongo } from '@tidemark/mongo';

type Client = Awaited<ReturnType<typeof connectMongo>>;

/** A database of a test's own on the run's real MongoDB. */
export interface TestDatabase {
  readonly uri: string;
  readonly client: Client;
  readonly db: ReturnType<Client['db']>;
  /** Drops the database and closes the client. */
  drop(): Promise<void>;
}

/**
 * Connects to the run's MongoDB, which jest's global setup started, or to the one at `uri`, and gives back a new, empty
 * database, or the one of that name. An `appName` of its own lets a test set fail points for this client alone.
 */
export async function testDatabase(
  uri = testMongoUri(),
  appName = 'tidemark-tests',
  name = `test_${randomUUID().replaceAll('-', '')}`,
): Promise<TestDatabase> {
  const client = await connectMongo(uri, { appName });
  const db = client.db(name);
  return {
    uri,
    client,
    db,
    drop: async () => {
      await db.dropDatabase();
      await client.close();
    },
  };
}

/** The address of the run's MongoDB, for tests that start services of their own. */
export function testMongoUri(): string {
  const uri = process.env['TIDEMARK_TEST_MONGODB_URI'];
  if (uri === undefined) {
    throw new Error(
      "run the tests through jest's configuration at the root: its global setup starts MongoDB",
    );
  }
  return uri;
}

import { connectMongo } from '@tidemark/mongo';

const BYTES_PER_MB = 1_000_000;

/** What a database takes on disk, in MB of 10^6 bytes: files of its collections and of their indexes. */
export interface DatabaseSize {
  readonly dataMb: number;
  readonly indexMb: number;
  readonly totalMb: number;
  /** Of `totalMb`, per collection. */
  readonly collectionsMb: Readonly<Record<string, number>>;
}

/** Measures a database after a checkpoint. */
export async function databaseSize(uri: string, name: string): Promise<DatabaseSize> {
  const client = await connectMongo(uri, { appName: 'tidemark-bench' });
  try {
    await client.db('admin').command({ fsync: 1 });
    const db = client.db(name);
    const collections = await db.listCollections({ type: 'collection' }, { nameOnly: true }).toArray();
    const sizes = await Promise.all(
      collections.map(async ({ name: collection }) => {
        const stats = await db.command({ collStats: collection });
        return {
          collection,
          data: Number(stats['storageSize']) / BYTES_PER_MB,
          index: Number(stats['totalIndexSize']) / BYTES_PER_MB,
        };
      }),
    );
    const sum = (of: (size: (typeof sizes)[number]) => number) =>
      toTenths(sizes.reduce((total, size) => total + of(size), 0));
    const ordered = sizes.sort((a, b) => b.data + b.index - a.data - a.index);
    return {
      dataMb: sum(({ data }) => data),
      indexMb: sum(({ index }) => index),
      totalMb: sum(({ data, index }) => data + index),
      collectionsMb: Object.fromEntries(
        ordered.map(({ collection, data, index }) => [collection, toTenths(data + index)]),
      ),
    };
  } finally {
    await client.close();
  }
}

function toTenths(value: number): number {
  return Math.round(value * 10) / 10;
}

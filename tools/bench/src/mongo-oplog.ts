import { connectMongo } from '@tidemark/mongo';

/**
 * When the database put the writes into a collection into its log, in ms of its wall clock and in the order of the log; a
 * transaction counts when it is committed. Only for a replica set of one node, which is the bench's.
 */
export async function loggedInserts(uri: string, namespace: string): Promise<number[]> {
  const client = await connectMongo(uri, { appName: 'tidemark-bench' });
  try {
    const entries = client
      .db('local')
      .collection('oplog.rs')
      .find(
        {
          $or: [
            { op: 'i', ns: namespace },
            { op: 'c', 'o.applyOps': { $elemMatch: { op: 'i', ns: namespace } } },
          ],
        },
        { projection: { wall: 1 }, sort: { $natural: 1 } },
      );
    const walls: number[] = [];
    for await (const { wall } of entries) walls.push((wall as Date).getTime());
    return walls;
  } finally {
    await client.close();
  }
}

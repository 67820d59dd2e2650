import { testDatabase } from '../../../../jest/database.js';
import { ControlDatabase } from '../mongo-collections.js';

/** A control database of a test's own, prepared. */
export async function testControlDatabase(): Promise<{ db: ControlDatabase; drop(): Promise<void> }> {
  const database = await testDatabase();
  const db = new ControlDatabase(database.client, database.db);
  await db.prepare();
  return { db, drop: () => database.drop() };
}

import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { testDatabase } from '../../../jest/database.js';
import { startFaultyMongo } from '../../../jest/faulty-mongo.js';
import { createLogger } from '@tidemark/runtime';
import { startStore } from './testing/harness.js';
it('stops', async () => {
  const mongo = await startFaultyMongo();
  const logger = createLogger({ service: 'store', level: 'error' });
  const slow: string[] = [];
  for (let i = 0; i < 40; i++) {
    const database = await testDatabase(mongo.uri, 'stopper');
    const store = await startStore(database, {}, logger);
    const fault = [{ errorCode: 286 }, { closeConnection: true }, { errorCode: 43, errorLabels: ['ResumableChangeStreamError'] }][i % 3]!;
    await mongo.fail('stopper', 'always', { failCommands: i % 2 ? ['getMore'] : ['getMore', 'aggregate'], ...fault });
    await sleep(Math.random() * 1200);
    const t = performance.now();
    let done = false;
    const stopping = store.stop().then(() => { done = true; });
    await Promise.race([stopping, sleep(10000)]);
    if (!done || performance.now() - t > 6000) slow.push(`${i} ${done} ${Math.round(performance.now() - t)}`);
    await mongo.heal();
    await database.client.close();
  }
  console.log(slow);
  await mongo.stop();
  expect(slow).toEqual([]);
}, 300000);

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { startEmbeddedMongo } from '@tidemark/mongo';

/** Runs the tests' MongoDB on a directory of its own until stdin closes; its address is the one line on stdout. */
const dataDir = await mkdtemp(join(tmpdir(), 'tidemark-test-'));
try {
  const mongo = await startEmbeddedMongo({
    dataDir,
    // Lets tests set fail points; limit each to the app name of the test's own client.
    parameters: { enableTestCommands: '1' },
    env: process.env,
    log: (line) => process.stderr.write(`${line}\n`),
  });
  process.stdout.write(`${mongo.uri}\n`);
  await finished(process.stdin.resume(), { writable: false });
  await mongo.stop();
} finally {
  await rm(dataDir, { recursive: true, force: true });
}

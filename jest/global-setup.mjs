import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/**
 * Starts the one MongoDB of the whole run and tells the tests its address. It runs in a process of its own, which ends
 * with this one and leaves nothing behind, even when this one is killed.
 */
export default async function globalSetup() {
  const script = fileURLToPath(new URL('./test-mongo.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=@tidemark/source', '--import', 'tsx', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // Jest's own flags are not for this process.
    env: { ...process.env, NODE_OPTIONS: '' },
    detached: true,
  });
  const lines = createInterface({ input: child.stdout });
  const [uri] = await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => [undefined])]);
  if (typeof uri !== 'string') {
    throw new Error('the MongoDB of the tests did not start; its reason stands above');
  }
  process.env['TIDEMARK_TEST_MONGODB_URI'] = uri;
  globalThis.tidemarkTestMongo = child;
}

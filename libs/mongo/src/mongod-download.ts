import { createRequire } from 'node:module';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setInterval as ticks } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

/** No new byte on disk for so long means that the download host cannot be reached. */
const STALLED_AFTER_MS = 15_000;

/** Runs in a worker, because the memory server reads its settings from the environment and cannot be cancelled. */
const WORKER_CODE = `
const { parentPort, workerData } = require('node:worker_threads');
const { MongoBinary } = require(workerData.module);
MongoBinary.getPath({ downloadDir: workerData.directory, checkMD5: true }).then(
  (path) => parentPort.postMessage({ path }),
  (error) => parentPort.postMessage({ failure: String(error && error.message) }),
);`;

/**
 * Has mongodb-memory-server download its mongod into `directory`, or find one in its own cache, and gives back the path.
 * Rejects when no byte arrives for 15 s.
 */
export async function downloadMongod(
  directory: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const worker = new Worker(WORKER_CODE, {
    eval: true,
    // Without npm_config_strict_ssl the memory server would accept any certificate.
    env: { ...env, npm_config_strict_ssl: 'true', MONGOMS_MAX_RETRIES: '0' },
    stdout: true,
    stderr: true,
    workerData: { directory, module: createRequire(import.meta.url).resolve('mongodb-memory-server-core') },
  });
  const finished = new AbortController();
  try {
    return await Promise.race([downloadedPath(worker), stalled(directory, finished.signal)]);
  } finally {
    finished.abort();
    await worker.terminate();
  }
}

function downloadedPath(worker: Worker): Promise<string> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (answer: { path?: string; failure?: string }) => {
      if (answer.path === undefined) {
        reject(new Error(answer.failure ?? 'no answer'));
      } else {
        resolve(answer.path);
      }
    });
  });
}

async function stalled(directory: string, signal: AbortSignal): Promise<never> {
  let bytes = 0;
  let lastGrowth = performance.now();
  for await (const _ of ticks(500, undefined, { signal })) {
    const now = await bytesIn(directory);
    if (now !== bytes) {
      bytes = now;
      lastGrowth = performance.now();
    } else if (performance.now() - lastGrowth > STALLED_AFTER_MS) {
      break;
    }
  }
  throw new Error(`nothing arrived for ${String(STALLED_AFTER_MS / 1000)} s`);
}

async function bytesIn(directory: string): Promise<number> {
  let total = 0;
  for (const name of await readdir(directory)) {
    // A file may be renamed between the listing and the look.
    total += (await stat(join(directory, name)).catch(() => ({ size: 0 }))).size;
  }
  return total;
}

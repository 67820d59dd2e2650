import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SyncKind, type Record as StoredRecord, type SyncRun } from '@tidemark/contracts';
import { isTidemarkError, TidemarkError } from '@tidemark/model';
import type { Environment } from '@tidemark/runtime';
import { readConnectionFile } from '../connection-file.js';
import { SOURCE_DEADLINE_MS, type Gateway } from '../gateway.js';
import { waitForRuns } from '../run-follower.js';
import { REPOSITORY } from './services.js';

const execFileAsync = promisify(execFile);

/** The sample's folder: its connection file, and the exports that it mirrors. */
export const SAMPLE_FOLDER = join(REPOSITORY, 'examples', 'acme-hr');

/** The sample's connection. */
export const SAMPLE_CONNECTION = 'acme-hr';

const SHOWN_MODEL = 'employees';
const SHOWN_FIELDS = ['first_name', 'last_name', 'job_title', 'city', 'status'];

/** What mirroring the sample came to. */
export interface SampleResult {
  readonly runs: readonly SyncRun[];
  /** A few records, to look at. */
  readonly records: readonly StoredRecord[];
}

/** Makes the sample's exports, its connection if there is none, and mirrors all of it once. */
export async function mirrorSample(
  gateway: Gateway,
  env: Environment,
  onState: (run: SyncRun) => Promise<void>,
  signal: AbortSignal,
): Promise<SampleResult> {
  await generateExports(signal);
  await ensureConnection(gateway, env, signal);
  const request = { connectionId: SAMPLE_CONNECTION, kind: SyncKind.FULL };
  const { runs } = await gateway.syncs.runSync(request, { signal });
  const finished = await waitForRuns(gateway, runs, onState, signal);
  return { runs: finished, records: await someRecords(gateway, signal) };
}

/** Files that are there stay as they are: someone may have edited them. */
async function generateExports(signal: AbortSignal): Promise<void> {
  try {
    await execFileAsync(process.execPath, [join(SAMPLE_FOLDER, 'generate.mjs')], { signal });
  } catch (error) {
    throw new TidemarkError('INTERNAL', `The sample's exports cannot be written to ${SAMPLE_FOLDER}.`, {
      cause: error,
    });
  }
}

async function ensureConnection(
  { connections }: Gateway,
  env: Environment,
  signal: AbortSignal,
): Promise<void> {
  try {
    await connections.getConnection({ connectionId: SAMPLE_CONNECTION }, { signal });
  } catch (error) {
    if (!isTidemarkError(error, 'CONNECTION_NOT_FOUND')) {
      throw error;
    }
    const spec = await readConnectionFile(join(SAMPLE_FOLDER, 'connection.yaml'), env);
    // The syncs are started by hand right after, to be watched.
    await connections.createConnection(
      { spec, withoutSync: true },
      { signal, deadlineMs: SOURCE_DEADLINE_MS },
    );
  }
}

async function someRecords({ records }: Gateway, signal: AbortSignal): Promise<StoredRecord[]> {
  const found: StoredRecord[] = [];
  const request = {
    connectionId: SAMPLE_CONNECTION,
    models: [SHOWN_MODEL],
    fields: SHOWN_FIELDS,
    excludeDeleted: true,
    limit: 3n,
  };
  for await (const page of records.streamRecords(request, { signal })) {
    found.push(...page.records);
  }
  return found;
}

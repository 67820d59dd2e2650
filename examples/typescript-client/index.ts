// A service of your own: it reads every employee once, then follows each change. Stop it, change the source, start it
// again: it goes on where it was, from the cursor it keeps in a file. While `npm start` runs:
//
//   npx tsx examples/typescript-client/index.ts
import { readFile, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Operation, RecordServiceDefinition, type Record as StoredRecord } from '@tidemark/contracts';
import { isTidemarkError } from '@tidemark/model';
import { createClient } from '@tidemark/rpc';

const CONNECTION = 'acme-hr';
const MODELS = ['employees'];
const DATA_FOLDER = fileURLToPath(new URL('../../.tidemark', import.meta.url));
const CURSOR_FILE = process.env['CURSOR_FILE'] ?? `${DATA_FOLDER}/example.cursor`;

// Where Tidemark is, and a key to it. Here: what `tidemark up` wrote; in production: your own settings.
const { address, apiKey } = JSON.parse(await readFile(`${DATA_FOLDER}/cli.json`, 'utf8')) as Record<
  string,
  string
>;
const records = createClient(RecordServiceDefinition, address ?? '', {
  credential: { apiKey: apiKey ?? '' },
});

// Empty at the first start, when there is no file yet.
let cursor = await readFile(CURSOR_FILE, 'utf8').catch(() => '');
for (;;) {
  try {
    if (cursor === '') await bootstrap();
    await follow();
  } catch (error) {
    if (isTidemarkError(error, 'CURSOR_EXPIRED', 'MUST_RESYNC')) {
      cursor = ''; // Too long away, or the connection was made anew: read everything again.
    } else if (isTidemarkError(error, 'SERVICE_UNAVAILABLE')) {
      await new Promise((resolve) => setTimeout(resolve, 1000)); // Tidemark restarts: go on from the cursor.
    } else throw error;
  }
}

/** Reads all employees, page by page. */
async function bootstrap(): Promise<void> {
  let after = '';
  let count = 0;
  for await (const page of records.streamRecords({ connectionId: CONNECTION, models: MODELS })) {
    page.records.forEach(store);
    count += page.records.length;
    after = page.cursor;
  }
  await keepCursor(after);
  console.log(`read ${count} records, deleted ones included; now following changes`);
}

/** Applies each change, in order, until the stream ends. */
async function follow(): Promise<void> {
  const request = { connectionIds: [CONNECTION], models: MODELS, cursors: [cursor] };
  for await (const batch of records.watchChanges(request)) {
    for (const { operation, record, changedFields } of batch.changes) {
      if (record === undefined) continue;
      store(record);
      console.log(Operation[operation], record.id, `version ${record.version}`, ...changedFields);
    }
    await keepCursor(batch.cursor);
  }
}

/** Here you would write to your own database. The record's version makes it safe to apply a change twice. */
function store(record: StoredRecord): void {
  const employee = record.deletedAt === undefined ? Buffer.from(record.data).toString() : 'deleted';
  if (process.env['VERBOSE'] !== undefined) console.log(record.id, record.version, employee);
}

/** Called after the changes are safe: a crash between the two repeats some changes and loses none. */
async function keepCursor(after: string): Promise<void> {
  cursor = after;
  await writeFile(`${CURSOR_FILE}.new`, after);
  await rename(`${CURSOR_FILE}.new`, CURSOR_FILE);
}

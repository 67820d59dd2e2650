import { EMPLOYEE_FIELDS } from './employees.js';
import { TestWriter, type StoreHarness } from './harness.js';

let connections = 0;

/** A writer of a new connection, open with a scope of employees or another one. */
export async function newWriter(
  harness: StoreHarness,
  models: Record<string, string[]> = EMPLOYEE_FIELDS,
): Promise<TestWriter> {
  const writer = new TestWriter(harness, `connection-${connections++}`);
  await writer.open(models);
  return writer;
}

/** What the store's keys of a connection begin with. */
export async function uidOf({ harness, tenantId, connectionId }: TestWriter): Promise<string> {
  const scope = { revision: 1n, models: [] };
  const { generation } = await harness.writing.openConnection({ tenantId, connectionId, scope });
  return generation;
}

/** Removes a connection with all that it has. */
export async function removeAll({ harness, tenantId, connectionId }: TestWriter): Promise<void> {
  for (;;) {
    const { done } = await harness.writing.removeConnection({ tenantId, connectionId });
    if (done) return;
  }
}

import type { TestRecord, TestWriter } from './harness.js';

/** A scope of one model, `employees`. */
export const EMPLOYEE_FIELDS = { employees: ['id', 'name', 'level', 'work.city'] };

/** An employee to write. */
export function employee(id: string, level = 1): TestRecord {
  return [id, { id, name: `n-${id}`, level }];
}

/** Employees `e00000`, `e00001` … */
export function many(count: number, level = 1): TestRecord[] {
  return Array.from({ length: count }, (_, i) => employee(`e${String(i).padStart(5, '0')}`, level));
}

/** Records as `a v1`, tombstones as `a v2 deleted`. */
export function brief(
  records: readonly { id: string; version: bigint; deletedAt?: Date | undefined }[],
): string[] {
  return records.map(({ id, version, deletedAt }) => `${id} v${version}${deletedAt ? ' deleted' : ''}`);
}

/** All records of a connection with their level: `a 1`, tombstones as `a deleted`. */
export async function levels(writer: TestWriter): Promise<string[]> {
  const { records } = await writer.records();
  return records.map(({ id, data, deletedAt }) =>
    deletedAt
      ? `${id} deleted`
      : `${id} ${(JSON.parse(Buffer.from(data).toString()) as { level: number }).level}`,
  );
}

/** Throws with both sides when two maps differ. */
export function expectSame(
  what: string,
  found: ReadonlyMap<string, unknown>,
  expected: ReadonlyMap<string, unknown>,
): void {
  const text = (map: ReadonlyMap<string, unknown>): string =>
    JSON.stringify([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
  if (text(found) !== text(expected))
    throw new Error(`${what}: found ${text(found)}, expected ${text(expected)}`);
}

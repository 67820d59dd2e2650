/** Throws when two maps differ, with the entries that do. */
export function expectSame(
  what: string,
  found: ReadonlyMap<string, unknown>,
  expected: ReadonlyMap<string, unknown>,
): void {
  const text = (map: ReadonlyMap<string, unknown>, key: string): string =>
    map.has(key) ? JSON.stringify(map.get(key)) : 'nothing';
  const differing = [...new Set([...found.keys(), ...expected.keys()])]
    .sort()
    .filter((key) => text(found, key) !== text(expected, key));
  if (differing.length === 0) return;
  const lines = differing.map((key) => `${key} is ${text(found, key)} instead of ${text(expected, key)}`);
  throw new Error(`${what}: ${lines.join('; ')}`);
}

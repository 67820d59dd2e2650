/** Rows in columns: the first is for words, the others for figures, which stand to the right. `lastIsText` excepts the last. */
export function textTable(rows: readonly (readonly string[])[], lastIsText = false): string {
  const columns = Math.max(0, ...rows.map(({ length }) => length));
  const widths = Array.from({ length: columns }, (_, i) =>
    Math.max(...rows.map((row) => (row[i] ?? '').length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, i) => {
          const isText = i === 0 || (lastIsText && i === columns - 1);
          return isText ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

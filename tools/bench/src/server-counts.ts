/** What the database counted. */
export interface ServerCounts {
  /** Commands by name, each a round trip of some client; without housekeeping and without those that did not come. */
  readonly commands: Readonly<Record<string, number>>;
  /** Transactions. */
  readonly committed: number;
  readonly aborted: number;
  /** Times that the journal was made durable, and the ms spent on it. */
  readonly journalSyncs: number;
  readonly journalSyncMs: number;
  /** Pages that were not in its cache. */
  readonly pagesRead: number;
}

/** What was counted between two moments. */
export function countsBetween(before: ServerCounts, after: ServerCounts): ServerCounts {
  return {
    commands: Object.fromEntries(
      Object.entries(after.commands)
        .map(([name, count]) => [name, count - (before.commands[name] ?? 0)] as const)
        .filter(([, count]) => count > 0),
    ),
    committed: after.committed - before.committed,
    aborted: after.aborted - before.aborted,
    journalSyncs: after.journalSyncs - before.journalSyncs,
    journalSyncMs: Math.round(after.journalSyncMs - before.journalSyncMs),
    pagesRead: after.pagesRead - before.pagesRead,
  };
}

/** Commands of every name. */
export function commandsIn({ commands }: ServerCounts): number {
  return Object.values(commands).reduce((sum, count) => sum + count, 0);
}

/** What a marker in the log tells of; the contract's numbers of MarkerKind. */
export const MARKER = { FIRST_SNAPSHOT: 1, SYNC_FINISHED: 2, SCOPE_CHANGED: 3 } as const;

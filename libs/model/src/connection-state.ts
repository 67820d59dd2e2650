/** Whether a connection syncs. Its data is readable in every state but DELETING. */
export type ConnectionState = 'ACTIVE' | 'PAUSED' | 'NEEDS_ATTENTION' | 'DISABLED' | 'DELETING';

/** What changes a connection's state. */
export type ConnectionEvent =
  /** A person pauses, resumes or deletes it, or gives it other settings. */
  | 'PAUSE'
  | 'RESUME'
  | 'UPDATE'
  | 'DELETE'
  /** Its source refuses the credentials, or has been gone for an hour and more. */
  | 'CREDENTIALS_REJECTED'
  | 'SOURCE_GONE';

/** Where each event leads from which state; what is missing does not happen in that state. */
export const CONNECTION_TRANSITIONS: Readonly<
  Record<ConnectionEvent, Readonly<Partial<Record<ConnectionState, ConnectionState>>>>
> = {
  PAUSE: { ACTIVE: 'PAUSED', NEEDS_ATTENTION: 'PAUSED', DISABLED: 'PAUSED' },
  RESUME: { PAUSED: 'ACTIVE', NEEDS_ATTENTION: 'ACTIVE', DISABLED: 'ACTIVE' },
  // Whoever paused it wants it to stay so, whatever its settings are.
  UPDATE: { NEEDS_ATTENTION: 'ACTIVE', DISABLED: 'ACTIVE' },
  DELETE: {
    ACTIVE: 'DELETING',
    PAUSED: 'DELETING',
    NEEDS_ATTENTION: 'DELETING',
    DISABLED: 'DELETING',
    DELETING: 'DELETING',
  },
  CREDENTIALS_REJECTED: { ACTIVE: 'NEEDS_ATTENTION' },
  SOURCE_GONE: { ACTIVE: 'DISABLED' },
};

/** What a person can do about a connection that does not sync. */
export const CONNECTION_ADVICE: Readonly<Record<ConnectionState, string>> = {
  ACTIVE: '',
  PAUSED: 'resume it',
  NEEDS_ATTENTION: 'update its credentials, or resume it if the source accepts them again',
  DISABLED: 'update or resume it if the source is there again, else delete it',
  DELETING: 'wait until it is gone',
};

/** The states in which an event changes something, and the one that it leads to. */
export function transitionsOf(event: ConnectionEvent): {
  readonly from: readonly ConnectionState[];
  readonly to: ConnectionState;
} {
  const entries = Object.entries(CONNECTION_TRANSITIONS[event]) as [ConnectionState, ConnectionState][];
  const to = entries[0]?.[1];
  if (to === undefined) throw new Error(`the event ${event} leads nowhere`);
  return { from: entries.map(([from]) => from), to };
}

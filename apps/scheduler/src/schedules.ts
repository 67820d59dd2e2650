import type { DueEntry, SyncKind } from '@tidemark/model';
import type { ConnectionKey } from './connection.js';

/** A wake-up that came. */
export interface Due {
  readonly connection: ConnectionKey;
  readonly model: string;
  readonly kind: SyncKind;
}

/** When a wake-up comes next. */
export interface NextDue {
  readonly model: string;
  readonly kind: SyncKind;
  readonly time: Date;
}

/** The repeating wake-ups of connections. They only ask for runs; they are no locks. */
export interface Schedules {
  /** Brings the wake-ups of a connection to these entries; those that stay as they are keep their times. */
  set(connection: ConnectionKey, entries: readonly DueEntry[]): Promise<void>;
  next(connection: ConnectionKey): Promise<NextDue[]>;
  /** Wakes the workers of all processes. */
  wake(): Promise<void>;
}

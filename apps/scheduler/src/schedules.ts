import type { ConnectionKey } from './connection.js';

/** When connections are woken, to plan what comes next. Wake-ups only lead to plans; they are no locks. */
export interface Schedules {
  /** Wakes a connection at this time. It may be woken before; later wake-ups that it replaces are taken away. */
  wakeAt(connection: ConnectionKey, time: Date): Promise<void>;
  /** When a connection is woken next. */
  next(connection: ConnectionKey): Promise<Date | undefined>;
  /** Wakes a connection no more. */
  remove(connection: ConnectionKey): Promise<void>;
}

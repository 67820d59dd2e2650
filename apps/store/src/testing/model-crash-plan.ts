/** Commands of a commit's transaction at which a process is killed, as `command collection`. */
export const COMMIT_STEPS = [
  'findAndModify clocks',
  'insert versions',
  'insert records',
  'update records',
  'insert packs',
  'insert commits',
  'update models',
  'insert seen',
  'update runs',
  'commitTransaction',
] as const;

/** The same in other transactions: a run's end, a purge. */
export const OTHER_STEPS = [
  'findAndModify runs',
  'update connections',
  'update packs',
  'insert receipts',
] as const;

/** A command at which a process is killed. */
export interface CrashPlan {
  /** One of the steps above, or `any` for whatever the process asks of the database, inside a transaction or not. */
  readonly step: string;
  /** So many of them pass before. */
  readonly skip: number;
  /** Before the database gets it, or after it has answered and before the process knows. */
  readonly when: 'before' | 'after';
}

/** A command on its way to the database. */
export interface WireStep {
  /** The request's number; its answer names it. */
  readonly id: number;
  readonly label: string;
  /** The session of a transaction; undefined outside one. */
  readonly session: Buffer | undefined;
}

const OP_MSG = 2013;
const HEADER_BYTES = 21;
/** What a driver does by itself, and what follows changes: no step of anything. */
const BACKGROUND = [
  'hello',
  'ismaster',
  'isMaster',
  'ping',
  'getMore',
  'aggregate',
  'endSessions',
  'killCursors',
];
const SESSION = Buffer.from('\x03lsid\0', 'latin1');
/** From the session's name to its id: length, name, length and subtype. */
const SESSION_ID_OFFSET = SESSION.length + 13;

/** Whether a plan means a step. */
export function crashedBy(plan: CrashPlan, { label, session }: WireStep): boolean {
  if (plan.step !== 'any') return session !== undefined && label === plan.step;
  return !BACKGROUND.includes(label.split(' ')[0] ?? '');
}

/** Reads what matters of a message in MongoDB's wire protocol; undefined for one that is no command. */
export function stepOf(message: Buffer): WireStep | undefined {
  if (message.readInt32LE(12) !== OP_MSG) return undefined;
  const body = message.subarray(HEADER_BYTES, HEADER_BYTES + message.readInt32LE(HEADER_BYTES));
  const end = body.indexOf(0, 5);
  const command = body.toString('latin1', 5, end);
  // The first element's value: a string names the collection.
  const collection =
    body[4] === 2 ? ` ${body.toString('utf8', end + 5, end + 4 + body.readInt32LE(end + 1))}` : '';
  return {
    id: message.readInt32LE(4),
    label: `${command}${collection}`,
    session: body.includes('\bautocommit\0') ? sessionOf(body) : undefined,
  };
}

function sessionOf(body: Buffer): Buffer | undefined {
  const at = body.indexOf(SESSION);
  return at === -1
    ? undefined
    : Buffer.from(body.subarray(at + SESSION_ID_OFFSET, at + SESSION_ID_OFFSET + 16));
}

/** Cuts a stream of bytes into messages: each starts with its length. */
export function splitMessages(take: (message: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= rest.readInt32LE(0)) {
      const length = rest.readInt32LE(0);
      take(rest.subarray(0, length));
      rest = rest.subarray(length);
    }
  };
}

/** Counts where processes were killed. */
export class CrashCounts {
  readonly #landed = new Map<string, number>();

  add(label: string): void {
    this.#landed.set(label, (this.#landed.get(label) ?? 0) + 1);
  }

  /** Steps of a commit at which no process was killed. */
  get missed(): string[] {
    const wanted = COMMIT_STEPS.flatMap((step) => [`before ${step}`, `after ${step}`]);
    return wanted.filter((label) => !this.#landed.has(label));
  }

  get summary(): string {
    const sorted = [...this.#landed].sort(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([label, count]) => `${count} ${label}`).join(', ');
  }
}

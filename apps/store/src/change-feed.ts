/** One change as watchers get it, before it is put into the contract's form. */
export interface FeedChange {
  readonly id: string;
  readonly version: number;
  readonly sequence: number;
  /** In the contract's numbers of Operation. */
  readonly operation: number;
  readonly payload: Uint8Array | undefined;
  readonly changedFields: readonly string[];
}

/** One commit as watchers get it. */
export interface FeedCommit {
  readonly uid: string;
  readonly model: string;
  readonly runId: string;
  readonly cause: number;
  readonly at: Date;
  /** Sequences of its first and last change. */
  readonly first: number;
  readonly last: number;
  readonly changes: readonly FeedChange[];
  /** What it tells of, where it is a marker; in the contract's numbers of MarkerKind. */
  readonly mark: number | undefined;
  /** Payload bytes, for bounds. */
  readonly bytes: number;
}

/** A bounded memory of the newest commits, so that any number of watchers of a connection share one read of each. */
export class CommitCache {
  readonly #commits = new Map<string, FeedCommit>();
  #bytes = 0;

  constructor(readonly maxBytes: number) {}

  get(key: string): FeedCommit | undefined {
    return this.#commits.get(key);
  }

  put(key: string, commit: FeedCommit): void {
    if (this.#commits.has(key)) return;
    this.#commits.set(key, commit);
    this.#bytes += cost(commit);
    for (const [oldest, remembered] of this.#commits) {
      if (this.#bytes <= this.maxBytes) break;
      this.#commits.delete(oldest);
      this.#bytes -= cost(remembered);
    }
  }
}

const ENTRY_BYTES = 200;

function cost({ bytes, changes }: FeedCommit): number {
  return bytes + changes.length * ENTRY_BYTES;
}

/** Wakes sleeping watchers. A wake-up that comes between a check and the sleep is not lost: the sleep names the state checked. */
export class WakeUps {
  #state = 0;
  #sleepers = new Set<() => void>();

  /** Changes with each wake-up. */
  get state(): number {
    return this.#state;
  }

  wakeAll(): void {
    this.#state++;
    const sleepers = this.#sleepers;
    this.#sleepers = new Set();
    for (const wake of sleepers) wake();
  }

  /** Resolves at the first wake-up after `state`, after `ms`, or when the signal aborts. */
  async sleep(state: number, ms: number, signal: AbortSignal): Promise<void> {
    if (state !== this.#state || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        this.#sleepers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      signal.addEventListener('abort', wake);
      this.#sleepers.add(wake);
    });
  }
}

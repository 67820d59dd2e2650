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

const ENTRY_BYTES = 200;

/** What a commit takes of the memory that it is kept in. */
export function costOf({ bytes, changes }: Pick<FeedCommit, 'bytes' | 'changes'>): number {
  return bytes + (changes.length + 1) * ENTRY_BYTES;
}

interface Kept<T> {
  readonly uid: string;
  readonly value: T;
  readonly bytes: number;
}

/** A memory of bounded size for what belongs to connections: what came first is forgotten first. */
export class FeedMemory<T> {
  readonly #kept = new Map<string, Kept<T>>();
  readonly #keysOf = new Map<string, Set<string>>();
  #bytes = 0;

  constructor(readonly maxBytes: number) {}

  get bytes(): number {
    return this.#bytes;
  }

  get(uid: string, key: string): T | undefined {
    return this.#kept.get(`${uid}:${key}`)?.value;
  }

  put(uid: string, key: string, value: T, bytes: number): void {
    this.delete(uid, key);
    const keys = this.#keysOf.get(uid) ?? new Set();
    keys.add(key);
    this.#keysOf.set(uid, keys);
    this.#kept.set(`${uid}:${key}`, { uid, value, bytes });
    this.#bytes += bytes;
    for (const [oldest, { uid: owner }] of this.#kept) {
      if (this.#bytes <= this.maxBytes) break;
      this.delete(owner, oldest.slice(owner.length + 1));
    }
  }

  delete(uid: string, key: string): void {
    const kept = this.#kept.get(`${uid}:${key}`);
    if (kept === undefined) return;
    this.#kept.delete(`${uid}:${key}`);
    this.#bytes -= kept.bytes;
    const keys = this.#keysOf.get(uid);
    keys?.delete(key);
    if (keys?.size === 0) this.#keysOf.delete(uid);
  }

  /** Forgets everything of a connection. */
  forget(uid: string): void {
    for (const key of this.#keysOf.get(uid) ?? []) this.delete(uid, key);
  }

  clear(): void {
    this.#kept.clear();
    this.#keysOf.clear();
    this.#bytes = 0;
  }
}

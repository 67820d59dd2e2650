/**
 * The connections that one watch has still to look at. They stay until they are taken, so that nothing is lost between a
 * look and the sleep after it; and what concerns none of the watch's connections does not come here.
 */
export class News {
  #connections = new Set<string>();
  #wake: (() => void) | undefined;

  tell(uid: string): void {
    this.#connections.add(uid);
    this.#wake?.();
  }

  /** The connections there is news of, in the order in which it came. They count as looked at from now on. */
  take(): ReadonlySet<string> {
    const taken = this.#connections;
    this.#connections = new Set();
    return taken;
  }

  /** Resolves once there is something to take, after `ms`, or when the signal aborts. One sleeps at a time. */
  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#connections.size > 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(wake, ms);
      signal.addEventListener('abort', wake);
      this.#wake = wake;
    });
  }
}

interface Followed {
  readonly news: Set<News>;
  head: number | undefined;
  /** The number of the last change that its document may have had. */
  changed: number;
}

/** Who follows which connection in this process, and what the change stream showed of those that are followed. */
export class Followers {
  readonly #followed = new Map<string, Followed>();
  #changes = 0;

  /** Counts what may have changed some connection's document, followed or not. */
  get changes(): number {
    return this.#changes;
  }

  follow(uid: string, news: News): void {
    // Nothing is known of what came before, so its document may have changed just now.
    const followed = this.#followed.get(uid) ?? { news: new Set(), head: undefined, changed: this.#changes };
    followed.news.add(news);
    this.#followed.set(uid, followed);
  }

  /** Whether anybody still follows the connection. */
  unfollow(uid: string, news: News): boolean {
    const followed = this.#followed.get(uid);
    followed?.news.delete(news);
    if (followed?.news.size === 0) this.#followed.delete(uid);
    return this.isFollowed(uid);
  }

  isFollowed(uid: string): boolean {
    return this.#followed.has(uid);
  }

  /** A commit up to a sequence landed. Returns whether anybody was told. */
  committed(uid: string, sequence: number): boolean {
    const followed = this.#followed.get(uid);
    if (followed === undefined) return false;
    followed.head = sequence;
    tell(uid, followed);
    return true;
  }

  /** A connection's document changed: its scope, keys, horizon, or that it is there. Returns whether anybody was told. */
  changed(uid: string): boolean {
    this.#changes++;
    const followed = this.#followed.get(uid);
    if (followed === undefined) return false;
    followed.changed = this.#changes;
    tell(uid, followed);
    return true;
  }

  /** What was known may be out of date; everybody looks again. */
  startOver(): void {
    this.#changes++;
    for (const [uid, followed] of this.#followed) {
      followed.head = undefined;
      followed.changed = this.#changes;
      tell(uid, followed);
    }
  }

  /** The newest sequence that the stream showed of a connection; undefined if it showed none since it is followed. */
  head(uid: string): number | undefined {
    return this.#followed.get(uid)?.head;
  }

  /** Whether a followed connection's document may have changed after the count of changes was `changes`. */
  hasChanged(uid: string, changes: number): boolean {
    return (this.#followed.get(uid)?.changed ?? Infinity) > changes;
  }
}

function tell(uid: string, { news }: Followed): void {
  for (const each of news) each.tell(uid);
}

import { storedConnection } from '../leak/store-keys.js';
import type { Driver } from './cluster.js';

/** The store's commit log of one connection as it is at rest, looked at piece by piece as it grows. */
export class CommitLog {
  /** The newest version of each record. */
  readonly versions = new Map<string, number>();
  /** What breaks the log's promises. */
  readonly faults: string[] = [];
  /** Changes in it. */
  changes = 0;
  #position = 0;

  constructor(
    private readonly client: Driver,
    private readonly connectionId: string,
  ) {}

  /** Looks at what was committed since. The log has to be contiguous, and each record's versions to count from 1 without a gap. */
  async readOn(): Promise<void> {
    const commits = this.client.db('tidemark_store').collection('commits');
    const c = (await storedConnection(this.client, this.connectionId))?._id;
    const found = commits.find({ '_id.c': c, '_id.n': { $gt: this.#position } }).sort({ _id: 1 });
    for await (const commit of found) {
      const { n } = commit['_id'] as unknown as { n: number };
      if (commit['f'] !== this.#position + 1)
        this.faults.push(`a commit goes from ${String(commit['f'])} to ${n} after ${this.#position}`);
      this.#position = n;
      const [ids, versions] = [commit['i'] as string[], commit['v'] as number[]];
      for (const [index, id] of ids.entries()) this.#take(id, versions[index] ?? NaN);
    }
  }

  #take(id: string, version: number): void {
    const before = this.versions.get(id) ?? 0;
    if (version !== before + 1) this.faults.push(`version ${version} of ${id} follows ${before}`);
    this.versions.set(id, version);
    this.changes++;
  }
}

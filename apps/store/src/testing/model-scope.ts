import type { StoreHarness } from './harness.js';
import type { Content } from './model-source.js';

export type Fields = readonly (keyof Content)[];

const ALL: Fields = ['n', 'm'];
const NARROW: Fields = ['n'];

/** What a reader may see at the time: changes up to this sequence show no purged field. */
export type Purged = ReadonlyMap<string, number>;

/** A connection's scope as it is set, and what may be seen of what was stored before. */
export class ModelScope {
  revision = 1n;
  /** Whether the store said that something is to be purged. */
  pending = false;
  /** By model: the head when its scope last became narrower. */
  readonly narrowedAt = new Map<string, number>();
  readonly #narrow = new Set<string>();
  readonly #purged = new Map<string, number>();

  constructor(
    readonly connectionId: string,
    readonly models: readonly string[],
    readonly head: () => Promise<number>,
  ) {}

  fields(model: string): Fields {
    return this.#narrow.has(model) ? NARROW : ALL;
  }

  /** What a reader who begins now may not see. */
  get purged(): Purged {
    return new Map(this.#purged);
  }

  /** What of a record's content may be stored. */
  cut(model: string, content: Content): Partial<Content> {
    return cutTo(this.fields(model), content);
  }

  /** Takes a model's second field out of the scope, or back into it; `surely` calls until the store has answered. */
  async toggle(
    model: string,
    surely: (call: (store: StoreHarness) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const narrows = !this.#narrow.has(model);
    const before = await this.head();
    if (narrows) this.#narrow.add(model);
    else {
      this.#narrow.delete(model);
      this.#purged.set(model, before);
    }
    this.revision++;
    await surely((store) => this.send(store));
    if (!narrows) return;
    this.#purged.set(model, Infinity);
    this.narrowedAt.set(model, await this.head());
  }

  /** Goes on with a purge. */
  async apply(store: StoreHarness): Promise<void> {
    const { revision } = this;
    const { done } = await store.writing.applyScope({ tenantId: 'acme', connectionId: this.connectionId });
    if (done && revision === this.revision) this.pending = false;
  }

  /** Makes the scope known. */
  async send(store: StoreHarness): Promise<void> {
    this.pending = true;
    const models = this.models.map((model) => ({ model, fields: [...this.fields(model)], indexFields: [] }));
    const { scopePending } = await store.writing.openConnection({
      tenantId: 'acme',
      connectionId: this.connectionId,
      scope: { revision: this.revision, models },
    });
    this.pending = scopePending;
  }

  /** Throws when data shows a field that was purged before its reader began and still is. */
  check(what: string, began: Purged, model: string, sequence: bigint, data: Partial<Content>): void {
    const purged = Math.min(began.get(model) ?? 0, this.#purged.get(model) ?? 0);
    if (data.m !== undefined && Number(sequence) <= purged)
      throw new Error(`${what} shows a purged field of ${model} at ${sequence}, purged up to ${purged}`);
  }
}

/** Content without the fields that are not in the scope. */
export function cutTo(fields: Fields, content: Content): Partial<Content> {
  return Object.fromEntries(fields.map((field) => [field, content[field]]));
}

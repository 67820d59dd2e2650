import type { TestRecord } from './harness.js';

/** Something that happened to one record in the source. */
interface SourceEvent {
  readonly tick: number;
  readonly present: boolean;
}

/** A page as a connector would send it, and the tick at which it was read. */
export interface SourcePage {
  readonly records: TestRecord[];
  readonly rejected: string[];
  readonly checkpoint: string;
  readonly last: boolean;
  readonly tick: number;
}

const PAGE_SIZE = 2;

/**
 * A source of one model that remembers everything, so that what the store did can be judged. A record's content is the
 * tick of its last change: a larger one is newer.
 */
export class ModelSource {
  readonly #events = new Map<string, SourceEvent[]>();
  readonly #edited = new Map<string, number>();
  readonly #unreadable = new Set<string>();

  constructor(readonly tick: () => number) {}

  change(id: string, present: boolean): void {
    const events = this.#events.get(id) ?? [];
    if (!present && events.at(-1)?.present !== true) return;
    this.#events.set(id, [...events, { tick: this.tick(), present }]);
  }

  /** An edit outside the scope: the record counts as changed, its content in scope is the same. */
  edit(id: string): void {
    if (this.#events.get(id)?.at(-1)?.present) this.#edited.set(id, this.tick());
  }

  toggleReadable(id: string): void {
    if (!this.#unreadable.delete(id) && this.#unreadable.size < 2) this.#unreadable.add(id);
  }

  readAll(): void {
    this.#unreadable.clear();
  }

  /** The live records and their content. */
  live(): Map<string, number> {
    return new Map(
      [...this.#events].flatMap(([id, events]) =>
        events.at(-1)?.present ? [[id, events.at(-1)?.tick ?? 0]] : [],
      ),
    );
  }

  /** Records whose last change lies in a range of ticks, its end included: their content, or undefined if they are gone. */
  changedWithin(after: number, upTo: number): Map<string, number | undefined> {
    const last = [...this.#events].flatMap(([id, events]) =>
      events.slice(-1).map((event) => ({ id, ...event })),
    );
    return new Map(
      last
        .filter(({ tick }) => tick > after && tick <= upTo)
        .map(({ id, tick, present }) => [id, present ? tick : undefined]),
    );
  }

  /** Whether a record was missing at some tick of a range, its ends included. */
  absentWithin(id: string, from: number, to: number): boolean {
    const events = this.#events.get(id) ?? [];
    const before = events.filter(({ tick }) => tick <= from).at(-1);
    return (
      before?.present !== true || events.some(({ tick, present }) => tick > from && tick <= to && !present)
    );
  }

  /** A page of a snapshot, in order of id. Checkpoint: the tick of the beginning and the last id. */
  fullPage(checkpoint: string): SourcePage {
    const tick = this.tick();
    const [began = '', after = ''] = checkpoint === '' ? [String(tick), ''] : checkpoint.split('|');
    const found = [...this.live()]
      .filter(([id]) => id > after)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, PAGE_SIZE);
    const next = `${began}|${found.at(-1)?.[0] ?? after}`;
    return { ...this.#split(found), checkpoint: next, last: found.length < PAGE_SIZE, tick };
  }

  /** A page of changes, in order of tick. Checkpoint: the last tick. */
  deltaPage(checkpoint: string): SourcePage {
    const tick = this.tick();
    const since = Number(checkpoint || tick);
    const found = [...this.#events]
      .map(([id, events]) => ({
        id,
        changed: Math.max(events.at(-1)?.tick ?? 0, this.#edited.get(id) ?? 0),
        last: events.at(-1),
      }))
      .filter(({ changed }) => changed > since)
      .sort((a, b) => a.changed - b.changed)
      .slice(0, PAGE_SIZE);
    const entries = found.map(({ id, last }) => [id, last?.present ? last.tick : undefined] as const);
    return {
      ...this.#split(entries),
      checkpoint: String(found.at(-1)?.changed ?? since),
      last: found.length < PAGE_SIZE,
      tick,
    };
  }

  #split(entries: readonly (readonly [string, number | undefined])[]): {
    records: TestRecord[];
    rejected: string[];
  } {
    const readable = entries.filter(([id]) => !this.#unreadable.has(id));
    return {
      records: readable.map(([id, n]) => [id, n === undefined ? null : { n }]),
      rejected: entries.map(([id]) => id).filter((id) => this.#unreadable.has(id)),
    };
  }
}

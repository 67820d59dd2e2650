/** A record's content: the ticks at which its fields last changed, so that a larger one is newer. */
export interface Content {
  readonly n: number;
  readonly m: number;
}

/** A page as a connector would send it, before its scope, and the tick at which it was read. */
export interface SourcePage {
  /** Ids with their content; without one if they are gone. */
  readonly records: readonly (readonly [id: string, content: Content | undefined])[];
  readonly rejected: readonly string[];
  readonly checkpoint: string;
  readonly last: boolean;
  readonly tick: number;
}

/** Something that happened to one record in the source. */
interface SourceEvent {
  readonly tick: number;
  readonly present: boolean;
}

/** A record in the source, with the ticks at which it came, changed and went. */
interface SourceRecord {
  readonly events: SourceEvent[];
  /** Tick at which its second field last changed. */
  edited: number;
}

/** A source of one model that remembers everything, so that what the store did can be judged. */
export class ModelSource {
  /** Records in a page. */
  pageSize = 2;
  readonly #records = new Map<string, SourceRecord>();
  readonly #unreadable = new Set<string>();

  constructor(readonly tick: () => number) {}

  /** A record comes, or its first field changes, or it goes. */
  change(id: string, present: boolean): void {
    const record = this.#records.get(id) ?? { events: [], edited: 0 };
    const was = record.events.at(-1)?.present === true;
    if (!present && !was) return;
    const tick = this.tick();
    record.events.push({ tick, present });
    if (!was) record.edited = tick;
    this.#records.set(id, record);
  }

  /** A record's second field changes. */
  edit(id: string): void {
    const record = this.#records.get(id);
    if (record?.events.at(-1)?.present) record.edited = this.tick();
  }

  toggleReadable(id: string): void {
    if (!this.#unreadable.delete(id) && this.#unreadable.size < 2) this.#unreadable.add(id);
  }

  readAll(): void {
    this.#unreadable.clear();
  }

  /** The live records and their content. */
  live(): Map<string, Content> {
    return new Map(
      [...this.#records].flatMap(([id, record]) => {
        const content = contentOf(record);
        return content ? [[id, content]] : [];
      }),
    );
  }

  /** Records whose last change lies in a range of ticks, its end included: their content, or undefined if they are gone. */
  changedWithin(after: number, upTo: number): Map<string, Content | undefined> {
    return new Map(
      [...this.#records]
        .filter(([, record]) => changedAt(record) > after && changedAt(record) <= upTo)
        .map(([id, record]) => [id, contentOf(record)]),
    );
  }

  /** Whether a record was missing at some tick of a range, its ends included. */
  absentWithin(id: string, from: number, to: number): boolean {
    const events = this.#records.get(id)?.events ?? [];
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
      .slice(0, this.pageSize);
    const next = `${began}|${found.at(-1)?.[0] ?? after}`;
    return { ...this.#split(found), checkpoint: next, last: found.length < this.pageSize, tick };
  }

  /** A page of changes, in order of tick. Checkpoint: the last tick. */
  deltaPage(checkpoint: string): SourcePage {
    const tick = this.tick();
    const since = Number(checkpoint || tick);
    const found = [...this.#records]
      .filter(([, record]) => changedAt(record) > since)
      .sort(([, a], [, b]) => changedAt(a) - changedAt(b))
      .slice(0, this.pageSize);
    const newest = found.at(-1)?.[1];
    return {
      ...this.#split(found.map(([id, record]) => [id, contentOf(record)])),
      checkpoint: String(newest ? changedAt(newest) : since),
      last: found.length < this.pageSize,
      tick,
    };
  }

  /** The records that a webhook named, as they are now. */
  namedPage(ids: readonly string[]): SourcePage {
    const tick = this.tick();
    const live = this.live();
    const entries = [...new Set(ids)].map((id) => [id, live.get(id)] as const);
    return { ...this.#split(entries), checkpoint: 'fetched', last: true, tick };
  }

  #split(
    entries: readonly (readonly [string, Content | undefined])[],
  ): Pick<SourcePage, 'records' | 'rejected'> {
    return {
      records: entries.filter(([id]) => !this.#unreadable.has(id)),
      rejected: entries.map(([id]) => id).filter((id) => this.#unreadable.has(id)),
    };
  }
}

function contentOf({ events, edited }: SourceRecord): Content | undefined {
  const puts = events.at(-1)?.present ? events : [];
  const n = puts.at(-1)?.tick;
  return n === undefined ? undefined : { n, m: edited };
}

function changedAt({ events, edited }: SourceRecord): number {
  return Math.max(events.at(-1)?.tick ?? 0, edited);
}

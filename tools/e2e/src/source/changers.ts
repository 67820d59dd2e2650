import type { Changing, Deed, Wish } from './deed.js';
import type { Journal } from './journal.js';
import type { LivingModel } from './living-model.js';

/** Records that change in one tie. */
const TIED = 3;

/** Changes models by themselves for as long as their sources are told to. */
export class Changers {
  private readonly timers = new Map<string, NodeJS.Timeout>();

  constructor(private readonly journal: Journal) {}

  /** Goes on with what was under way when the process ended before. */
  start(): void {
    for (const source of this.journal.all()) {
      for (const [model, changing] of source.changing) this.set(source.name, model, changing);
    }
    this.journal.onDeed((deed: Deed) => {
      if (deed.do === 'keepChanging') this.set(deed.source, deed.model, deed.changing);
    });
  }

  stop(): void {
    for (const timer of this.timers.values()) clearInterval(timer);
    this.timers.clear();
  }

  private set(source: string, model: string, changing: Changing | undefined): void {
    const key = JSON.stringify([source, model]);
    clearInterval(this.timers.get(key));
    this.timers.delete(key);
    if (changing === undefined) return;
    const random = randomNumbers(changing.seed);
    const tick = (): void => {
      const living = this.journal.source(source);
      const wishes = nextWishes(living.model(model), changing, random);
      const changes = living.next(model, wishes);
      if (changes.length > 0) this.journal.do({ do: 'change', source, model, changes });
    };
    this.timers.set(key, setInterval(tick, changing.everyMs));
  }
}

/** What changes next. A kind that finds no record to change makes a new one. */
function nextWishes(model: LivingModel, { kinds, lateMs }: Changing, random: () => number): Wish[] {
  const pick = (ids: readonly string[]): string =>
    ids[Math.floor(random() * ids.length)] ?? `new-${Math.floor(random() * 2 ** 32).toString(36)}`;
  const wish = (id: string, more: Partial<Wish> = {}): Wish => {
    const fields = { text: `text ${Math.floor(random() * 1e9)}` };
    return { id, fields, deleted: false, agoMs: 0, ...more };
  };
  const live = model.ids();
  const kind = kinds[Math.floor(random() * kinds.length)];
  switch (kind) {
    case 'edit':
      return [wish(pick(live))];
    case 'delete':
      return live.length === 0 ? [] : [wish(pick(live), { deleted: true })];
    case 'restore':
      return [wish(pick(model.ids(true)))];
    case 'late':
      return [wish(random() < 0.5 ? pick(live) : pick([]), { agoMs: 1 + Math.floor(random() * lateMs) })];
    case 'tie': {
      const ids = new Set(Array.from({ length: TIED }, () => pick(live)));
      return [...ids].map((id) => wish(id));
    }
    case 'put':
    default:
      return [wish(pick([]))];
  }
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

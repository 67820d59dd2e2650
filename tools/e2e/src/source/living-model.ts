import type { JsonValue } from '@tidemark/model';
import type { Change } from './deed.js';

/** A place in the order of change times: after this record of this time. */
export interface ChangePlace {
  readonly time: number;
  readonly id: string;
}

/** Which changes are asked for. */
export interface ChangeSpan {
  /** Both ends are included. */
  readonly from: number;
  readonly to: number;
  readonly deletes: boolean;
}

/** What one model of a source holds, tombstones included. */
export class LivingModel {
  private readonly items = new Map<string, Change>();
  private sorted: string[] | undefined;

  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      if (!this.items.has(change.id)) this.sorted = undefined;
      this.items.set(change.id, change);
    }
  }

  get(id: string): Change | undefined {
    return this.items.get(id);
  }

  /** Ids of the live records, or of the dead ones, in order. */
  ids(deleted = false): string[] {
    return this.order().filter((id) => this.items.get(id)?.deleted === deleted);
  }

  /** The live records after an id, in order of id. */
  page(after: string | undefined, size: number): Change[] {
    const order = this.order();
    const page: Change[] = [];
    for (let index = after === undefined ? 0 : upperBound(order, after); index < order.length; index++) {
      const item = this.items.get(order[index] ?? '');
      if (item?.deleted === false) page.push(item);
      if (page.length === size) break;
    }
    return page;
  }

  /** What changed in a span of time, after a place, in order of time and id. */
  changed({ from, to, deletes }: ChangeSpan, after: ChangePlace | undefined, size: number): Change[] {
    return [...this.items.values()]
      .filter(({ time, deleted }) => time >= from && time <= to && (deletes || !deleted))
      .filter((item) => isAfter(item, after))
      .sort((a, b) => a.time - b.time || compare(a.id, b.id))
      .slice(0, size);
  }

  private order(): string[] {
    return (this.sorted ??= [...this.items.keys()].sort(compare));
  }
}

/** A state of a record as the source gives it out. */
export function toRecord({ id, n, fields }: Change): { [key: string]: JsonValue } {
  return { ...fields, id, n };
}

function isAfter({ time, id }: Change, place: ChangePlace | undefined): boolean {
  return place === undefined || time > place.time || (time === place.time && id > place.id);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function upperBound(order: readonly string[], id: string): number {
  let [low, high] = [0, order.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((order[middle] ?? '') <= id) low = middle + 1;
    else high = middle;
  }
  return low;
}

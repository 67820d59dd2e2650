import { expect } from '@jest/globals';
import { expectDone, until, type World } from './world.js';

/** A record of a living source: `n` counts its changes. */
export interface StoredData {
  readonly id: string;
  readonly n: number;
}

/** The live records of the model `staff` by id, as the store has them. */
export async function stored(world: World, name: string): Promise<Map<string, StoredData>> {
  const { objects } = expectDone(await world.run('records', 'list', name, 'staff', '--no-deleted'));
  return new Map(objects.slice(0, -1).map(({ id, data }) => [String(id), data as StoredData]));
}

/** Replays the change feed: no record goes back to an older state, and the last states are the truth. */
export class Replay {
  readonly states: Map<string, StoredData>;
  readonly #seen: Map<string, number>;
  readonly #feed: ReturnType<World['follow']>;
  #read = 0;

  private constructor(world: World, name: string, before: ReadonlyMap<string, StoredData>) {
    this.states = new Map(before);
    this.#seen = new Map([...before].map(([id, { n }]) => [id, n]));
    this.#feed = world.follow('changes', 'watch', name, '--from-now');
  }

  static async start(world: World, name: string): Promise<Replay> {
    const replay = new Replay(world, name, await stored(world, name));
    await until(() => replay.#feed.objects.length > 0);
    return replay;
  }

  catchUp(): void {
    for (; this.#read < this.#feed.objects.length; this.#read++) {
      const change = (this.#feed.objects[this.#read] ?? {}) as {
        operation?: string;
        id?: string;
        data?: StoredData;
      };
      const { operation, id, data } = change;
      if (operation === undefined || id === undefined) continue;
      if (operation === 'DELETED' || data === undefined) {
        this.states.delete(id);
        continue;
      }
      expect({ id, isNewer: data.n > (this.#seen.get(id) ?? 0) }).toEqual({ id, isNewer: true });
      this.#seen.set(id, data.n);
      this.states.set(id, data);
    }
  }

  /** Waits until the feed has brought the truth. */
  async settle(truth: ReadonlyMap<string, StoredData>): Promise<void> {
    await until(() => {
      this.catchUp();
      return isSame(this.states, truth);
    });
    await this.#feed.kill();
  }
}

/** Whether both hold the same states of the same records. */
export function isSame(a: ReadonlyMap<string, StoredData>, b: ReadonlyMap<string, StoredData>): boolean {
  return a.size === b.size && [...a].every(([id, { n }]) => b.get(id)?.n === n);
}

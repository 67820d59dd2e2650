import { setTimeout as sleep } from 'node:timers/promises';
import type { connectMongo } from '@tidemark/mongo';

type Client = Awaited<ReturnType<typeof connectMongo>>;

/** The longest delay. */
export const LONGEST_MS = 2_000;

const COMMIT = ['commitTransaction'];
const ANY_WRITE = ['commitTransaction', 'findAndModify', 'insert', 'update'];

/** One setting of the fail point, and for how long it stands. */
interface Setting {
  readonly commands: readonly string[];
  readonly blockMs: number;
  readonly mode: { times: number } | { activationProbability: number };
  readonly forMs: number;
}

/**
 * Delays commands inside the database, at random, before it executes them: a commit so delayed holds its transaction open
 * with everything in it written. Most delays are short, some are the longest.
 */
export class CommitDelays {
  /** How many commands were delayed … */
  count = 0;
  /** … and how many of them as long as can be. */
  longest = 0;
  readonly #stopped = new AbortController();
  #ended: Promise<void> | undefined;
  #entered = 0;

  /** `client` has to have a connection that is not delayed itself: another app name than `appName`. */
  constructor(
    readonly client: Client,
    readonly appName: string,
  ) {}

  start(): void {
    this.#ended = this.#run();
  }

  /** Ends the delays. Throws what made them end before. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    let setting: Setting | undefined;
    this.#entered = await this.#set({ mode: 'off' });
    try {
      for (let round = 0; !signal.aborted; round++) {
        const following = settingOf(round);
        this.#counted(await this.#arm(following), setting);
        setting = following;
        await sleep(following.forMs, undefined, { signal }).catch(() => undefined);
      }
    } finally {
      this.#counted(await this.#set({ mode: 'off' }), setting);
    }
  }

  #arm({ commands, blockMs, mode }: Setting): Promise<number> {
    const data = {
      failCommands: commands,
      appName: this.appName,
      blockConnection: true,
      blockTimeMS: blockMs,
    };
    return this.#set({ mode, data });
  }

  /** Sets the fail point; returns how often it was entered ever. */
  async #set(setting: object): Promise<number> {
    const command = { configureFailPoint: 'failCommand', ...setting };
    const { count } = (await this.client.db('admin').command(command)) as { count?: number };
    return count ?? 0;
  }

  #counted(entered: number, setting: Setting | undefined): void {
    const delayed = entered - this.#entered;
    this.#entered = entered;
    this.count += delayed;
    if (setting?.blockMs === LONGEST_MS) this.longest += delayed;
  }
}

/** One round of 16 delays a commit as long as can be, two delay one for long, the others many shortly; two delay any write. */
function settingOf(round: number): Setting {
  const long = { commands: COMMIT, mode: { times: 1 } };
  switch (round % 16) {
    case 0:
      return { ...long, blockMs: LONGEST_MS, forMs: 500 };
    case 5:
    case 13:
      return { ...long, blockMs: between(100, LONGEST_MS), forMs: 250 };
    case 3:
    case 11:
      return {
        commands: ANY_WRITE,
        blockMs: between(1, 20),
        mode: { activationProbability: 0.1 },
        forMs: 300,
      };
    default:
      return {
        commands: COMMIT,
        blockMs: between(1, 100),
        mode: { activationProbability: 0.5 },
        forMs: between(100, 800),
      };
  }
}

function between(least: number, most: number): number {
  return Math.round(least + Math.random() * (most - least));
}

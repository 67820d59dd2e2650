import { connectMongo } from '@tidemark/mongo';
import { StoreDatabase } from '../mongo-collections.js';
import type { TestDatabase } from '../../../../jest/database.js';
import { startStore, type StoreHarness } from './harness.js';
import type { CrashCounts, CrashPlan } from './model-crash-plan.js';
import { MongoCrashProxy } from './mongo-crash-proxy.js';

const SPARES = 1;
/** How soon what is left of a killed process gives up; nothing answers it any more. */
const SELECTION_TIMEOUT_MS = 3_000;

/** A store process that can be killed at any of its database commands. */
export interface StoreProcess {
  readonly harness: StoreHarness;
  readonly proxy: MongoCrashProxy;
}

/** Two store processes on one database; one that was killed or stopped is replaced by a new one. */
export class ModelStores {
  /** The records database, past the processes. */
  readonly db: StoreDatabase;
  readonly #slots: [StoreProcess, StoreProcess];
  /** Processes started ahead: that takes a second, for the most part of waiting. */
  readonly #spares: Promise<StoreProcess>[];
  readonly #starting: [Promise<StoreProcess> | undefined, Promise<StoreProcess> | undefined] = [
    undefined,
    undefined,
  ];
  /** Of processes that were replaced: they end in the background. */
  readonly #ending: Promise<void>[] = [];
  /** Of processes that were killed: the database ends what they left open. */
  readonly #reaping: Promise<void>[] = [];

  private constructor(
    readonly database: TestDatabase,
    readonly crashes: CrashCounts,
    slots: [StoreProcess, StoreProcess],
  ) {
    this.#slots = slots;
    this.#spares = Array.from({ length: SPARES }, () => startProcess(database));
    this.db = new StoreDatabase(database.client, database.db);
  }

  static async start(database: TestDatabase, crashes: CrashCounts): Promise<ModelStores> {
    const slots = await Promise.all([startProcess(database), startProcess(database)]);
    return new ModelStores(database, crashes, slots);
  }

  /** The process in a slot, dead or alive. */
  current(slot: 0 | 1): StoreProcess {
    return this.#slots[slot];
  }

  /** A living process in a slot. */
  async living(slot: 0 | 1): Promise<StoreProcess> {
    const process = this.#slots[slot];
    if (!process.proxy.dead) return this.#starting[slot] ?? process;
    this.#starting[slot] ??= this.#replace(slot);
    return this.#starting[slot];
  }

  /** Ends a process in order, and starts another one. */
  async restart(slot: 0 | 1): Promise<void> {
    const process = await this.living(slot);
    this.#starting[slot] ??= this.#replace(slot);
    this.#ending.push(this.#end(process));
    await this.#starting[slot];
  }

  /** Plans no crashes any more. */
  disarm(): void {
    for (const { proxy } of this.#slots) proxy.plan = undefined;
  }

  /** Plans a crash of a process, unless one is planned. */
  async arm(slot: 0 | 1, plan: CrashPlan): Promise<void> {
    const process = await this.living(slot);
    const { proxy, harness } = process;
    if (proxy.plan !== undefined) return;
    proxy.plan = plan;
    proxy.onCrash = () => {
      if (proxy.landed !== undefined) this.crashes.add(proxy.landed);
      harness.writing.close();
      harness.reading.close();
      this.#reaping.push(proxy.reap(this.database.client));
      this.#ending.push(this.#bury(process));
    };
  }

  /** Waits until the database has ended what killed processes left open. */
  async settle(): Promise<void> {
    await Promise.all(this.#reaping.splice(0));
  }

  async stop(): Promise<void> {
    for (const process of [...this.#slots, ...(await Promise.all(this.#spares))])
      this.#ending.push(this.#end(process));
    await Promise.all(this.#ending);
  }

  async #replace(slot: 0 | 1): Promise<StoreProcess> {
    this.#spares.push(startProcess(this.database));
    const process = await (this.#spares.shift() ?? startProcess(this.database));
    this.#slots[slot] = process;
    this.#starting[slot] = undefined;
    return process;
  }

  async #end({ harness, proxy }: StoreProcess): Promise<void> {
    await harness.stop();
    await harness.database.client.close();
    proxy.onCrash = undefined;
    proxy.kill();
  }

  /** What is left of a killed process in this one. */
  async #bury({ harness }: StoreProcess): Promise<void> {
    await harness.database.client.close(true);
    await harness.stop();
  }
}

let processes = 0;

async function startProcess(database: TestDatabase): Promise<StoreProcess> {
  const proxy = await MongoCrashProxy.start(database.uri);
  const client = await connectMongo(proxy.uri, {
    appName: 'tidemark-model',
    selectionTimeoutMs: SELECTION_TIMEOUT_MS,
  });
  const db = client.db(database.db.databaseName);
  // One process in two commits each page by itself, overlapping them, the other one gathers pages.
  const settings = processes++ % 2 === 0 ? {} : { largePage: 1 };
  return { harness: await startStore({ ...database, client, db }, settings), proxy };
}

import { setTimeout as sleep } from 'node:timers/promises';
import { SyncRunState, type SyncKind, type SyncRun } from '@tidemark/contracts';
import type { Changing } from '../source/deed.js';
import type { LivingSourceControl } from '../source/living-client.js';
import type { LivingRecord } from './change-watch.js';
import { Cluster, type Driver } from './cluster.js';
import type { Fault } from './fault-plan.js';
import { askFor, connectLiving } from './living-connection.js';
import type { ClusterShape } from './members.js';
import { eventually, patiently } from './patience.js';
import { Witness } from './witness.js';

const NAME = 'sea';
const MODEL = 'staff';
const RECORDS = 10_000;
const BUSY = { pageSize: 250, pageDelayMs: 40 };
const QUICK = { ...BUSY, pageDelayMs: 0 };
const CHANGE_EVERY_MS = 20;
const KINDS: Changing['kinds'] = ['put', 'edit', 'edit', 'delete', 'restore', 'tie'];
const UNFINISHED: readonly SyncRunState[] = [SyncRunState.WAITING, SyncRunState.RUNNING];

/** What a test may want otherwise. */
export interface ChaosOptions {
  /** How often deltas come; 0: not by themselves. */
  readonly deltaSeconds?: number;
  readonly toStore?: ClusterShape['toStore'];
}

/** A cluster that mirrors one living source by deltas every second, and what is known of it. */
export class Chaos {
  /** Runs that ended, by id, each as it ended. */
  readonly ended = new Map<string, SyncRun>();

  private constructor(
    readonly cluster: Cluster,
    readonly source: LivingSourceControl,
    readonly witness: Witness,
    /** The control database. */
    readonly control: ReturnType<Driver['db']>,
    private readonly close: () => Promise<void>,
  ) {}

  static async start({ deltaSeconds = 1, toStore }: ChaosOptions = {}): Promise<Chaos> {
    const shape = { schedulers: 2, stores: 2, connectors: ['living'] };
    const cluster = await Cluster.start({ ...shape, ...(toStore === undefined ? {} : { toStore }) });
    const driver = await cluster.driver();
    const source = cluster.living('living').source(NAME);
    await source.behave(QUICK);
    await source.fill(
      MODEL,
      Array.from({ length: RECORDS }, (_, i) => ({ id: `r-${i}`, fields: { text: '' } })),
    );
    const runIds = await connectLiving(cluster.api, { id: NAME, fullEvery: 0, deltaEvery: deltaSeconds });
    const witness = new Witness(cluster.api, driver, NAME);
    const chaos = new Chaos(cluster, source, witness, driver.db('tidemark_control'), async () => {
      await witness.stop();
      await driver.close();
      await cluster.stop();
    });
    for (const id of runIds) await chaos.end(id);
    return chaos;
  }

  stop(): Promise<void> {
    return this.close();
  }

  /** Lets the source change from now on. */
  async stir(seed: number): Promise<void> {
    await this.source.behave(BUSY);
    await this.source.keepChanging(MODEL, { everyMs: CHANGE_EVERY_MS, kinds: [...(KINDS ?? [])], seed });
  }

  /** Changes every record that the source holds. */
  async editAll(text: string): Promise<void> {
    const records = await this.source.truth(MODEL);
    await this.source.change(
      MODEL,
      [...records.keys()].map((id) => ({ id, fields: { text } })),
    );
  }

  /** Lets the source stand still; gives back its live records. */
  async calm(): Promise<Map<string, LivingRecord>> {
    await this.source.stopChanging(MODEL);
    await this.source.behave(QUICK);
    return this.source.truth(MODEL);
  }

  /** Strikes with faults, each at its time; afterwards every member is up. */
  async strike(faults: readonly Fault[]): Promise<void> {
    const ends = await Promise.allSettled(faults.map((fault) => this.#strike(fault)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  /** Asks for a run; gives back its id. */
  ask(kind: SyncKind): Promise<string> {
    return askFor(this.cluster.api, NAME, kind);
  }

  /** Waits until a run ended; gives it back. */
  async end(id: string): Promise<SyncRun> {
    let run: SyncRun | undefined;
    const ended = await eventually(
      async () => {
        run = (await patiently(() => this.cluster.api.syncs.getSyncRun({ runId: id }))).run;
        return run === undefined || UNFINISHED.includes(run.state) ? undefined : run;
      },
      () => `run ${id} does not end: ${run?.summary ?? 'it is unknown'}`,
    );
    this.ended.set(id, ended);
    return ended;
  }

  /** Waits until all runs ended that were asked for before now; gives back those that were not looked at before. */
  async endAll(): Promise<SyncRun[]> {
    const request = { connectionId: NAME, pageSize: 200 };
    const { runs } = await patiently(() => this.cluster.api.syncs.listSyncRuns(request));
    const others = runs.filter(({ id }) => !this.ended.has(id));
    return Promise.all(others.map(({ id }) => this.end(id)));
  }

  async #strike({ member, kind, atMs, forMs }: Fault): Promise<void> {
    await sleep(atMs);
    if (kind === 'freeze') {
      const thaw = this.cluster.freeze(member);
      await sleep(forMs);
      return thaw();
    }
    this.cluster.kill(member);
    await sleep(forMs);
    await this.cluster.launch(member);
  }
}

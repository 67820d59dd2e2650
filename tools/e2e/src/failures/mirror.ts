import { ConnectionState, SyncKind, type SyncRun } from '@tidemark/contracts';
import { ChangeWatch, storedRecords, type LivingRecord } from '../chaos/change-watch.js';
import type { Cluster } from '../chaos/cluster.js';
import { askFor, connectLiving } from '../chaos/living-connection.js';
import { eventually, patiently } from '../chaos/patience.js';
import type { LivingSourceControl } from '../source/living-client.js';

/** The one model. */
export const MODEL = 'staff';

/** What a mirror is made of. */
export interface MirrorParts {
  readonly cluster: Cluster;
  readonly connector: string;
  readonly source: LivingSourceControl;
  /** Deletes above this share are held. */
  readonly maxDeletedShare: number;
}

/** One connection that mirrors a living source; it syncs when it is told to, and all its changes are watched. */
export class Mirror {
  readonly watch: ChangeWatch;

  private constructor(private readonly parts: MirrorParts) {
    this.watch = new ChangeWatch(parts.cluster.api.records, parts.source.name);
  }

  /** Connects, and waits for the first sync. */
  static async start(parts: MirrorParts): Promise<Mirror> {
    const { cluster, connector, source, maxDeletedShare } = parts;
    const guard = { maxDeletedShare, minDeletedRecords: 0 };
    const plan = { id: source.name, connector, fullEvery: 0, deltaEvery: 0, guard };
    const runIds = await connectLiving(cluster.api, plan);
    const mirror = new Mirror(parts);
    for (const id of runIds) await mirror.settled(id);
    return mirror;
  }

  get source(): LivingSourceControl {
    return this.parts.source;
  }

  /** Asks for a run; gives back its id. */
  ask(kind: SyncKind): Promise<string> {
    return askFor(this.#api, this.source.name, kind);
  }

  /** Waits until a run ended, or until a person has to do something about it. */
  async settled(runId: string): Promise<SyncRun> {
    let last: SyncRun | undefined;
    for await (const { run } of this.#api.syncs.watchSyncRun({ runId })) last = run;
    if (last === undefined) throw new Error(`the watch of ${runId} showed nothing`);
    return last;
  }

  /** A run, waited for. */
  async run(kind: SyncKind): Promise<SyncRun> {
    return this.settled(await this.ask(kind));
  }

  async pause(runId: string): Promise<void> {
    await patiently(() => this.#api.syncs.pauseSyncRun({ runId }));
  }

  async resume(runId: string): Promise<void> {
    await patiently(() => this.#api.syncs.resumeSyncRun({ runId }));
  }

  async discard(runId: string): Promise<void> {
    await patiently(() => this.#api.syncs.discardSyncRun({ runId }));
  }

  /** Why the connection waits for a person; undefined while it is active. */
  async standing(): Promise<string | undefined> {
    const { connection } = await patiently(() =>
      this.#api.connections.getConnection({ connectionId: this.source.name }),
    );
    if (connection?.state === ConnectionState.ACTIVE) return undefined;
    return `${ConnectionState[connection?.state ?? 0]}: ${connection?.stateReason}`;
  }

  /** Lets the connection sync again. */
  async resumeConnection(): Promise<void> {
    await patiently(() => this.#api.connections.resumeConnection({ connectionId: this.source.name }));
  }

  /** The live records, as the source has them. */
  truth(): Promise<Map<string, LivingRecord>> {
    return this.source.truth(MODEL);
  }

  /** The live records, as the store has them. */
  stored(): Promise<Map<string, LivingRecord>> {
    return storedRecords(this.#api, this.source.name);
  }

  /** Waits until every change up to now was watched, and watches no more. */
  async settle(): Promise<void> {
    const [last = ''] = (await this.truth()).keys();
    await this.source.change(MODEL, [{ id: last }]);
    await this.run(SyncKind.DELTA);
    const truth = await this.truth();
    await eventually(
      () => this.watch.states.get(last)?.n === truth.get(last)?.n || undefined,
      () => `the watch of ${this.source.name} does not bring its last change`,
    );
    await this.watch.stop();
  }

  get #api(): Cluster['api'] {
    return this.parts.cluster.api;
  }
}

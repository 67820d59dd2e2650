import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteDecision, SyncKind } from '@tidemark/contracts';
import { isTidemarkError } from '@tidemark/model';
import { expectSame } from './expect-same.js';
import type { StoreHarness } from './harness.js';
import {
  IDS,
  MODELS,
  type Action,
  type SourceAction,
  type StepAction,
  type TogetherAction,
} from './model-actions.js';
import { broughtBy, checkBrought, checkDeletes } from './model-checks.js';
import { remember, type Memory } from './model-history.js';
import { line, ModelReader, readRecords } from './model-readers.js';
import { ModelScope } from './model-scope.js';
import { ModelSource } from './model-source.js';
import type { ModelStores } from './model-stores.js';
import { ModelWatcher } from './model-watcher.js';
import { ModelWriter } from './model-writer.js';

const KINDS = [SyncKind.FULL, SyncKind.DELTA, SyncKind.WEBHOOK];

/** One connection on two stores: two models' sources, their writers, and readers of every kind. */
export class ModelWorld {
  #tick = 0;
  readonly sources = new Map(MODELS.map((model) => [model as string, new ModelSource(() => ++this.#tick)]));
  readonly scope: ModelScope;
  readonly writers: ModelWriter[];
  readonly readers: ModelReader[];
  readonly watcher: ModelWatcher;
  readonly memories: Memory[] = [];
  #uid = '';

  private constructor(
    readonly stores: ModelStores,
    connectionId: string,
  ) {
    this.scope = new ModelScope(connectionId, MODELS, async () => {
      const clock = await this.db.clocks.findOne({ _id: this.uid });
      return clock?.seq ?? 0;
    });
    this.writers = [...this.sources].flatMap(([model, source]) =>
      KINDS.map((kind) => new ModelWriter(this.scope, model, kind, source)),
    );
    this.readers = (['cursor', 'watermark', 'wall clock'] as const).map(
      (kind) => new ModelReader(this.scope, kind),
    );
    this.watcher = new ModelWatcher(this.scope, async () => (await stores.living(0)).harness);
  }

  /** A new connection, with a first snapshot of one model, on stores that live on from world to world. */
  static async create(stores: ModelStores, name: string): Promise<ModelWorld> {
    const world = new ModelWorld(stores, name);
    const { harness } = await stores.living(0);
    await world.scope.send(harness);
    world.#uid = (await world.db.connections.findOne({ name }))?._id ?? '';
    world.watcher.start();
    for (const source of world.sources.values()) for (const id of IDS.slice(0, 4)) source.change(id, true);
    await world.runToEnd(world.writer({ model: MODELS[0], kind: SyncKind.FULL }), 0, DeleteDecision.BY_GUARD);
    return world;
  }

  /** The records database, past the stores. */
  get db(): ModelStores['db'] {
    return this.stores.db;
  }

  get uid(): string {
    return this.#uid;
  }

  get now(): number {
    return this.#tick;
  }

  /** Does one step. A call that fails because its store was killed is left to whoever goes on. */
  async act(action: Action): Promise<void> {
    switch (action.do) {
      case 'source':
        return this.#changeSource(action);
      case 'step':
        return this.#step(action);
      case 'together':
        return this.#together(action);
      case 'take over':
        return this.#begin(this.writer(action), action.store, true);
      case 'pause':
        return this.writer(action).pause();
      case 'run':
        return this.runToEnd(this.writer(action), action.store, DeleteDecision.BY_GUARD, action.ids);
      case 'all at once':
        return this.#allAtOnce(action.store);
      case 'read':
        return this.read(action.store, action.limit);
      case 'remember':
        return this.#with(action.store, async (store) => {
          this.memories.push(await remember(store, this.scope));
        });
      case 'scope':
        return this.#toggleScope(action.model, action.store);
      case 'apply scope':
        return this.#with(action.store, (store) => this.scope.apply(store));
      case 'crash':
        return this.stores.arm(action.store, action.plan);
      case 'wake stalled':
        return this.wakeStalled(action.store);
      case 'restart':
        return this.stores.restart(action.store);
    }
  }

  writer({ model, kind }: { readonly model: string; readonly kind: SyncKind }): ModelWriter {
    const writer = this.writers.find((each) => each.model === model && each.kind === kind);
    if (!writer) throw new Error('no such writer');
    return writer;
  }

  /** Calls a living store; whether it lived on until the call was answered. */
  async #with(slot: 0 | 1, call: (store: StoreHarness) => Promise<unknown>): Promise<void> {
    await this.#survives(slot, call);
  }

  async #survives(slot: 0 | 1, call: (store: StoreHarness) => Promise<unknown>): Promise<boolean> {
    const { harness, proxy } = await this.stores.living(slot);
    try {
      await call(harness);
      return true;
    } catch (error) {
      if (!proxy.dead || !isTidemarkError(error)) throw error;
      return false;
    }
  }

  /** Calls stores until one has answered. */
  async #surely(slot: 0 | 1, call: (store: StoreHarness) => Promise<void>): Promise<void> {
    while (!(await this.#survives(slot, call)));
  }

  /** Lets a writer call a store; if that is killed meanwhile, the writer knows that it does not know. */
  async #write(
    writer: ModelWriter,
    slot: 0 | 1,
    call: (store: StoreHarness) => Promise<unknown>,
  ): Promise<void> {
    if (!(await this.#survives(slot, call))) writer.interrupted = true;
  }

  async #toggleScope(model: string, slot: 0 | 1): Promise<void> {
    const { scope } = this;
    // GATE: what was purged and comes back before the purge is done.
    while (scope.pending && scope.fields(model).length === 1)
      await this.#surely(slot, (store) => scope.apply(store));
    await scope.toggle(model, (call) => this.#surely(slot, call));
  }

  #changeSource({ model, id, how }: SourceAction): void {
    const source = this.sources.get(model);
    if (how === 'edit') source?.edit(id);
    else if (how === 'toggle readable') source?.toggleReadable(id);
    else source?.change(id, how === 'put');
  }

  async #begin(writer: ModelWriter, slot: 0 | 1, onlyIfRunning = false): Promise<void> {
    if (onlyIfRunning && !writer.running) return;
    await this.#write(writer, slot, (store) => writer.begin(store));
  }

  /** A writer's next step: it begins, reads a page, commits it, or ends. */
  async #step(action: StepAction): Promise<void> {
    const writer = this.writer(action);
    const { hold } = writer;
    const begins = !hold || writer.paused || (writer.interrupted && !action.resends);
    if (begins) await this.#begin(writer, action.store);
    else if (hold.page)
      await this.#write(writer, action.store, (store) => writer.commit(store, action.sending));
    else if (hold.atEnd) await this.#finish(writer, action.store, action.ending, action.decision);
    else writer.fetch(action.ids);
  }

  async #finish(
    writer: ModelWriter,
    ...[slot, ending, decision]: [0 | 1, Parameters<ModelWriter['finish']>[1], DeleteDecision]
  ): Promise<void> {
    const brought = writer.kind === SyncKind.FULL ? undefined : broughtBy(writer);
    const { runId, model, beganAt, fields } = writer;
    await this.#write(writer, slot, async (store) => {
      const ended = await writer.finish(store, ending, decision);
      if (ended && brought) await checkBrought(this, store, { runId, model, beganAt, fields }, brought);
    });
    await checkDeletes(this, writer);
  }

  /** Lets a writer go on until its run has ended or is held. */
  async runToEnd(
    writer: ModelWriter,
    slot: 0 | 1,
    decision: DeleteDecision,
    ids: readonly string[] = IDS,
  ): Promise<void> {
    if (!writer.hold || writer.paused) await this.#begin(writer, slot);
    while (writer.hold && !writer.hold.atEnd) {
      if (writer.paused) await this.#begin(writer, slot);
      writer.fetch(ids);
      await this.#write(writer, slot, (store) => writer.commit(store, 'whole'));
    }
    await this.#finish(writer, slot, 'complete', decision);
  }

  /** Steps at a time, no two of one writer. */
  async #together({ steps }: TogetherAction): Promise<void> {
    const first = new Map(
      steps.toReversed().map(({ step, afterMs }) => [this.writer(step), { step, afterMs }]),
    );
    await Promise.all(
      [...first.values()].map(async ({ step, afterMs }) => {
        this.writer(step).fetch(step.ids);
        await sleep(afterMs);
        await this.#step(step);
      }),
    );
  }

  /** Every writer goes on, and every reader reads, at the same time on both stores. */
  async #allAtOnce(first: 0 | 1): Promise<void> {
    const slot = (index: number): 0 | 1 => ((first + index) % 2 === 1 ? 1 : 0);
    for (const writer of this.writers) writer.fetch(IDS);
    await Promise.all([
      ...this.writers.map(async (writer, index) => {
        if (writer.paused) return;
        await this.#write(writer, slot(index), async (store) => {
          await writer.commit(store, index % 2 === 0 ? 'whole' : 'bare first');
          await writer.finish(store, 'complete', DeleteDecision.BY_GUARD);
        });
      }),
      ...this.readers.map((reader, index) => this.#with(slot(index), (store) => reader.read(store, 0))),
    ]);
    for (const writer of this.writers) await checkDeletes(this, writer);
  }

  /** While nobody writes, whoever has read everything knows exactly what the store holds. */
  async read(slot: 0 | 1, limit: number): Promise<void> {
    await this.#with(slot, async (store) => {
      for (const reader of this.readers) await reader.read(store, limit);
      // Until a purge is done, records are cut without a version that says so.
      if (limit > 0 || this.scope.pending) return;
      const { records } = await readRecords(store, this.scope, 'a read');
      const held = new Map(records.map(line));
      for (const { kind, known } of this.readers) expectSame(`the ${kind} reader`, known, held);
    });
  }

  async wakeStalled(slot: 0 | 1): Promise<void> {
    await this.#with(slot, async (store) => {
      for (const writer of this.writers) {
        const done = await writer.wakeStalled(store);
        if (done.length > 0 && !this.stores.current(slot).proxy.dead)
          throw new Error(`stalled processes wrote: ${done.join(', ')}`);
      }
    });
  }
}

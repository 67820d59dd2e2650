import { expectSame } from './expect-same.js';
import { DeleteDecision, SyncKind } from '@tidemark/contracts';
import type { TestDatabase } from '../../../../jest/database.js';
import { startStore, TestWriter, type StoreHarness } from './harness.js';
import { IDS, MODELS, type Action, type SourceAction, type StepAction } from './model-actions.js';
import { checkDelta, checkDeletes, checkLog } from './model-checks.js';
import { line, ModelReader, ModelWatcher } from './model-readers.js';
import { ModelSource } from './model-source.js';
import { ModelWriter } from './model-writer.js';

/** Two stores on one database, two models' sources, their writers, and readers of every kind. */
export class ModelWorld {
  #tick = 0;
  readonly sources = new Map(MODELS.map((model) => [model as string, new ModelSource(() => ++this.#tick)]));
  /** Stores that were replaced; their streams end in the background. */
  readonly stopping: Promise<void>[] = [];
  readonly writers: ModelWriter[];
  readonly readers: ModelReader[];
  readonly watcher: ModelWatcher;

  private constructor(
    readonly database: TestDatabase,
    readonly stores: [StoreHarness, StoreHarness],
    readonly connectionId: string,
    readonly uid: string,
  ) {
    this.writers = [...this.sources].flatMap(([model, source]) =>
      [SyncKind.FULL, SyncKind.DELTA].map((kind) => new ModelWriter(connectionId, model, kind, source)),
    );
    this.readers = (['cursor', 'watermark', 'wall clock'] as const).map(
      (kind) => new ModelReader(connectionId, kind),
    );
    this.watcher = new ModelWatcher(connectionId, () => this.stores[0]);
    this.watcher.start();
  }

  /** A new connection on stores that live on from world to world. */
  static async create(
    database: TestDatabase,
    stores: [StoreHarness, StoreHarness],
    name: string,
  ): Promise<ModelWorld> {
    await new TestWriter(stores[0], name).open(Object.fromEntries(MODELS.map((model) => [model, ['n']])));
    const connection = await stores[0].db.connections.findOne({ name });
    if (connection === null) throw new Error('the connection was not made');
    const world = new ModelWorld(database, stores, name, connection._id);
    for (const source of world.sources.values()) for (const id of IDS) source.change(id, true);
    for (const writer of world.writers) await world.#runToEnd(writer, stores[0], DeleteDecision.BY_GUARD);
    return world;
  }

  get now(): number {
    return this.#tick;
  }

  async act(action: Action): Promise<void> {
    const store = this.stores['store' in action && action.store === 1 ? 1 : 0];
    switch (action.do) {
      case 'source':
        return this.#changeSource(action);
      case 'step':
        return this.#step(action, store);
      case 'take over':
        return this.writer(action).hold && this.writer(action).begin(store);
      case 'run':
        return this.#runToEnd(this.writer(action), store, DeleteDecision.BY_GUARD);
      case 'all at once':
        return this.#allAtOnce(action.store);
      case 'read':
        return this.#read(store, action.limit);
      case 'wake stalled':
        return this.#wakeStalled(store);
      case 'restart':
        return this.#restart(action.store === 1 ? 1 : 0);
    }
  }

  writer({ model, kind }: { readonly model: string; readonly kind: SyncKind }): ModelWriter {
    const writer = this.writers.find((each) => each.model === model && each.kind === kind);
    if (!writer) throw new Error('no such writer');
    return writer;
  }

  #changeSource({ model, id, how }: SourceAction): void {
    const source = this.sources.get(model);
    if (how === 'edit') source?.edit(id);
    else if (how === 'toggle readable') source?.toggleReadable(id);
    else source?.change(id, how === 'put');
  }

  /** A writer's next step: it begins, reads a page, commits it, or ends. */
  async #step(action: StepAction, store: StoreHarness): Promise<void> {
    const writer = this.writer(action);
    const { hold } = writer;
    if (!hold) await writer.begin(store);
    else if (hold.page) await writer.commit(store, action.sending);
    else if (hold.atEnd) await this.#finish(writer, store, action.ending, action.decision);
    else writer.fetch();
  }

  async #finish(
    writer: ModelWriter,
    store: StoreHarness,
    ...[ending, decision]: [Parameters<ModelWriter['finish']>[1], DeleteDecision]
  ): Promise<void> {
    const ended = await writer.finish(store, ending, decision);
    await checkDeletes(this, writer);
    if (ended && writer.kind === SyncKind.DELTA) await checkDelta(this, writer);
  }

  async #runToEnd(writer: ModelWriter, store: StoreHarness, decision: DeleteDecision): Promise<void> {
    if (!writer.hold) await writer.begin(store);
    while (writer.hold && !writer.hold.atEnd) {
      writer.fetch();
      await writer.commit(store, 'whole');
    }
    await this.#finish(writer, store, 'complete', decision);
  }

  /** Every writer goes on, and every reader reads, at the same time on both stores. */
  async #allAtOnce(first: number): Promise<void> {
    const store = (index: number): StoreHarness => this.stores[(first + index) % 2 === 1 ? 1 : 0];
    for (const writer of this.writers) writer.fetch();
    await Promise.all([
      ...this.writers.map(async (writer, index) => {
        await writer.commit(store(index), index % 2 === 0 ? 'whole' : 'bare first');
        await writer.finish(store(index), 'complete', DeleteDecision.BY_GUARD);
      }),
      ...this.readers.map((reader, index) => reader.read(store(index), 0)),
    ]);
    for (const writer of this.writers) await checkDeletes(this, writer);
  }

  /** While nobody writes, whoever has read everything knows exactly what the store holds. */
  async #read(store: StoreHarness, limit: number): Promise<void> {
    for (const reader of this.readers) await reader.read(store, limit);
    if (limit > 0) return;
    const held = await this.#held(store);
    for (const { kind, known } of this.readers) expectSame(`the ${kind} reader`, known, held);
  }

  async #held(store: StoreHarness): Promise<Map<string, string>> {
    const { records } = await new TestWriter(store, this.connectionId).records();
    return new Map(records.map(line));
  }

  async #wakeStalled(store: StoreHarness): Promise<void> {
    for (const writer of this.writers) {
      const done = await writer.wakeStalled(store);
      if (done.length > 0) throw new Error(`stalled processes wrote: ${done.join(', ')}`);
    }
  }

  async #restart(index: 0 | 1): Promise<void> {
    const old = this.stores[index];
    this.stores[index] = await startStore(this.database);
    this.stopping.push(old.stop());
  }

  /** Lets every run end and everyone read, and proves that all of them know what the source holds. */
  async verify(): Promise<void> {
    await this.#wakeStalled(this.stores[0]);
    for (const source of this.sources.values()) source.readAll();
    for (const writer of this.writers)
      if (writer.hold) await this.#runToEnd(writer, this.stores[1], DeleteDecision.APPROVED);
    for (const writer of this.writers)
      if (writer.hold) await this.#runToEnd(writer, this.stores[1], DeleteDecision.APPROVED);
    for (const writer of this.writers.filter(({ kind }) => kind === SyncKind.FULL)) {
      await this.#runToEnd(writer, this.stores[0], DeleteDecision.BY_GUARD);
      if (writer.hold) await this.#runToEnd(writer, this.stores[0], DeleteDecision.APPROVED);
      const stored = await this.stores[0].db.records
        .find({ c: this.uid, m: writer.model, p: { $exists: true } })
        .toArray();
      const live = new Map(
        stored.map(({ _id, p }) => [
          _id.split(':')[2] ?? '',
          (JSON.parse(Buffer.from(p?.buffer ?? []).toString()) as { n: number }).n,
        ]),
      );
      expectSame(`the store's ${writer.model}`, live, writer.source.live());
    }
    await this.#read(this.stores[0], 0);
    await checkLog(this);
  }

  /** Ends the watcher; the stores live on, and those that were replaced end on their own: see `stopping`. */
  async stop(): Promise<void> {
    await this.watcher.stop();
  }
}

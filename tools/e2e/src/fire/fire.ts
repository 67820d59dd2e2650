import { setTimeout as sleep } from 'node:timers/promises';
import { SyncKind } from '@tidemark/contracts';
import { forTenant } from '@tidemark/rpc';
import { CommitDelays } from './commit-delays.js';
import { toVersion } from './content.js';
import type { Version } from './judge.js';
import { Follower, Poller } from './readers.js';
import { STORE_APP, type StoreProcess, type StoreProcesses } from './store-processes.js';
import { again, FireWriter } from './writer.js';

const OWNER = { tenantId: 'acme', connectionId: 'fire' };
const MODELS = 8;
const KINDS = [SyncKind.DELTA, SyncKind.WEBHOOK] as const;
const STEP_MS = 20;

/** One connection under fire: 16 runs write to it through two stores with late commits, and readers of every kind follow. */
export class Fire {
  readonly writers: readonly FireWriter[];
  readonly pollers: readonly Poller[];
  readonly followers: readonly Follower[];
  readonly delays: CommitDelays;

  constructor(
    readonly stores: StoreProcesses,
    readonly first: StoreProcess,
    readonly second: StoreProcess,
  ) {
    const both = [first, second];
    this.writers = KINDS.flatMap((kind, number) =>
      Array.from({ length: MODELS }, (_, model) => this.#writer(model, kind, number)),
    );
    this.pollers = (['cursor', 'watermark', 'wall clock'] as const).map(
      (kind) => new Poller(kind, OWNER, both),
    );
    this.followers = [new Follower(OWNER, [first], false), new Follower(OWNER, both, true)];
    this.delays = new CommitDelays(stores.client, STORE_APP);
  }

  /** Writes so many changes, read all the while, and waits until all readers have had their last word. */
  async run(writes: number): Promise<void> {
    const models = Array.from({ length: MODELS }, (_, model) => ({
      ...{ model: `m${model}`, fields: ['id', 'content'], indexFields: [] },
    }));
    await this.first.writing.openConnection({ ...OWNER, scope: { revision: 1n, models } });
    const [written, followed] = [new AbortController(), new AbortController()];
    const polling = Promise.all(this.pollers.map((poller) => poller.run(written.signal)));
    const following = Promise.all(this.followers.map((follower) => follower.run(followed.signal)));
    this.delays.start();
    const writing = Promise.all(this.writers.map((writer) => writer.write(writes / this.writers.length)));
    try {
      await Promise.race([writing, Promise.all([writing, polling, following])]);
    } finally {
      await this.delays.stop();
      written.abort();
    }
    await polling;
    const last = Math.max(...(await this.stored()).map(({ at }) => at));
    const isThrough = this.#untilThrough(last).finally(() => followed.abort());
    await Promise.all([isThrough, following]);
  }

  /** What the store holds now. */
  async stored(): Promise<Version[]> {
    const { connectionId, tenantId } = OWNER;
    return again(async () => {
      const versions: Version[] = [];
      const stream = this.first.reading.streamRecords({ connectionId }, { metadata: forTenant(tenantId) });
      for await (const { records } of stream) versions.push(...records.map(toVersion));
      return versions;
    });
  }

  async #untilThrough(at: number): Promise<void> {
    while (this.followers.some(({ through }) => through < at)) await sleep(STEP_MS);
  }

  /** Two runs of a model share records: in half of the models they write through the same store, in half through both. */
  #writer(model: number, kind: SyncKind, number: number): FireWriter {
    const isFirst = (model + (model < MODELS / 2 ? 0 : number)) % 2 === 0;
    const runId = `run-${model}-${number}`;
    const lease = { ...OWNER, model: `m${model}`, kind, runId, epoch: 1n };
    return new FireWriter(isFirst ? this.first : this.second, lease);
  }
}

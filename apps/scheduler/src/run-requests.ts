import { randomBytes } from 'node:crypto';
import { inDependencyOrder, runId, type SyncKind, type SyncTrigger } from '@tidemark/model';
import type { Cadences } from './cadences.js';
import type { Connection } from './connection.js';
import type { Run } from './run.js';
import type { Runs } from './runs.js';

/** Makes runs, each once: equal requests meet in the run that waits already. */
export class RunRequests {
  constructor(
    private readonly runs: Runs,
    private readonly cadences: Pick<Cadences, 'requested'>,
    /** Tells the workers that there is work. */
    private readonly wake: () => void,
  ) {}

  /** Asks for runs of some models of a connection, in the order in which they depend on each other. */
  async start(
    connection: Connection,
    models: readonly { readonly model: string; readonly kind: SyncKind }[],
    trigger: SyncTrigger,
  ): Promise<Run[]> {
    const now = Date.now();
    const order = inDependencyOrder(
      models.map(({ model }) => model),
      connection.catalogue,
    );
    const started = new Map<string, Run>();
    for (const [index, model] of order.entries()) {
      const kind = models.find((each) => each.model === model)?.kind ?? 'FULL';
      const run = await this.runs.request({
        // A millisecond apart, for those that go first need the smaller ids.
        id: runId(new Date(now + index), randomBytes(10)),
        tenantId: connection.tenantId,
        connectionId: connection.id,
        connector: connection.connector,
        model,
        kind,
        trigger,
        after: dependencies(connection, model).flatMap((each) => started.get(each)?.id ?? []),
        startedOver: false,
      });
      started.set(model, run);
    }
    const runs = [...started.values()];
    if (runs.length === 0) return runs;
    this.wake();
    // A person's request takes no turn of the schedule until it starts: should it be cancelled before, the schedule goes on.
    const turn = trigger === 'SCHEDULE' || trigger === 'BACKFILL' ? new Date(now) : undefined;
    await this.cadences.requested(connection, runs, turn);
    return runs;
  }

  /** Asks for the run that reads a source anew after it changed under this one. */
  async startOver(run: Run): Promise<void> {
    const { tenantId, connectionId, connector, model, kind, trigger } = run;
    const id = runId(new Date(), randomBytes(10));
    await this.runs.request({
      id,
      tenantId,
      connectionId,
      connector,
      model,
      // A delta whose checkpoint fits no more has nothing to go on from; a full sync has, and gives the next one its own.
      kind: kind === 'DELTA' ? 'FULL' : kind,
      trigger,
      after: [],
      startedOver: true,
    });
    this.wake();
  }
}

function dependencies({ catalogue }: Connection, model: string): readonly string[] {
  return catalogue.find(({ name }) => name === model)?.dependsOn ?? [];
}

import type { Logger } from '@tidemark/runtime';
import type { Connection } from './connection.js';
import type { Connections } from './connections.js';
import { effectOnRun, type ScopeEffect } from './scope-change.js';

const INTERVAL_MS = 1_000;

/** Notices that a connection's scope changes while a run works under the one before. */
export class ScopeWatch {
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> = Promise.resolve();

  /** `connection` as the run's work knows it; `onEffect` is told once a second while the run may not go on. */
  constructor(
    private readonly connections: Pick<Connections, 'find' | 'scopeRevisionOf'>,
    private readonly connection: Connection,
    private readonly model: string,
    private readonly onEffect: (effect: Exclude<ScopeEffect, 'NONE'>) => void,
    private readonly logger: Logger,
  ) {}

  start(): void {
    this.timer = setTimeout(() => {
      this.looking = this.look().finally(() => {
        if (this.timer !== undefined) this.start();
      });
    }, INTERVAL_MS);
  }

  async stop(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    await this.looking;
  }

  /**
   * What became of a run whose page or model the store refused: NONE if the scope is the one that the run knows, so that it
   * is to blame itself. Else the store knew another one, though by now that may have changed again.
   */
  async onRefusal(): Promise<ScopeEffect> {
    const now = await this.connections.find(this.connection);
    if (now === undefined || now.scope.revision === this.connection.scope.revision) return 'NONE';
    return now.scope.models.some(({ model }) => model === this.model) ? 'NARROWED' : 'REMOVED';
  }

  private async look(): Promise<void> {
    try {
      const revision = await this.connections.scopeRevisionOf(this.connection);
      if (revision === undefined || revision === this.connection.scope.revision) return;
      const now = await this.connections.find(this.connection);
      if (now === undefined) return;
      const effect = effectOnRun(this.model, this.connection.scope.models, now.scope.models);
      if (effect !== 'NONE') this.onEffect(effect);
    } catch (error) {
      // The store refuses what the scope does not allow in any case; this only spares the source and the wait.
      this.logger.debug({ error }, 'the scope could not be looked at');
    }
  }
}

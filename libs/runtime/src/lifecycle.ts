import { delay } from './delay.js';
import type { Logger } from './logger.js';

const STOP_DEADLINE_MS = 10_000;

/** One thing of a service that is started and stopped: a server, a client, a worker. */
export interface Part {
  readonly name: string;
  start(): Promise<void> | void;
  /** Drains and closes; called only when `start` succeeded. */
  stop(): Promise<void> | void;
}

/** What makes up a service. */
export interface ServiceOptions {
  readonly name: string;
  readonly logger: Logger;
  /** Started in this order, stopped in the reverse one. */
  readonly parts: readonly Part[];
  /** Stop when stdin closes; for a supervisor that holds the other end. An IPC channel is watched in any case. */
  readonly exitWithParent?: boolean;
}

/** A service whose parts are all started. */
export interface RunningService {
  /**
   * Logs that the service takes calls at `address`, and tells the supervisor that spawned it, if one did with an IPC
   * channel: `{type: 'ready', service, address}`.
   */
  announce(address: string): void;
}

/**
 * Starts the parts in order and keeps the process until SIGTERM, SIGINT, the end of its parent or an uncaught error; then
 * stops them in reverse, each within 10 s, and exits: 0 when asked to stop, 1 after a failure. When a part does not start,
 * those before it are stopped and the process exits with 1.
 * Further signals change nothing: a Ctrl-C arrives from the terminal, from npm and from the supervisor alike.
 */
export async function runService(options: ServiceOptions): Promise<RunningService> {
  const lifecycle = new Lifecycle(options);
  lifecycle.watchProcess();
  await lifecycle.start();
  return {
    announce: (address) => {
      options.logger.info({ address }, 'ready');
      if (process.connected) {
        process.send?.({ type: 'ready', service: options.name, address });
      }
    },
  };
}

class Lifecycle {
  private readonly started: Part[] = [];
  private starting: Promise<void> = Promise.resolve();
  private stopping = false;

  constructor(private readonly options: ServiceOptions) {}

  watchProcess(): void {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => void this.stop(0, signal));
    }
    process.on('uncaughtException', (error) => void this.fail(error, 'uncaught exception'));
    process.on('unhandledRejection', (error) => void this.fail(error, 'unhandled rejection'));
    this.watchParent();
  }

  private watchParent(): void {
    const parentEnded = () => void this.stop(0, 'parent ended');
    if (process.send !== undefined) {
      process.on('disconnect', parentEnded);
      if (!process.connected) {
        parentEnded();
      }
    }
    if (this.options.exitWithParent === true) {
      process.stdin.on('end', parentEnded).on('close', parentEnded).resume();
    }
  }

  /** Resolves when every part is started; never when the process is about to exit instead. */
  async start(): Promise<void> {
    const { parts } = this.options;
    const all = this.startAll(parts);
    this.starting = all.then(
      () => undefined,
      () => undefined,
    );
    try {
      await all;
    } catch (error) {
      void this.fail(error, `${parts[this.started.length]?.name ?? 'service'} could not start`);
    }
    if (this.stopping) {
      await new Promise(() => undefined);
    }
    this.options.logger.debug({ parts: parts.map(({ name }) => name) }, 'started');
  }

  private async startAll(parts: readonly Part[]): Promise<void> {
    for (const part of parts) {
      if (this.stopping) {
        return;
      }
      await part.start();
      this.started.push(part);
    }
  }

  private async fail(error: unknown, what: string): Promise<void> {
    this.options.logger.error(
      { error: error instanceof Error ? error : new Error(what, { cause: error }) },
      what,
    );
    await this.stop(1, what);
  }

  private async stop(exitCode: number, why: string): Promise<void> {
    if (this.stopping) {
      return;
    }
    this.stopping = true;
    this.options.logger.info({ why }, 'stopping');
    await this.withDeadline('the start under way', () => this.starting);
    for (const part of this.started.reverse()) {
      await this.withDeadline(part.name, () => part.stop());
    }
    this.options.logger.info({}, 'stopped');
    process.exit(exitCode);
  }

  /** A part that fails or hangs while stopping must not keep the others from it. */
  private async withDeadline(part: string, work: () => Promise<void> | void): Promise<void> {
    const inTime = new AbortController();
    try {
      const late = delay(STOP_DEADLINE_MS, inTime.signal).then(() => 'late' as const);
      late.catch(() => undefined);
      if ((await Promise.race([Promise.resolve(work()), late])) === 'late') {
        this.options.logger.error({ part, deadlineMs: STOP_DEADLINE_MS }, 'did not stop in time');
      }
    } catch (error) {
      this.options.logger.error({ part, error }, 'failed to stop');
    } finally {
      inTime.abort();
    }
  }
}

import { fork, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { TidemarkError } from '@tidemark/model';
import { delay, type Environment } from '@tidemark/runtime';
import { z } from 'zod';
import { LogFile } from './log-file.js';
import { lineSplitter, troubleIn } from './log-line.js';

const READY_WITHIN_MS = 60_000;
/** Longer than the services' own deadlines for their parts. */
const STOP_WITHIN_MS = 15_000;

const ready = z.object({ type: z.literal('ready'), address: z.string() });

/** What to run. */
export interface ServiceSpec {
  readonly name: string;
  /** The compiled main.js. */
  readonly main: string;
  readonly env: Environment;
  /** Bound of the JavaScript heap's old generation, in MB. */
  readonly heapMb: number;
  readonly logFile: string;
}

/** Who wants to know of it. */
export interface ServiceListener {
  /** A warning or error, as one line. */
  readonly onTrouble: (line: string) => void;
  /** It ended without having been asked to. */
  readonly onUnexpectedEnd: (failure: TidemarkError) => void;
}

/** A service in a process of its own, which ends when this one does. */
export class ServiceProcess {
  private readonly child: ChildProcess;
  private readonly log: LogFile;
  private readonly ended: Promise<void>;
  private stopping = false;

  constructor(
    private readonly spec: ServiceSpec,
    private readonly listener: ServiceListener,
  ) {
    if (!existsSync(spec.main)) {
      throw new TidemarkError(
        'CONFIG_INVALID',
        `${spec.name} is not built (${spec.main} is missing): run npm run build.`,
      );
    }
    this.log = new LogFile(spec.logFile);
    this.child = fork(spec.main, [], {
      env: { ...spec.env },
      execArgv: [
        `--max-old-space-size=${String(spec.heapMb)}`,
        // Pages are large buffers; without room from the start, V8 takes each few for a reason to collect everything.
        '--initial-old-space-size=128',
        '--disable-warning=ExperimentalWarning',
      ],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // A group of its own: a Ctrl-C in the terminal reaches the supervisor alone, which stops all in order.
      detached: true,
    });
    this.ended = this.watch();
  }

  /** The service's name. */
  get name(): string {
    return this.spec.name;
  }

  /** Its process id. */
  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Waits until it takes calls; gives back its address. Throws when it ends before, takes too long, or on `signal`. */
  async ready(signal: AbortSignal): Promise<string> {
    const gaveUp = new AbortController();
    const late = delay(READY_WITHIN_MS, AbortSignal.any([signal, gaveUp.signal])).then(() => {
      throw new TidemarkError(
        'SERVICE_UNAVAILABLE',
        `${this.name} is not ready after ${String(READY_WITHIN_MS / 1000)} s; its log: ${this.spec.logFile}`,
      );
    });
    late.catch(() => undefined);
    const announced = new Promise<string>((resolve) => {
      this.child.on('message', (message) => {
        const parsed = ready.safeParse(message);
        if (parsed.success) {
          resolve(parsed.data.address);
        }
      });
    });
    const gone = this.ended.then(() => {
      throw this.failure();
    });
    gone.catch(() => undefined);
    try {
      return await Promise.race([announced, gone, late]);
    } finally {
      gaveUp.abort();
    }
  }

  /** Sends it a signal; nothing if it has ended. */
  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Asks it to end, waits, and ends it by force when it takes too long. */
  async stop(): Promise<void> {
    this.stopping = true;
    if (this.child.pid === undefined || this.child.exitCode !== null || this.child.signalCode !== null) {
      return;
    }
    this.child.kill('SIGTERM');
    const inTime = new AbortController();
    const late = delay(STOP_WITHIN_MS, inTime.signal).then(() => {
      this.child.kill('SIGKILL');
    });
    late.catch(() => undefined);
    await this.ended;
    inTime.abort();
  }

  private watch(): Promise<void> {
    const toLog = (onLine: (line: string) => void) =>
      lineSplitter((line) => {
        this.log.write(`${line}\n`);
        onLine(line);
      });
    this.child.stdout?.on(
      'data',
      toLog((line) => this.showTrouble(line)),
    );
    this.child.stderr?.on(
      'data',
      toLog(() => undefined),
    );
    return new Promise((resolve) => {
      let isOver = false;
      const over = () => {
        if (!isOver) {
          isOver = true;
          this.log.close();
          resolve();
          if (!this.stopping) {
            this.listener.onUnexpectedEnd(this.failure());
          }
        }
      };
      // `close` comes after the last of its output; `error` alone when it could not be started.
      this.child.once('close', over);
      this.child.once('error', over);
    });
  }

  private showTrouble(line: string): void {
    const trouble = this.stopping ? undefined : troubleIn(line, this.name);
    if (trouble !== undefined) {
      this.listener.onTrouble(trouble);
    }
  }

  private failure(): TidemarkError {
    const { exitCode, signalCode } = this.child;
    const how = signalCode === null ? `exit code ${String(exitCode ?? 'unknown')}` : signalCode;
    return new TidemarkError(
      'INTERNAL',
      `${this.name} ended unexpectedly (${how}); its log: ${this.spec.logFile}`,
    );
  }
}

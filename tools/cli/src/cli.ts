import { TidemarkError } from '@tidemark/model';
import type { Environment } from '@tidemark/runtime';
import type { Command } from 'commander';
import { ExitCode } from './exit-code.js';
import { createGateway, type Gateway } from './gateway.js';
import { writeJson, type Writable } from './json.js';
import type { Output } from './output.js';
import { findTarget, type TargetOptions } from './target.js';

/** Options that every command takes. */
interface GlobalOptions extends TargetOptions {
  readonly json?: boolean;
}

/** What a command works with. */
export class Cli {
  /** What the process ends with. */
  exitCode: ExitCode = ExitCode.DONE;
  /** The gateway that was spoken to, for error messages. */
  address: string | undefined;
  private gateway: Gateway | undefined;

  constructor(
    readonly env: Environment,
    readonly cwd: string,
    readonly out: Output,
    /** Progress and remarks, so that `out` stays the command's own. */
    readonly notes: Output,
    /** Aborts with Ctrl-C, SIGTERM, or when nobody reads the output any more. */
    readonly signal: AbortSignal,
    private readonly globals: () => GlobalOptions,
  ) {}

  /** Whether programs read the output. */
  get json(): boolean {
    return this.globals().json === true;
  }

  /** The typed clients of the gateway. */
  async connect(): Promise<Gateway> {
    if (this.gateway === undefined) {
      const target = await findTarget(this.globals(), this.env, this.cwd);
      this.address = target.address;
      this.gateway = createGateway(target);
    }
    return this.gateway;
  }

  /** Prints one object: as JSON for programs, or as lines for people. */
  async print(object: Writable, lines: () => readonly string[]): Promise<void> {
    if (this.json) {
      await this.out.json([writeJson(object)]);
    } else {
      await this.out.lines(lines());
    }
  }

  /** Closes what was opened. */
  close(): void {
    this.gateway?.close();
  }
}

/** Adds the commands of one noun. */
export type Register = (program: Command, cli: Cli) => void;

/** Waits for what a Ctrl-C may end: gives back undefined when it did. */
export async function untilInterrupted<T>(cli: Cli, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (cli.signal.aborted && error instanceof TidemarkError && error.reason === 'CANCELLED') {
      return undefined;
    }
    throw error;
  }
}

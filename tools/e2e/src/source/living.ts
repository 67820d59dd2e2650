import { join } from 'node:path';
import { ServiceProcess } from '@tidemark/cli';
import { LivingClient, type LivingSourceControl } from './living-client.js';

/** The process of the living sources, as tests use it: it may be killed and started again at the same addresses. */
export class Living {
  private readonly client = new LivingClient(() => this.control);
  private process: ServiceProcess | undefined;
  private control = '127.0.0.1:0';
  private connector = '127.0.0.1:0';

  private constructor(
    private readonly root: string,
    private readonly folder: string,
    private readonly internalToken: string,
  ) {}

  /** Starts the process; what its sources hold is kept in the folder. `root` is the repository's. */
  static async start(root: string, folder: string, internalToken: string): Promise<Living> {
    const living = new Living(root, folder, internalToken);
    await living.up();
    return living;
  }

  /** The connector's address, for TIDEMARK_CONNECTORS. */
  get address(): string {
    return this.connector;
  }

  get pid(): number | undefined {
    return this.process?.pid;
  }

  /** Starts the process, after it was killed or struck by the fault `crash`. */
  async up(): Promise<void> {
    this.process = new ServiceProcess(
      {
        name: 'living-source',
        main: join(this.root, 'tools/e2e/dist/source/main.js'),
        env: {
          ...process.env,
          TIDEMARK_LISTEN: this.connector,
          TIDEMARK_INTERNAL_TOKEN: this.internalToken,
          LIVING_CONTROL: this.control,
          LIVING_FILE: join(this.folder, 'living.jsonl'),
        },
        heapMb: 256,
        logFile: join(this.folder, 'living.log'),
      },
      { onTrouble: () => undefined, onUnexpectedEnd: () => undefined },
    );
    this.control = await this.process.ready(new AbortController().signal);
    this.connector = await this.client.connector();
  }

  /** Ends the process at once, as a crash would. */
  async kill(): Promise<void> {
    if (this.process?.pid === undefined) return;
    process.kill(this.process.pid, 'SIGKILL');
    await this.process.stop();
  }

  async stop(): Promise<void> {
    await this.process?.stop();
  }

  /** A source by its name; it is there once its behaviour was told. */
  source(name: string): LivingSourceControl {
    return this.client.source(name);
  }
}

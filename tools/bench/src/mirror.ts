import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Stack } from '@tidemark/cli';
import { meterOf, type Bed } from './bed.js';
import { GatewayClient, MODEL, type ReadResult } from './gateway-client.js';
import type { Meter } from './meter.js';
import { memory, type ProcessName } from './process-files.js';
import { initial, writeWorkload, type SourceState } from './workload.js';

/** One connection and the source that it mirrors. */
export class Mirror {
  #state: SourceState;

  private constructor(
    readonly client: GatewayClient,
    readonly connectionId: string,
    readonly folder: string,
    records: number,
  ) {
    this.#state = initial(records);
  }

  /** Makes the source, with so many records in it, and the connection. */
  static async create(
    client: GatewayClient,
    exports: string,
    connectionId: string,
    records: number,
  ): Promise<Mirror> {
    const mirror = new Mirror(client, connectionId, join(exports, connectionId), records);
    await mkdir(mirror.folder, { recursive: true });
    await mirror.become((state) => state);
    await client.connect(connectionId, mirror.folder);
    return mirror;
  }

  /** The source's file. */
  get file(): string {
    return join(this.folder, `${MODEL}.jsonl`);
  }

  /** Changes the source. */
  async become(next: (state: SourceState) => SourceState): Promise<void> {
    this.#state = next(this.#state);
    await writeWorkload(this.file, this.#state);
  }

  /** A full sync; its seconds. */
  sync(): Promise<number> {
    return this.client.sync(this.connectionId);
  }

  /** A read of everything, or of what changed after a moment. */
  read(updatedAfter?: Date, parse = false): Promise<ReadResult> {
    return this.client.read(this.connectionId, updatedAfter, parse);
  }

  /** Up to where a reader has seen everything. */
  async completeThrough(): Promise<Date> {
    const { completeThrough } = await this.read(new Date());
    if (completeThrough === undefined) throw new Error('a read ended without a watermark');
    return completeThrough;
  }
}

/** Every service running, with a client and a meter. */
export interface Services {
  readonly client: GatewayClient;
  readonly meter: Meter;
  /** The folder that sources live in. */
  readonly exports: string;
  /** Peak resident memory of each process, in MB. */
  readonly peaks: () => Promise<Record<string, number | undefined>>;
  readonly stop: () => Promise<void>;
}

/** The services' own folder: their secrets fit the databases that every section finds again. */
export function dataDirOf({ folder }: Bed): string {
  return join(folder, 'data');
}

/** Starts every service, each a process of its own; `settings` are variables of theirs. */
export async function startServices(
  bed: Bed,
  settings: Readonly<Record<string, string>> = {},
  others: readonly ProcessName[] = [],
): Promise<Services> {
  const { folder, mongo, env, say, signal } = bed;
  const exports = join(folder, 'exports');
  await mkdir(exports, { recursive: true });
  const stack = await Stack.start({
    dataDir: dataDirOf(bed),
    port: 0,
    mongodbUri: mongo.uri,
    fileRoots: [exports],
    env: { ...env, ...settings },
    say,
    signal,
  });
  const client = new GatewayClient(stack.target.address, stack.target.apiKey ?? '');
  const meter = meterOf(bed, [...stack.processes, ...others], 'reader');
  return {
    client,
    exports,
    meter,
    peaks: async () =>
      Object.fromEntries(
        await Promise.all(
          meter.processes.map(async ({ name, pid }) => [name, (await memory(pid))?.peak] as const),
        ),
      ),
    stop: async () => {
      client.close();
      await stack.stop();
    },
  };
}

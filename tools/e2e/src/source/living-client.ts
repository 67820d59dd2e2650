import type { z } from 'zod';
import type { behaviour, changing, fault, wish } from './deed.js';
import type { ReadNote } from './living-source.js';

/** The control API of the living sources' process. */
export class LivingClient {
  constructor(private readonly address: () => string) {}

  /** Where the connector is served. */
  async connector(): Promise<string> {
    return (await this.call<{ connector: string }>('GET', '')).connector;
  }

  /** A source by its name; it is there once its behaviour was told. */
  source(name: string): LivingSourceControl {
    return new LivingSourceControl(name, (method, path, body) => this.call(method, path, body));
  }

  private async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`http://${this.address()}/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${text}`);
    return JSON.parse(text) as T;
  }
}

type Call = <T>(method: string, path: string, body?: unknown) => Promise<T>;

/** One living source, as tests use it. */
export class LivingSourceControl {
  constructor(
    readonly name: string,
    private readonly call: Call,
  ) {}

  async behave(given: z.input<typeof behaviour>): Promise<void> {
    await this.call('PUT', `${this.name}/behaviour`, given);
  }

  /** Sets a model's live records. */
  async fill(model: string, records: readonly z.input<typeof wish>[]): Promise<void> {
    await this.call('PUT', `${this.name}/models/${model}`, records);
  }

  async change(model: string, changes: readonly z.input<typeof wish>[]): Promise<void> {
    await this.call('POST', `${this.name}/models/${model}/changes`, changes);
  }

  async keepChanging(model: string, given: z.input<typeof changing>): Promise<void> {
    await this.call('PUT', `${this.name}/models/${model}/changing`, given);
  }

  async stopChanging(model: string): Promise<void> {
    await this.call('DELETE', `${this.name}/models/${model}/changing`);
  }

  /** The faults that strike from now on, instead of those before. */
  async fail(...faults: readonly z.input<typeof fault>[]): Promise<void> {
    await this.call('PUT', `${this.name}/faults`, faults);
  }

  /** The faults that have not struck to the end yet. */
  async faults(): Promise<z.output<typeof fault>[]> {
    return this.call('GET', `${this.name}/faults`);
  }

  /** The reads since the process was started. */
  async reads(): Promise<ReadNote[]> {
    return this.call('GET', `${this.name}/reads`);
  }

  /** The live records of a model by id, each as the source gives it out. */
  async truth(model: string): Promise<Map<string, { id: string; n: number }>> {
    const records = await this.call<{ id: string; n: number }[]>('GET', `${this.name}/models/${model}`);
    return new Map(records.map((record) => [record.id, record]));
  }
}

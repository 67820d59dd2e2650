import { appendFileSync, existsSync, readFileSync, truncateSync } from 'node:fs';
import { TidemarkError } from '@tidemark/model';
import { deed, type Deed } from './deed.js';
import { LivingSource } from './living-source.js';

/** All sources, and the file of all deeds done to them: what is written there survives that the process is killed. */
export class Journal {
  private readonly sources = new Map<string, LivingSource>();
  private readonly listeners: ((deed: Deed) => void)[] = [];

  /** Does again all deeds that the file holds. */
  constructor(private readonly file: string) {
    if (!existsSync(file)) return;
    const text = readFileSync(file, 'utf8');
    // A deed whose line was cut short by a kill was not done yet.
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    if (whole.length < text.length) truncateSync(file, Buffer.byteLength(whole));
    for (const line of whole.split('\n')) {
      if (line !== '') this.apply(deed.parse(JSON.parse(line)));
    }
  }

  /** Tells of every deed from now on. */
  onDeed(listener: (deed: Deed) => void): void {
    this.listeners.push(listener);
  }

  /** Does a deed, once it is written down. */
  do(deed: Deed): void {
    appendFileSync(this.file, `${JSON.stringify(deed)}\n`);
    this.apply(deed);
    for (const listener of this.listeners) listener(deed);
  }

  all(): LivingSource[] {
    return [...this.sources.values()];
  }

  /** Throws SOURCE_CONFIG_INVALID. */
  source(name: string): LivingSource {
    const source = this.sources.get(name);
    if (source !== undefined) return source;
    throw new TidemarkError(
      'SOURCE_CONFIG_INVALID',
      'there is no such living source; tell its behaviour first',
    );
  }

  private apply(deed: Deed): void {
    const source = this.sources.get(deed.source) ?? new LivingSource(deed.source);
    this.sources.set(deed.source, source);
    source.apply(deed);
  }
}

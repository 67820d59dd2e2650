import { closeSync, openSync, renameSync, writeSync } from 'node:fs';
import { systemCode } from '../system-code.js';

/** With the one before it, a service's logs stay below 50 MB. */
const MAX_BYTES = 25_000_000;

/** A service's log file. The one before is kept beside it as `.1`. */
export class LogFile {
  private descriptor: number;
  private bytes = 0;

  constructor(
    readonly path: string,
    private readonly maxBytes = MAX_BYTES,
  ) {
    this.descriptor = this.openNew();
  }

  /** Writes at once, so that the last words of a service are there when it has ended. */
  write(text: string): void {
    const length = Buffer.byteLength(text);
    if (this.bytes > 0 && this.bytes + length > this.maxBytes) {
      closeSync(this.descriptor);
      this.descriptor = this.openNew();
    }
    this.bytes += length;
    writeSync(this.descriptor, text);
  }

  close(): void {
    closeSync(this.descriptor);
  }

  private openNew(): number {
    this.bytes = 0;
    try {
      renameSync(this.path, `${this.path}.1`);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') {
        throw error;
      }
    }
    return openSync(this.path, 'w', 0o600);
  }
}

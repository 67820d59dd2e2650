/** Longest line (and longest CSV row), in bytes. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

const NEWLINE = 0x0a;

/**
 * Cuts chunks of bytes at line ends, so that neither a character nor a line is ever split. Holds one line at most, and
 * of a line that is too long nothing.
 */
export class WholeLines {
  private parts: Buffer[] = [];
  private held = 0;
  private dropped = 0;

  /** Bytes of the line under way that were dropped because it is too long. */
  get droppedBytes(): number {
    return this.dropped;
  }

  /** The lines that a chunk completes, with what was held before; undefined if it completes none. */
  push(chunk: Buffer): Buffer | undefined {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end === 0) {
      this.hold(chunk);
      return undefined;
    }
    const lines =
      this.parts.length === 0
        ? chunk.subarray(0, end)
        : Buffer.concat([...this.parts, chunk.subarray(0, end)]);
    this.parts = [];
    this.held = 0;
    if (end < chunk.length) this.hold(chunk.subarray(end));
    return lines;
  }

  /** What was dropped of the first line that `push` gave back, told once. */
  takeDropped(): number {
    const { dropped } = this;
    this.dropped = 0;
    return dropped;
  }

  /** What stands after the last line end. */
  rest(): Buffer {
    return Buffer.concat(this.parts);
  }

  private hold(bytes: Buffer): void {
    this.held += bytes.length;
    this.parts.push(bytes);
    if (this.held > MAX_LINE_BYTES) {
      this.dropped += this.held;
      this.parts = [];
      this.held = 0;
    }
  }
}

import { isUtf8 } from 'node:buffer';

const NEWLINE = 0x0a;

/** Remembers which lines of a file are not valid UTF-8. */
export class InvalidLines {
  /** As [start, end) in file offsets, ascending. */
  private ranges: (readonly [number, number])[] = [];

  /** Looks through whole lines that begin at an offset of the file. */
  note(lines: Buffer, offset: number): void {
    if (isUtf8(lines)) return;
    for (let start = 0; start < lines.length;) {
      const newline = lines.indexOf(NEWLINE, start);
      const end = newline < 0 ? lines.length : newline + 1;
      if (!isUtf8(lines.subarray(start, end))) this.ranges.push([offset + start, offset + end]);
      start = end;
    }
  }

  /** Whether one of them lies in [start, end). Asked with ascending ranges: those before `start` are forgotten. */
  touches(start: number, end: number): boolean {
    if (this.ranges.length === 0) return false;
    this.ranges = this.ranges.filter((range) => range[1] > start);
    return this.ranges.some((range) => range[0] < end);
  }
}

import { StringDecoder } from 'node:string_decoder';
import { z } from 'zod';
import { printable } from '../printable.js';

const LONGEST = 300;
/** A line that never ends must not fill the memory. */
const MAX_PENDING = 1_000_000;

const logLine = z.looseObject({
  level: z.string(),
  msg: z.string(),
  error: z.looseObject({ message: z.string() }).optional(),
});

/** The one line that a warning or error in a service's JSON log is worth on screen; undefined for the rest. */
export function troubleIn(line: string, service: string): string | undefined {
  const parsed = logLine.safeParse(parse(line));
  if (!parsed.success || (parsed.data.level !== 'warn' && parsed.data.level !== 'error')) {
    return undefined;
  }
  const { level, msg, error } = parsed.data;
  const text = `${service} ${level}: ${msg}${error === undefined ? '' : `: ${error.message}`}`;
  return printable(text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);
}

/** Cuts a stream of bytes into lines. */
export function lineSplitter(onLine: (line: string) => void): (chunk: Buffer) => void {
  const decoder = new StringDecoder('utf8');
  let pending = '';
  return (chunk) => {
    const lines = (pending + decoder.write(chunk)).split('\n');
    pending = lines.pop() ?? '';
    lines.forEach(onLine);
    if (pending.length > MAX_PENDING) {
      onLine(pending);
      pending = '';
    }
  };
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // Not every line is ours: Node itself writes warnings.
    return undefined;
  }
}

/** JSON text that goes into the output as it is, digit for digit. */
export class RawJson {
  constructor(readonly text: string) {}
}

/** What can be written as JSON. Properties that are undefined are left out. */
export type Writable =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Date
  | RawJson
  | readonly Writable[]
  | { readonly [name: string]: Writable };

/**
 * Writes one line of JSON. Integers of 64 bits are written as numbers, as SPEC.md shows them (readers of proto3 JSON take
 * both): versions, sequences and counters grow one by one and stay below 2^53. Times are ISO 8601 in UTC.
 */
export function writeJson(value: Writable): string {
  if (value === undefined || value === null) {
    return 'null';
  }
  if (typeof value === 'bigint') {
    return value.toString();
  }
  if (typeof value !== 'object' || value instanceof Date) {
    return JSON.stringify(value);
  }
  if (value instanceof RawJson) {
    // Inside a JSON string a line end is always escaped: these stand between tokens.
    return value.text.replace(/[\r\n]+\s*/g, ' ');
  }
  if (isList(value)) {
    return `[${value.map(writeJson).join(',')}]`;
  }
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .map(([name, member]) => `${JSON.stringify(name)}:${writeJson(member)}`);
  return `{${members.join(',')}}`;
}

/** A message's JSON bytes as they are; null when there are none. */
export function rawJson(bytes: Uint8Array): RawJson | null {
  return bytes.length === 0 ? null : new RawJson(Buffer.from(bytes).toString('utf8'));
}

/** The name of an enum's value, without its prefix. */
export function enumName(names: Readonly<Record<number, string>>, value: number): string {
  return names[value] ?? 'UNRECOGNIZED';
}

function isList(value: object): value is readonly Writable[] {
  return Array.isArray(value);
}

/** Proto3 JSON writes a duration as seconds with an `s`. */
export function durationJson({
  seconds,
  nanos,
}: {
  readonly seconds: bigint;
  readonly nanos: number;
}): string {
  const fraction = nanos === 0 ? '' : `.${String(nanos).padStart(9, '0')}`.replace(/0+$/, '');
  return `${seconds.toString()}${fraction}s`;
}

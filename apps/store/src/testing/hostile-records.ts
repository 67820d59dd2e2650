import { formatPath } from '@tidemark/model';

/** Names of fields that mean something elsewhere: to MongoDB, to JavaScript, to field paths. */
export const HOSTILE_KEYS = [
  ...[
    '',
    '$',
    '$set',
    '$where',
    '.',
    'a.b',
    'back\\slash',
    '10',
    '9',
    '__proto__',
    'constructor',
    'toString',
  ],
  ...['nul\0nul', 'line\nend', '\ud83d\ude00', '\uffff', 'k'.repeat(500)],
];

/** The paths that allow them. */
export const HOSTILE_FIELDS = HOSTILE_KEYS.map((key) => formatPath([key]));

/** Values as canonical JSON. */
const HOSTILE_VALUES = [
  ...[
    '12345678901234567890',
    '1.10',
    '1e400',
    '-0',
    '1e-400',
    '0.1000000000000000055511151231257827021181583404541015625',
  ],
  ...[
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\u0000"',
    '"\u2028"',
    '"\ud83d\ude00"',
    '"{\\"$ne\\":null}"',
    'null',
    '[]',
    '{}',
  ],
  '{"":{"$set":{"__proto__":{"a.b":[{"\\ud800":1}]}}}}',
  '['.repeat(63) + ']'.repeat(63),
];

/** Ids that keys are made of: separators, operators, the longest ones, the first and last in their order. */
const HOSTILE_IDS = [
  ...[
    'a:b',
    'a;b',
    'a\nb',
    'a\0b',
    '\0',
    ':',
    '::',
    ';',
    ' ',
    '.',
    '@1',
    '=1',
    '$ne',
    '{"$ne":null}',
    '__proto__',
  ],
  ...['constructor', '\uffff', '\u{10ffff}', 'x'.repeat(1024), '€'.repeat(341), '../..', '%00', 'toString'],
];

/** A record to write, with its canonical JSON, before and after one of its fields changes, and without the field `gone`. */
export interface HostileRecord {
  readonly id: string;
  readonly first: string;
  readonly second: string;
  readonly cut: { readonly first: string; readonly second: string };
}

/** One record for each id, each with a value in every field; the last one has a million characters. `ids` come first. */
export function hostileRecords(ids: readonly string[] = []): HostileRecord[] {
  const long = JSON.stringify(`${'x'.repeat(999_999)}\0`);
  const all = [...ids, ...HOSTILE_IDS];
  return all.map((id, index) => {
    const value = HOSTILE_VALUES[index % HOSTILE_VALUES.length] ?? 'null';
    const values = new Map(
      index === all.length - 1 ? [['a.b', long]] : HOSTILE_KEYS.map((key) => [key, value]),
    );
    const text = (version: string, ...more: [string, string][]) =>
      objectText([...values, ['version', version], ...more]);
    const gone: [string, string] = ['gone', value];
    return {
      id,
      first: text('1.0', gone),
      second: text('2.0', gone),
      cut: { first: text('1.0'), second: text('2.0') },
    };
  });
}

/** Written by hand, so that no code that is tested has a part in what is expected. */
function objectText(members: readonly [key: string, value: string][]): string {
  const sorted = [...members].sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`;
}

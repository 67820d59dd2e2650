import { z } from 'zod';
import { parseDuration } from './time.js';

/** An object that takes these keys and no other, and says so. */
function closed<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const allowed = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `has unknown keys: ${issue.keys.join(', ')}; allowed are ${allowed}`
        : `must be an object with the keys ${allowed}`,
  });
}

const json = z.custom<object>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'must be an object',
);

const connectionName = z
  .string('must be a name')
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'must be 1 to 63 characters of a-z, 0-9 and -, starting with a letter');

const duration = z.preprocess(
  (value) =>
    typeof value === 'string'
      ? value === 'never'
        ? 0
        : (parseDuration(value) ?? Number.NaN)
      : value === 0
        ? 0
        : Number.NaN,
  z.number('must be a duration such as 5m, 3h or 1h30m, or never'),
);

const fields = z.array(
  z.string('must be a field path').min(1, 'must not be empty'),
  'must be a list of field paths',
);

/** A list of field paths, or one with those among them that readers may filter on. */
const modelScope = z.union(
  [
    fields.transform((list) => ({ fields: list, index: [] as string[] })),
    closed({ fields, index: fields.default([]) }),
  ],
  'must be a list of field paths, or an object with fields and index',
);

/** What a scope holds: for each model its fields. */
export const scopeFile = z.record(
  z.string(),
  modelScope,
  'must be an object with a list of field paths for each model',
);

const intervals = { fullInterval: duration.optional(), deltaInterval: duration.optional() };
const share = z
  .number('must be a number from 0 to 1')
  .min(0, 'must be 0 or more')
  .max(1, 'must be 1 or less');

const requests = z
  .number('must be a whole number')
  .int('must be a whole number')
  .min(1, 'must be 1 or more')
  .max(1_000_000, 'must be 1000000 or less');

/** What a connection file holds. */
export const connectionFile = closed({
  name: connectionName,
  connector: z.string('must name a connector; see tidemark connectors list').min(1, 'must not be empty'),
  config: json.optional(),
  credentials: json.optional(),
  scope: scopeFile.optional(),
  schedule: closed({
    ...intervals,
    models: z
      .record(z.string(), closed(intervals), 'must be an object with intervals for each model')
      .optional(),
  }).optional(),
  guard: closed({
    maxDeletedShare: share.optional(),
    minDeletedRecords: z
      .number('must be a whole number')
      .int('must be a whole number')
      .min(0, 'must be 0 or more')
      .max(2_147_483_647, 'is too large')
      .optional(),
    maxQuarantinedShare: share.optional(),
  }).optional(),
  budget: closed({ requestsPerMinute: requests, burst: requests.optional() }).optional(),
});

/** What a connection file holds, checked; intervals in seconds. */
export type ConnectionFile = z.output<typeof connectionFile>;

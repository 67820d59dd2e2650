import { z } from 'zod';

// What happens to the sources: each deed is a line of the journal, so that a killed process comes back as it was.

const fields = z.record(z.string(), z.json());

/** How a source behaves. */
export const behaviour = z.strictObject({
  /** How far the source's clock is ahead of this machine's; below 0: behind. */
  clockOffsetMs: z.int().default(0),
  /** Change times are whole multiples of it: the larger, the more ties. */
  granularityMs: z.int().min(1).default(1),
  /** Records in one page. */
  pageSize: z.int().min(1).max(1_000).default(100),
  /** How long a page takes. */
  pageDelayMs: z.int().min(0).default(0),
  /** How far a delta reads back where nobody says otherwise. */
  overlapMs: z.int().min(0).default(0),
  /** Whether it offers deltas, and whether they tell of deletes. */
  delta: z.boolean().default(true),
  deltaDeletes: z.boolean().default(true),
  /** Whether it says at the end of a full read how many records it holds. */
  counts: z.boolean().default(false),
  /** The token that connections have to bring. */
  token: z.string().optional(),
});
export type Behaviour = z.output<typeof behaviour>;

/** How a source fails on a page. */
export const fault = z.strictObject({
  kind: z.enum([
    /** Refuses for now; with `waitMs`, it says for how long. */
    'unavailable',
    /** Answers 429 and asks to wait `waitMs`; the connector does so. */
    'wait',
    /** Says nothing any more. */
    'hang',
    /** The stream ends well, without its end. */
    'truncated',
    /** An end without evidence. */
    'emptySuccess',
    /** An end with evidence, although there may be more: a lie that only a count gives away. */
    'cutShort',
    /** An answer that is not what the source promised, as a connector finds it. */
    'badAnswer',
    /** A page whose payload is no JSON. */
    'notJson',
    /** A page whose payload is not canonical. */
    'notCanonical',
    /** A page whose record has no id. */
    'idMissing',
    /** A bug in the connector. */
    'bug',
    /** The credentials are refused. */
    'credentials',
    /** The source is gone. */
    'gone',
    /** The source's process is killed. */
    'crash',
  ]),
  /** Of one model only. */
  model: z.string().optional(),
  /** Of one kind of read only. */
  sync: z.enum(['FULL', 'DELTA']).optional(),
  /** Of one page only: 0 is the first page of a run, however often that run is resumed. */
  page: z.int().min(0).optional(),
  /** How often it strikes; 0: whenever it can. */
  times: z.int().min(0).default(1),
  waitMs: z.int().min(0).default(0),
  /** Records that the source loses in the moment in which it strikes. */
  loses: z.array(z.string()).default([]),
});
export type Fault = z.output<typeof fault>;

/** How a model changes by itself. */
export const changing = z.strictObject({
  everyMs: z.int().min(1),
  /** What may happen, one of them each time. */
  kinds: z
    .array(z.enum(['put', 'edit', 'delete', 'restore', 'late', 'tie']))
    .min(1)
    .default(['put', 'edit', 'delete', 'restore', 'late', 'tie']),
  /** How far back in time a late arrival lies at most. */
  lateMs: z.int().min(1).default(2_000),
  seed: z.int().default(1),
});
export type Changing = z.output<typeof changing>;

/** One state of a record. */
export const change = z.strictObject({
  id: z.string().min(1),
  /** Counts the record's changes, deletes included. */
  n: z.int(),
  /** When the source says that it changed, by the source's clock. */
  time: z.int(),
  deleted: z.boolean(),
  fields,
});
export type Change = z.output<typeof change>;

const at = { source: z.string(), model: z.string() };

export const deed = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('behave'), source: z.string(), behaviour }),
  z.strictObject({ do: z.literal('change'), ...at, changes: z.array(change) }),
  z.strictObject({ do: z.literal('keepChanging'), ...at, changing: changing.optional() }),
  z.strictObject({ do: z.literal('fail'), source: z.string(), faults: z.array(fault) }),
  z.strictObject({ do: z.literal('strike'), source: z.string(), fault: z.int() }),
]);
export type Deed = z.output<typeof deed>;

/** A change as a test asks for it. */
export const wish = z.strictObject({
  id: z.string().min(1),
  fields: fields.optional(),
  deleted: z.boolean().default(false),
  /** How long ago the source says that it changed: a late arrival. */
  agoMs: z.int().min(0).default(0),
});
export type Wish = z.output<typeof wish>;

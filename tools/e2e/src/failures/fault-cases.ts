import type { z } from 'zod';
import type { behaviour, fault } from '../source/deed.js';

/** What becomes of a run on which a fault strikes once. */
export type Ending =
  /** It is tried again, and succeeds in the end. */
  | { readonly ends: 'RETRIED' }
  /** It waits for as long as the source asks for, and succeeds. */
  | { readonly ends: 'WAITED' }
  /** It is paused until a person lets it go on, and succeeds. */
  | { readonly ends: 'PAUSED' }
  /** It succeeds with what it got, uncertified for this failure. */
  | { readonly ends: 'UNCERTIFIED'; readonly failure: RegExp }
  /** It believes that it got everything: what it then would delete is held for a person, who discards it. */
  | { readonly ends: 'DECEIVED' }
  /** It fails at once; with `standing`, its connection waits for a person. */
  | { readonly ends: 'FAILED'; readonly reason: string; readonly standing?: true };

/** A kind of failure, and what becomes of the runs that meet it. */
export interface FaultCase {
  readonly name: string;
  /** With `times` 0 it lasts, until the run has ended. */
  readonly fault: Pick<z.input<typeof fault>, 'kind' | 'waitMs' | 'times'>;
  readonly ending: Ending;
  /** The pages to strike, if not each. */
  readonly pages?: readonly number[];
  readonly behaviour?: z.input<typeof behaviour>;
}

const RETRIED: Ending = { ends: 'RETRIED' };
const failed = (reason: string): Ending => ({ ends: 'FAILED', reason });

/** Every way in which a source fails that leaves its connector's process alive. */
export const FAULT_CASES: readonly FaultCase[] = [
  // First, for it takes longest: the breaker opens, and is closed again by a probe.
  {
    name: 'HTTP 500 that lasts',
    fault: { kind: 'unavailable', times: 0 },
    ending: failed('SOURCE_UNAVAILABLE'),
    pages: [2],
  },
  { name: 'HTTP 500', fault: { kind: 'unavailable' }, ending: RETRIED },
  { name: 'HTTP 429 that ends the read', fault: { kind: 'unavailable', waitMs: 1_500 }, ending: RETRIED },
  { name: 'HTTP 429 that is waited for', fault: { kind: 'wait', waitMs: 300 }, ending: { ends: 'WAITED' } },
  { name: 'silence', fault: { kind: 'hang' }, ending: RETRIED },
  { name: 'a truncated stream', fault: { kind: 'truncated' }, ending: RETRIED },
  {
    name: 'an empty success',
    fault: { kind: 'emptySuccess' },
    ending: { ends: 'UNCERTIFIED', failure: /own end was not seen/ },
  },
  {
    name: 'a false end that a count gives away',
    fault: { kind: 'cutShort' },
    ending: { ends: 'UNCERTIFIED', failure: /the source holds \d+ records, the snapshot \d+/ },
    behaviour: { counts: true },
  },
  { name: 'a false end that only the guard sees', fault: { kind: 'cutShort' }, ending: { ends: 'DECEIVED' } },
  {
    name: 'bad JSON from the source',
    fault: { kind: 'badAnswer' },
    ending: failed('SOURCE_CONTRACT_BROKEN'),
  },
  {
    name: 'bad JSON from the connector',
    fault: { kind: 'notJson' },
    ending: failed('SOURCE_CONTRACT_BROKEN'),
  },
  {
    name: 'JSON that is not canonical',
    fault: { kind: 'notCanonical' },
    ending: failed('SOURCE_CONTRACT_BROKEN'),
  },
  { name: 'a record without id', fault: { kind: 'idMissing' }, ending: failed('SOURCE_CONTRACT_BROKEN') },
  { name: 'a bug in the connector', fault: { kind: 'bug' }, ending: failed('INTERNAL') },
  {
    name: 'refused credentials',
    fault: { kind: 'credentials' },
    ending: { ends: 'FAILED', reason: 'SOURCE_CREDENTIALS_REJECTED', standing: true },
  },
  { name: 'an account that is gone', fault: { kind: 'gone' }, ending: failed('SOURCE_GONE') },
  { name: 'a pause by a person', fault: { kind: 'hang' }, ending: { ends: 'PAUSED' } },
];

/** The connector's process is killed. */
export const CRASH: FaultCase = { name: 'a killed connector', fault: { kind: 'crash' }, ending: RETRIED };

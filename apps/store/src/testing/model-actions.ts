import { DeleteDecision, SyncKind } from '@tidemark/contracts';
import fc, { type Arbitrary } from 'fast-check';
import type { Ending, Sending } from './model-writer.js';

interface WriterAction {
  readonly model: string;
  readonly kind: SyncKind;
  readonly store: number;
}

/** How a source's record changes. */
export interface SourceAction {
  readonly do: 'source';
  readonly model: string;
  readonly id: string;
  readonly how: 'put' | 'remove' | 'edit' | 'toggle readable';
}

/** How a writer goes on. */
export interface StepAction extends WriterAction {
  readonly do: 'step';
  readonly sending: Sending;
  readonly ending: Ending;
  readonly decision: DeleteDecision;
}

/** One step of a story; those that do not apply at the time do nothing. */
export type Action =
  | SourceAction
  | StepAction
  | (WriterAction & { readonly do: 'take over' | 'run' })
  | { readonly do: 'read'; readonly store: number; readonly limit: number }
  | { readonly do: 'all at once' | 'wake stalled' | 'restart'; readonly store: number };

export const MODELS = ['jobs', 'people'] as const;
/** Few, so that whoever writes meets the others. */
export const IDS = Array.from({ length: 6 }, (_, i) => `r${String(i).padStart(2, '0')}`);

const model = fc.constantFrom(...MODELS, MODELS[0], MODELS[0]);
const kind = fc.constantFrom(SyncKind.FULL, SyncKind.DELTA);
const store = fc.nat({ max: 1 });
const id = fc.constantFrom(...IDS);
const how = fc.constantFrom('put', 'put', 'put', 'remove', 'remove', 'edit', 'toggle readable');
const sending = fc.constantFrom<Sending>('whole', 'bare first', 'twice');
const ending = fc.constantFrom<Ending>('complete', 'complete', 'complete', 'failed', 'unseen');
const decision = fc.constantFrom(
  DeleteDecision.BY_GUARD,
  DeleteDecision.BY_GUARD,
  DeleteDecision.APPROVED,
  DeleteDecision.DISCARDED,
);

/** Any action, with writing the likeliest. */
export const action: Arbitrary<Action> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('source'), model, id, how }) },
  {
    weight: 24,
    arbitrary: fc.record({ do: fc.constant('step'), model, kind, store, sending, ending, decision }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('take over'), model, kind, store }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('run'), model, kind, store }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('all at once'), store }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('read'), store, limit: fc.nat({ max: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wake stalled'), store }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart'), store }) },
);

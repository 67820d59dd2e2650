import { DeleteDecision, SyncKind } from '@tidemark/contracts';
import fc, { type Arbitrary } from 'fast-check';
import { COMMIT_STEPS, OTHER_STEPS, type CrashPlan } from './model-crash-plan.js';
import type { Ending, Sending } from './model-sending.js';

interface WriterAction {
  readonly model: string;
  readonly kind: SyncKind;
  readonly store: 0 | 1;
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
  /** What a webhook names. */
  readonly ids: readonly string[];
  /** After a call that failed with its store: whether to send it again, or to begin the run again. */
  readonly resends: boolean;
}

/** Steps of several writers that begin a few milliseconds apart. */
export interface TogetherAction {
  readonly do: 'together';
  readonly steps: readonly { readonly step: StepAction; readonly afterMs: number }[];
}

/** One step of a story; those that do not apply at the time do nothing. */
export type Action =
  | SourceAction
  | StepAction
  | TogetherAction
  | (WriterAction & { readonly do: 'take over' | 'pause' | 'run'; readonly ids: readonly string[] })
  | { readonly do: 'read'; readonly store: 0 | 1; readonly limit: number }
  | { readonly do: 'crash'; readonly store: 0 | 1; readonly plan: CrashPlan }
  | { readonly do: 'scope'; readonly store: 0 | 1; readonly model: string }
  | {
      readonly do: 'all at once' | 'apply scope' | 'remember' | 'wake stalled' | 'restart';
      readonly store: 0 | 1;
    };

export const MODELS = ['jobs', 'people'] as const;
/** Few, so that whoever writes meets the others. */
export const IDS = Array.from({ length: 6 }, (_, i) => `r${String(i).padStart(2, '0')}`);

const model = fc.constantFrom(...MODELS, MODELS[0], MODELS[0]);
const kind = fc.constantFrom(SyncKind.FULL, SyncKind.FULL, SyncKind.DELTA, SyncKind.DELTA, SyncKind.WEBHOOK);
const store = fc.constantFrom<0 | 1>(0, 1);
const id = fc.constantFrom(...IDS);
const ids = fc.array(id, { minLength: 1, maxLength: 3 });

const source = fc.record({
  do: fc.constant('source' as const),
  model,
  id,
  how: fc.constantFrom('put', 'put', 'put', 'remove', 'remove', 'edit', 'edit', 'toggle readable'),
});

const step: Arbitrary<StepAction> = fc.record({
  do: fc.constant('step' as const),
  model,
  kind,
  store,
  sending: fc.constantFrom<Sending>('whole', 'with the next', 'bare first', 'twice'),
  ending: fc.constantFrom<Ending>('complete', 'complete', 'complete', 'failed', 'unseen'),
  decision: fc.constantFrom(
    DeleteDecision.BY_GUARD,
    DeleteDecision.BY_GUARD,
    DeleteDecision.APPROVED,
    DeleteDecision.DISCARDED,
  ),
  ids,
  resends: fc.boolean(),
});

const together = fc.record({
  do: fc.constant('together' as const),
  steps: fc.array(fc.record({ step, afterMs: fc.nat({ max: 4 }) }), { minLength: 2, maxLength: 4 }),
});

const when = fc.constantFrom<CrashPlan['when']>('before', 'after');

const plan: Arbitrary<CrashPlan> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      step: fc.constantFrom<string>(...COMMIT_STEPS),
      skip: fc.constantFrom(0, 0, 0, 1, 2),
      when,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ step: fc.constantFrom<string>(...OTHER_STEPS), skip: fc.constant(0), when }),
  },
  { weight: 1, arbitrary: fc.record({ step: fc.constant('any'), skip: fc.nat({ max: 40 }), when }) },
);

const crash = fc.record({ do: fc.constant('crash' as const), store, plan });

const plain = (name: 'all at once' | 'apply scope' | 'remember' | 'wake stalled' | 'restart') =>
  fc.record({ do: fc.constant(name), store });

const action: Arbitrary<Action> = fc.oneof(
  { weight: 14, arbitrary: source },
  { weight: 26, arbitrary: step },
  { weight: 4, arbitrary: together },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('run' as const), model, kind, store, ids }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('take over' as const), model, kind, store, ids }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pause' as const), model, kind, store, ids }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('read' as const), store, limit: fc.nat({ max: 6 }) }) },
  { weight: 4, arbitrary: crash },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('scope' as const), store, model }) },
  { weight: 2, arbitrary: plain('apply scope') },
  { weight: 1, arbitrary: plain('remember') },
  { weight: 2, arbitrary: plain('all at once') },
  { weight: 1, arbitrary: plain('wake stalled') },
  { weight: 1, arbitrary: plain('restart') },
);

/** What happens to a connection: mostly short stories, for they shrink and replay fast, and some long ones; half of them of one model. */
export const story: Arbitrary<readonly Action[]> = fc
  .tuple(
    fc.boolean(),
    fc.oneof(
      { weight: 19, arbitrary: fc.array(action, { minLength: 8, maxLength: 30, size: 'max' }) },
      { weight: 1, arbitrary: fc.array(action, { minLength: 60, maxLength: 100, size: 'max' }) },
    ),
  )
  .map(([isOfAll, actions]) => (isOfAll ? actions : actions.map(ofOneModel)));

function ofOneModel(each: Action): Action {
  if ('model' in each) return { ...each, model: MODELS[0] };
  if (each.do !== 'together') return each;
  return { ...each, steps: each.steps.map((one) => ({ ...one, step: { ...one.step, model: MODELS[0] } })) };
}

import { compileScope, scopeContains } from '@tidemark/model';

/** One model's allow-list, with the fields that readers may filter on. */
export interface ModelScopeSpec {
  readonly model: string;
  readonly fields: readonly string[];
  readonly index: readonly string[];
}

/** A connection's scope as callers give it. */
export interface ScopeSpec {
  readonly revision: number;
  readonly models: readonly ModelScopeSpec[];
}

/** What a new scope makes of what is stored. Names of models. */
export interface ScopeChange {
  /** They lose fields. */
  readonly narrowed: readonly string[];
  /** They are no longer in the scope. */
  readonly removed: readonly string[];
  /** Other fields of theirs are index fields now. */
  readonly indexed: readonly string[];
}

/** Compares a scope with the one that replaces it. What is added needs nothing of the store: a full sync brings it. */
export function compareScopes(before: ScopeSpec, after: ScopeSpec): ScopeChange {
  const pairs = before.models.map((old) => ({
    old,
    now: after.models.find(({ model }) => model === old.model),
  }));
  const models = (test: (pair: (typeof pairs)[number]) => boolean): string[] =>
    pairs.filter(test).map(({ old }) => old.model);
  return {
    narrowed: models(({ old, now }) => now !== undefined && !contains(now, old)),
    removed: models(({ now }) => now === undefined),
    indexed: models(({ old, now }) => now !== undefined && !sameNames(now.index, old.index)),
  };
}

function contains(outer: ModelScopeSpec, inner: ModelScopeSpec): boolean {
  return scopeContains(compileScope(outer.fields), compileScope(inner.fields));
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return JSON.stringify([...new Set(a)].sort()) === JSON.stringify([...new Set(b)].sort());
}

/** What is left to do when a scope changes again before the change before it was brought to effect. */
export function mergeChanges(before: ScopeChange | undefined, next: ScopeChange): ScopeChange {
  if (before === undefined) return next;
  const removed = union(before.removed, next.removed);
  return {
    narrowed: union(before.narrowed, next.narrowed).filter((model) => !removed.includes(model)),
    removed,
    indexed: union(before.indexed, next.indexed).filter((model) => !removed.includes(model)),
  };
}

/** Whether anything stored is to be touched. */
export function needsPurge({ narrowed, removed, indexed }: ScopeChange): boolean {
  return narrowed.length + removed.length + indexed.length > 0;
}

function union(a: readonly string[], b: readonly string[]): string[] {
  return [...new Set([...a, ...b])];
}

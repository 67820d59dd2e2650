import {
  compareScopes,
  isScopeChanged,
  refuseNewPrimaryKeys,
  validateScope,
  type ModelScopeSpec,
} from '@tidemark/model';
import type { CatalogueEntry, Connection, PendingPurge, PendingSetup } from './connection.js';
import { toCatalogueModel } from './connection-request.js';

/** What a new scope makes of a connection. */
export type ScopeChange = Pick<Connection, 'scope'> & {
  readonly setup: PendingSetup;
  readonly purge?: PendingPurge;
};

/**
 * What a scope makes of a connection: the next revision, if it says anything new, the models to be read anew, and the work
 * that is left to do, over what is left of changes before. `field` is where the request has the scope. Throws REQUEST_INVALID, FIELD_UNKNOWN.
 */
export function changeScope(
  before: Connection,
  asked: readonly ModelScopeSpec[] | undefined,
  catalogue: readonly CatalogueEntry[],
  now: Date,
  field?: string,
): ScopeChange {
  const stored = before.scope.models;
  const models =
    asked === undefined ? stored : validateScope(asked, catalogue.map(toCatalogueModel), stored, field);
  const names = models.map(({ model }) => model);
  // One that leaves the scope goes with all that is stored of it: it may come back with another key.
  refuseNewPrimaryKeys(
    stored.filter(({ model }) => names.includes(model)),
    before.catalogue,
    catalogue,
  );
  const difference = compareScopes(stored, models);
  const merge = (left: readonly string[] | undefined, more: readonly string[]): string[] =>
    [...new Set([...(left ?? []), ...more])].filter((model) => names.includes(model));
  const setup = {
    backfill: merge(before.setup?.backfill, difference.widened),
    changed: merge(before.setup?.changed, [...difference.narrowed, ...difference.widened]),
    since: now,
  };
  if (!isScopeChanged(difference)) {
    return { scope: before.scope, setup, ...(before.purge === undefined ? {} : { purge: before.purge }) };
  }
  const revision = before.scope.revision + 1;
  return { scope: { revision, models }, setup, purge: { revision, since: now } };
}

/** What a change of scope means for a run that was begun under the scope before. */
export type ScopeEffect = 'NONE' | 'NARROWED' | 'REMOVED';

/** Whether a run of a model, begun under one scope, may go on under another. */
export function effectOnRun(
  model: string,
  before: readonly ModelScopeSpec[],
  now: readonly ModelScopeSpec[],
): ScopeEffect {
  const { narrowed, removed } = compareScopes(before, now);
  if (removed.includes(model)) return 'REMOVED';
  return narrowed.includes(model) ? 'NARROWED' : 'NONE';
}

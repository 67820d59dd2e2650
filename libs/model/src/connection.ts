import type { CatalogueModel, ModelScopeSpec } from './connection-scope.js';
import { TidemarkError } from './errors.js';
import type { ScheduleSpec } from './schedule.js';

const CONNECTION_ID = /^[a-z][a-z0-9-]{0,62}$/;
const MODEL_NAME = /^[A-Za-z0-9_.-]{1,128}$/;

/** Whether a text can be a connection's id. */
export function isConnectionId(id: string): boolean {
  return CONNECTION_ID.test(id);
}

/** Whether a text can be a model's name. */
export function isModelName(name: string): boolean {
  return MODEL_NAME.test(name);
}

/** Throws REQUEST_INVALID if a schedule names a model that is not in scope: its settings would silently never count. */
export function validateScheduleModels(schedule: ScheduleSpec, scope: readonly ModelScopeSpec[]): void {
  const known = new Set(scope.map(({ model }) => model));
  const violations = Object.keys(schedule.models)
    .filter((model) => !known.has(model))
    .map((model) => ({ field: `spec.schedule.models.${model}`, description: 'is no model in scope' }));
  if (violations.length === 0) return;
  const faults = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
  throw new TidemarkError('REQUEST_INVALID', `the schedule is faulty: ${faults}`, { violations });
}

/**
 * Throws REQUEST_INVALID if a model in scope would get another primary key: every record would be created under a new id and
 * deleted under its old one.
 */
export function refuseNewPrimaryKeys(
  scope: readonly ModelScopeSpec[],
  before: readonly Pick<CatalogueModel, 'name' | 'primaryKey'>[],
  after: readonly Pick<CatalogueModel, 'name' | 'primaryKey'>[],
): void {
  for (const { model } of scope) {
    const [old, fresh] = [before, after].map(
      (models) => models.find(({ name }) => name === model)?.primaryKey,
    );
    if (old === undefined || fresh === undefined || JSON.stringify(old) === JSON.stringify(fresh)) continue;
    const description = `would change the primary key of ${model}; delete the connection and create it anew`;
    throw new TidemarkError('REQUEST_INVALID', `the config ${description}`, {
      violations: [{ field: 'spec.config', description }],
    });
  }
}

/** Models in an order in which each comes after those it depends on; where they go in circles, as given. */
export function inDependencyOrder(
  names: readonly string[],
  catalogue: readonly Pick<CatalogueModel, 'name' | 'dependsOn'>[],
): string[] {
  const wanted = new Set(names);
  const ordered = new Set<string>();
  const entered = new Set<string>();
  const visit = (name: string): void => {
    if (entered.has(name)) return;
    entered.add(name);
    for (const dependency of catalogue.find((model) => model.name === name)?.dependsOn ?? []) {
      if (wanted.has(dependency)) visit(dependency);
    }
    ordered.add(name);
  };
  names.forEach(visit);
  return [...ordered];
}

import type { CatalogueEntry, Connection } from '../connection.js';

/** A model as discovery might find it. */
export function aModel(name: string, changes: Partial<CatalogueEntry> = {}): CatalogueEntry {
  return {
    name,
    jsonSchema: Buffer.from('{"type":"object"}'),
    primaryKey: ['id'],
    sensitiveFields: [],
    indexFields: [],
    dependsOn: [],
    warnings: [],
    capabilities: { full: true, delta: false, webhook: false, deltaDeletes: false },
    ...changes,
  };
}

/** A connection with one model, with what a test cares about changed. */
export function aConnection(changes: Partial<Connection> = {}): Connection {
  const time = new Date('2026-01-01T00:00:00Z');
  return {
    tenantId: 'acme',
    id: 'hr',
    connector: 'file',
    config: Buffer.from('{"path":"/srv/hr"}'),
    scope: { revision: 1, models: [{ model: 'employees', fields: ['id', 'name'], indexFields: [] }] },
    schedule: { models: {} },
    guard: {},
    state: 'ACTIVE',
    stateReason: '',
    catalogue: [aModel('employees')],
    createTime: time,
    updateTime: time,
    revision: 0,
    ...changes,
  };
}

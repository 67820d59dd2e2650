import { readFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import {
  ConnectionServiceDefinition,
  RecordServiceDefinition,
  Role,
  SyncServiceDefinition,
} from '@tidemark/contracts';
import { METHOD_ROLES, requireRole } from './method-roles.js';

const SERVICES = [
  [ConnectionServiceDefinition, 'connection_service'],
  [SyncServiceDefinition, 'sync_service'],
  [RecordServiceDefinition, 'record_service'],
] as const;

describe('method roles', () => {
  it('are set for every public method and for nothing else', () => {
    const paths = SERVICES.flatMap(([{ fullName, methods }]) =>
      Object.values(methods).map(({ name }) => `/${fullName}/${name}`),
    );
    expect([...METHOD_ROLES.keys()].sort()).toEqual(paths.sort());
  });

  it.each(SERVICES)('are those that the contract documents', async ({ fullName }, file) => {
    const proto = await readFile(
      new URL(`../../../proto/tidemark/v1/${file}.proto`, import.meta.url),
      'utf8',
    );
    const documented = [...proto.matchAll(/Role: (\w+)\.\n {2}rpc (\w+)\(/g)];
    expect(documented.length).toBeGreaterThan(4);
    for (const [, role, method] of documented) {
      const required = METHOD_ROLES.get(`/${fullName}/${method}`);
      expect([method, required === undefined ? '' : Role[required].toLowerCase()]).toEqual([method, role]);
    }
  });

  it('include the weaker ones', () => {
    const read = '/tidemark.v1.RecordService/GetRecord';
    const sync = '/tidemark.v1.SyncService/RunSync';
    const admin = '/tidemark.v1.SyncService/ApproveSyncRun';
    const allowed = (role: Role) =>
      [read, sync, admin].map((path) => {
        try {
          requireRole(path, [role]);
          return true;
        } catch {
          return false;
        }
      });
    expect(allowed(Role.READ)).toEqual([true, false, false]);
    expect(allowed(Role.SYNC)).toEqual([true, true, false]);
    expect(allowed(Role.ADMIN)).toEqual([true, true, true]);
    expect(allowed(Role.UNSPECIFIED)).toEqual([false, false, false]);
    expect(allowed(Role.UNRECOGNIZED)).toEqual([false, false, false]);
  });

  it('open a method without an entry to nobody', () => {
    expect(() => requireRole('/tidemark.v1.StoreService/CommitPage', [Role.ADMIN])).toThrow(/no role/);
  });
});

import { Role } from '@tidemark/contracts';
import { TidemarkError } from '@tidemark/model';

/** A role that a method may ask for. Each includes those before it: read, sync, admin. */
export type RequiredRole = Role.READ | Role.SYNC | Role.ADMIN;

const CONNECTIONS = '/tidemark.v1.ConnectionService';
const SYNCS = '/tidemark.v1.SyncService';
const RECORDS = '/tidemark.v1.RecordService';

/** What each public method asks for, as its comment in the contract says. */
export const METHOD_ROLES: ReadonlyMap<string, RequiredRole> = new Map<string, RequiredRole>([
  [`${CONNECTIONS}/ListConnectors`, Role.READ],
  [`${CONNECTIONS}/DescribeConnector`, Role.READ],
  [`${CONNECTIONS}/CreateConnection`, Role.ADMIN],
  [`${CONNECTIONS}/GetConnection`, Role.READ],
  [`${CONNECTIONS}/ListConnections`, Role.READ],
  [`${CONNECTIONS}/UpdateConnection`, Role.ADMIN],
  [`${CONNECTIONS}/GetScope`, Role.READ],
  [`${CONNECTIONS}/SetScope`, Role.ADMIN],
  [`${CONNECTIONS}/DeleteConnection`, Role.ADMIN],
  [`${CONNECTIONS}/CheckConnection`, Role.SYNC],
  [`${CONNECTIONS}/DiscoverConnection`, Role.SYNC],
  [`${CONNECTIONS}/PauseConnection`, Role.SYNC],
  [`${CONNECTIONS}/ResumeConnection`, Role.SYNC],
  [`${CONNECTIONS}/GetStatus`, Role.READ],
  [`${SYNCS}/RunSync`, Role.SYNC],
  [`${SYNCS}/ListSyncRuns`, Role.READ],
  [`${SYNCS}/GetSyncRun`, Role.READ],
  [`${SYNCS}/WatchSyncRun`, Role.READ],
  [`${SYNCS}/PauseSyncRun`, Role.SYNC],
  [`${SYNCS}/ResumeSyncRun`, Role.SYNC],
  [`${SYNCS}/CancelSyncRun`, Role.SYNC],
  [`${SYNCS}/ApproveSyncRun`, Role.ADMIN],
  [`${SYNCS}/DiscardSyncRun`, Role.ADMIN],
  [`${RECORDS}/StreamRecords`, Role.READ],
  [`${RECORDS}/WatchChanges`, Role.READ],
  [`${RECORDS}/GetRecord`, Role.READ],
  [`${RECORDS}/ListRecordVersions`, Role.READ],
  [`${RECORDS}/ListQuarantine`, Role.READ],
]);

const STRENGTH: Readonly<Record<RequiredRole, number>> = { [Role.READ]: 1, [Role.SYNC]: 2, [Role.ADMIN]: 3 };

/** Throws ROLE_MISSING unless one of the roles is enough for the method. A method without an entry is open to nobody. */
export function requireRole(path: string, roles: readonly Role[]): void {
  const required = METHOD_ROLES.get(path);
  if (required === undefined) {
    throw new TidemarkError('INTERNAL', `no role is set for ${path}`);
  }
  if (!roles.some((role) => strengthOf(role) >= STRENGTH[required])) {
    const role = Role[required].toLowerCase();
    throw new TidemarkError(
      'ROLE_MISSING',
      `the API key lacks the role '${role}' that ${path.slice(1)} needs`,
      {
        metadata: { role },
      },
    );
  }
}

function strengthOf(role: Role): number {
  switch (role) {
    case Role.READ:
    case Role.SYNC:
    case Role.ADMIN:
      return STRENGTH[role];
    case Role.UNSPECIFIED:
    case Role.UNRECOGNIZED:
      return 0;
  }
}

import { adaptOverlap, cadenceOf, NO_OVERLAP, type SyncKind } from '@tidemark/model';
import { isDuplicateKey } from '@tidemark/mongo';
import type { UpdateFilter } from 'mongodb';
import type { Cadences, SyncCadence } from './cadences.js';
import { connectionKey, connectionOf, type Connection, type ConnectionKey } from './connection.js';
import type { CadenceDocument, CadencesDocument, ControlDatabase } from './mongo-collections.js';
import type { Run } from './run.js';

/** Cadences in the control database, a document a connection. */
export class MongoCadences implements Cadences {
  constructor(private readonly db: ControlDatabase) {}

  async open(connection: Connection, cadences: readonly SyncCadence[]): Promise<void> {
    const { tenantId: tenant, id, createTime } = connection;
    const document = {
      tenant,
      connection: id,
      createTime,
      syncs: Object.fromEntries(cadences.map((cadence) => [fieldOf(cadence), toDocument(cadence)])),
    };
    try {
      // What is left of another connection that had its name is replaced.
      const other = { _id: connectionKey(connection), createTime: { $ne: createTime } };
      await this.db.cadences.replaceOne(other, document, { upsert: true });
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
    }
  }

  async find(connection: ConnectionKey): Promise<readonly SyncCadence[] | undefined> {
    const document = await this.db.cadences.findOne(filterOf(connection));
    return document === null ? undefined : fromDocument(document);
  }

  async ofTenant(tenantId: string): Promise<ReadonlyMap<string, readonly SyncCadence[]>> {
    const documents = await this.db.cadences.find({ tenant: tenantId }).toArray();
    return new Map(documents.map((document) => [document.connection, fromDocument(document)]));
  }

  async requested(connection: ConnectionKey, runs: readonly Run[], turn?: Date): Promise<void> {
    const latest = runs.flatMap((run): [string, string | Date][] => [
      [`${pathOf(run)}.lastRun`, run.id],
      ...(turn === undefined ? [] : [[`${pathOf(run)}.lastRequest`, turn] as [string, Date]]),
    ]);
    if (latest.length > 0) await this.write(connection, { $max: Object.fromEntries(latest) });
  }

  async started(run: Run): Promise<void> {
    const path = pathOf(run);
    await this.write(connectionOf(run), {
      $max: { [`${path}.lastRun`]: run.id, [`${path}.lastStart`]: run.startTime ?? new Date() },
    });
  }

  async succeeded(run: Run, time: Date, isCertified: boolean): Promise<void> {
    const path = pathOf(run);
    await this.write(connectionOf(run), {
      $max: {
        [`${path}.lastSuccess`]: time,
        ...(isCertified ? { [`${path}.lastCertified`]: time } : {}),
      },
      $set: { [`${path}.failuresInARow`]: 0 },
    });
  }

  async checked(run: Run, late: number): Promise<void> {
    const path = pathOf(run);
    const { model, kind } = run;
    const found = await this.find(connectionOf(run));
    const { overlap } = cadenceOf(found ?? [], model, kind) ?? {};
    await this.db.cadences.updateOne(
      // Each check counts once, however often it is told.
      { ...filterOf(connectionOf(run)), [`${path}.lastChecked`]: { $ne: run.id } },
      {
        $set: {
          [`${path}.lastChecked`]: run.id,
          [`${path}.overlap`]: adaptOverlap(overlap ?? NO_OVERLAP, late),
        },
      },
    );
  }

  async failed(run: Run, time: Date): Promise<number> {
    const path = pathOf(run);
    await this.db.cadences.updateOne(
      // Each run counts once, however often it is told.
      { ...filterOf(connectionOf(run)), [`${path}.lastFailed`]: { $ne: run.id } },
      {
        $max: { [`${path}.lastFailure`]: time },
        $set: { [`${path}.lastFailed`]: run.id },
        $inc: { [`${path}.failuresInARow`]: 1 },
      },
    );
    const { model, kind } = run;
    const found = await this.find(connectionOf(run));
    return cadenceOf(found ?? [], model, kind)?.failuresInARow ?? 1;
  }

  async keepOnly(connection: ConnectionKey, models: readonly string[]): Promise<void> {
    const kept = new Set(models);
    const found = (await this.find(connection)) ?? [];
    const gone = found.filter(({ model }) => !kept.has(model)).map((each): [string, 1] => [pathOf(each), 1]);
    if (gone.length > 0) await this.write(connection, { $unset: Object.fromEntries(gone) });
  }

  private async write(connection: ConnectionKey, update: UpdateFilter<CadencesDocument>): Promise<void> {
    await this.db.cadences.updateOne(filterOf(connection), update);
  }
}

function filterOf(connection: ConnectionKey): { _id: string; tenant: string } {
  return { _id: connectionKey(connection), tenant: connection.tenantId };
}

/** Models' names may hold dots, which would part a path; none holds a slash, no kind a colon. */
function fieldOf({ model, kind }: { model: string; kind: SyncKind }): string {
  return `${kind}:${model.replaceAll('.', '/')}`;
}

function pathOf(sync: { model: string; kind: SyncKind }): string {
  return `syncs.${fieldOf(sync)}`;
}

function toDocument({ model: _model, kind: _kind, ...rest }: SyncCadence): CadenceDocument {
  return rest;
}

function fromDocument({ syncs }: CadencesDocument): SyncCadence[] {
  return Object.entries(syncs).map(([field, { lastFailed: _failed, lastChecked: _checked, ...cadence }]) => {
    const colon = field.indexOf(':');
    const kind = field.slice(0, colon) as SyncKind;
    return { failuresInARow: 0, ...cadence, kind, model: field.slice(colon + 1).replaceAll('/', '.') };
  });
}

import {
  defaultScope,
  nextDaily,
  TidemarkError,
  validateScheduleModels,
  validateScope,
} from '@tidemark/model';
import type { Logger } from '@tidemark/runtime';
import { connectionKey, type CatalogueEntry, type Connection, type ConnectionKey } from './connection.js';
import type { ConnectionRemoval } from './connection-removal.js';
import { toCatalogueModel, validateRequest, type ConnectionRequest } from './connection-request.js';
import type { ConnectionSetup } from './connection-setup.js';
import type { ConnectionStates } from './connection-states.js';
import type { Connections } from './connections.js';
import type { Connectors, SourceTarget } from './connectors.js';
import type { Run } from './run.js';
import { changeScope } from './scope-change.js';
import type { SourceTargets } from './source-targets.js';
import type { SyncPlanner } from './sync-planner.js';

/** What administration needs. */
export interface AdministrationParts {
  readonly connections: Connections;
  readonly connectors: Connectors;
  readonly targets: SourceTargets;
  readonly setup: ConnectionSetup;
  readonly removal: ConnectionRemoval;
  readonly states: ConnectionStates;
  readonly planner: Pick<SyncPlanner, 'plan'>;
  readonly logger: Logger;
}

const ATTEMPTS = 5;

/** Creates, updates and examines connections. */
export class ConnectionAdministration {
  constructor(private readonly parts: AdministrationParts) {}

  /** Checks, discovers, stores and brings to effect. What fails midway is deleted again. */
  async create(
    request: ConnectionRequest,
    withoutSync: boolean,
  ): Promise<{ connection: Connection; runs: Run[] }> {
    const { key, connector, config, credentials, schedule, guard, budget } = request;
    validateRequest(request);
    if ((await this.parts.connections.find(key)) !== undefined) throw exists(key);
    const catalogue = await this.examine({
      breaker: connectionKey(key),
      connector,
      settings: { config, credentials },
    });
    const known = catalogue.map(toCatalogueModel);
    const models = request.scope === undefined ? defaultScope(known) : validateScope(request.scope, known);
    validateScheduleModels(schedule, models);
    const sealedCredentials = this.parts.targets.seal(key, credentials);
    const now = new Date();
    const connection: Connection = {
      ...key,
      connector,
      config,
      ...(sealedCredentials === undefined ? {} : { sealedCredentials }),
      scope: { revision: 1, models },
      schedule,
      guard,
      ...(budget === undefined ? {} : { budget }),
      state: 'ACTIVE',
      stateReason: '',
      catalogue,
      createTime: now,
      updateTime: now,
      revision: 0,
      setup: { backfill: withoutSync ? [] : models.map(({ model }) => model), since: now },
      retainTime: nextDaily(now, connectionKey(key)),
    };
    await this.parts.connections.insert(connection);
    try {
      const { runs } = await this.parts.setup.complete(connection);
      return { connection: await this.parts.states.find(key), runs };
    } catch (error) {
      await this.takeBack(key);
      throw error;
    }
  }

  /** Replaces settings. What a narrower scope no longer allows is purged, what a wider one adds is backfilled. */
  async update(request: ConnectionRequest): Promise<{ connection: Connection; runs: Run[] }> {
    const { key, connector, config, credentials } = request;
    validateRequest(request);
    const current = await this.parts.states.findLive(key);
    if (connector !== current.connector) {
      const description = `cannot be changed from ${current.connector}`;
      throw new TidemarkError('REQUEST_INVALID', `the connector ${description}`, {
        violations: [{ field: 'spec.connector', description }],
      });
    }
    const settings =
      credentials.byteLength > 0
        ? { config, credentials }
        : this.parts.targets.of({ ...current, config }).settings;
    const catalogue = await this.examine({ breaker: connectionKey(key), connector, settings });
    const updated = await this.replace(request, catalogue);
    const { runs } = await this.parts.setup.complete(updated);
    await this.parts.states.updated(key);
    await this.parts.planner.plan(key);
    return { connection: await this.parts.states.find(key), runs };
  }

  /** Asks the source for its models and keeps them. */
  async discover(key: ConnectionKey): Promise<readonly CatalogueEntry[]> {
    const connection = await this.parts.states.findLive(key);
    const catalogue = await this.parts.connectors.discover(this.parts.targets.of(connection));
    await this.parts.connections.setCatalogue(key, catalogue);
    // Models may have learnt or unlearnt deltas.
    await this.parts.planner.plan(key);
    return catalogue;
  }

  /** What keeps the source from being read. */
  async check(key: ConnectionKey): Promise<readonly string[]> {
    const connection = await this.parts.states.findLive(key);
    return this.parts.connectors.check(this.parts.targets.of(connection));
  }

  private async examine(target: SourceTarget): Promise<CatalogueEntry[]> {
    const problems = await this.parts.connectors.check(target);
    if (problems.length > 0) {
      throw new TidemarkError('SOURCE_CONFIG_INVALID', `the source cannot be read: ${problems.join('; ')}`, {
        violations: problems.map((description) => ({ field: 'spec.config', description })),
      });
    }
    return this.parts.connectors.discover(target);
  }

  private async replace(
    request: ConnectionRequest,
    catalogue: readonly CatalogueEntry[],
  ): Promise<Connection> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = await this.parts.states.findLive(request.key);
      const after = updated(
        before,
        request,
        catalogue,
        this.parts.targets.seal(request.key, request.credentials),
        new Date(),
      );
      const replaced = await this.parts.connections.replace(after);
      if (replaced !== undefined) return replaced;
    }
    throw new TidemarkError('SERVICE_UNAVAILABLE', 'the connection is being changed by others; try again');
  }

  /** The making failed, which is what the caller is told; a failure to clean up is left to the janitor. */
  private async takeBack(key: ConnectionKey): Promise<void> {
    try {
      await this.parts.removal.remove(key, 'it could not be made, and is removed again');
    } catch (error) {
      this.parts.logger.warn(
        { connection: connectionKey(key), error },
        'a connection that could not be made is not removed yet',
      );
    }
  }
}

function updated(
  before: Connection,
  request: ConnectionRequest,
  catalogue: readonly CatalogueEntry[],
  sealed: Uint8Array | undefined,
  now: Date,
): Connection {
  const { config, schedule, guard, budget } = request;
  const { budget: _replaced, ...kept } = before;
  const change = changeScope(before, request.scope, catalogue, now);
  const { models } = change.scope;
  validateScheduleModels(schedule, models);
  // Another config may show another source: every model is read anew, at once.
  const isSameSource = Buffer.compare(before.config, config) === 0;
  const backfill = isSameSource ? change.setup.backfill : models.map(({ model }) => model);
  return {
    ...kept,
    config,
    schedule,
    guard,
    ...(budget === undefined ? {} : { budget }),
    ...(sealed === undefined ? {} : { sealedCredentials: sealed }),
    ...change,
    setup: { ...change.setup, backfill },
    catalogue,
    updateTime: now,
  };
}

function exists(key: ConnectionKey): TidemarkError {
  return new TidemarkError('CONNECTION_EXISTS', `a connection named ${key.id} exists already`);
}

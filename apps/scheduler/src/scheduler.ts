import {
  ConnectionServiceDefinition,
  IdentityServiceDefinition,
  SyncServiceDefinition,
} from '@tidemark/contracts';
import { Keyring } from '@tidemark/model';
import { bind, fastDefinition, type ServiceBinding } from '@tidemark/rpc';
import { Resealing, type Logger, type Part } from '@tidemark/runtime';
import { AgendaSchedules } from './agenda.js';
import { Identity } from './api-keys.js';
import type { SchedulerConfig } from './config.js';
import type { ConnectionKey } from './connection.js';
import { ConnectionAdministration } from './connection-administration.js';
import { ConnectionRemoval } from './connection-removal.js';
import { ConnectionServiceHandler } from './connection-service.js';
import { ConnectionSetup } from './connection-setup.js';
import { ConnectionStates } from './connection-states.js';
import { ConnectionStatuses } from './connection-statuses.js';
import { Connectors } from './connectors.js';
import { IdentityServiceHandler } from './identity-service.js';
import { Janitor } from './janitor.js';
import { MongoApiKeys } from './mongo-api-keys.js';
import type { ControlDatabase } from './mongo-collections.js';
import { MongoCadences } from './mongo-cadences.js';
import { MongoConnections } from './mongo-connections.js';
import { MongoLeases } from './mongo-leases.js';
import { MongoRateBudgets } from './mongo-rate-budgets.js';
import { RunMoves } from './mongo-run-moves.js';
import { MongoRuns } from './mongo-runs.js';
import { MongoSealedSecrets } from './mongo-sealed-secrets.js';
import { MongoUptime } from './mongo-uptime.js';
import { PacedReads } from './paced-read.js';
import { Pacer } from './pacer.js';
import { Retention } from './retention.js';
import { RunActions } from './run-actions.js';
import { RunNews } from './run-news.js';
import { RunRequests } from './run-requests.js';
import { RunWatches } from './run-watch.js';
import { ScopeAdministration } from './scope-administration.js';
import { ScopePurges } from './scope-purge.js';
import { SourceTargets } from './source-targets.js';
import { StoreClient } from './store-client.js';
import { SyncPlanner } from './sync-planner.js';
import { SyncServiceHandler } from './sync-service.js';
import { SyncWorker } from './sync-worker.js';

/** The settings that the scheduler's parts need. */
export type SchedulerSettings = Pick<
  SchedulerConfig,
  | 'internalToken'
  | 'storeAddress'
  | 'connectors'
  | 'masterKey'
  | 'previousMasterKeys'
  | 'bootstrapApiKey'
  | 'leaseMs'
  | 'silenceMs'
  | 'slots'
  | 'limits'
>;

/** The scheduler's services, and the parts that work behind them, in the order in which they start. */
export interface Scheduler {
  readonly services: readonly ServiceBinding[];
  readonly parts: readonly Part[];
}

/** Puts the scheduler together. Prepares the database; the parts are the caller's to start and stop. Throws KEY_UNAVAILABLE. */
export async function createScheduler(
  db: ControlDatabase,
  settings: SchedulerSettings,
  logger: Logger,
): Promise<Scheduler> {
  await db.prepare();
  const connections = new MongoConnections(db);
  const runs = new MongoRuns(db);
  const leases = new MongoLeases(db, settings.leaseMs);
  const keyring = new Keyring(settings.masterKey, settings.previousMasterKeys);
  const secrets = new MongoSealedSecrets(db);
  const hashKey = await secrets.apiKeyHashKey(keyring, settings.masterKey);
  const identity = new Identity(new MongoApiKeys(db), hashKey);
  const targets = new SourceTargets(keyring);
  const store = new StoreClient(settings.storeAddress, settings.internalToken);
  const connectors = new Connectors(settings.connectors, settings.internalToken);
  const pacer = new Pacer(new MongoRateBudgets(db), logger);
  const schedules = new AgendaSchedules(db.db, logger);
  // Those of other processes see that a run waits.
  const wake = (): void => worker.poke();
  const actions = new RunActions(runs, wake, (key) => planner.replan(key));
  const cadences = new MongoCadences(db);
  const uptime = new MongoUptime(db, logger);
  const requests = new RunRequests(runs, cadences, wake);
  const planner = new SyncPlanner({ connections, runs, cadences, uptime, schedules, requests, logger });
  const states = new ConnectionStates(connections, actions);
  const purges = new ScopePurges(connections, store, logger);
  const setup = new ConnectionSetup(
    connections,
    store,
    schedules,
    cadences,
    planner,
    requests,
    actions,
    purges,
  );
  const removal = new ConnectionRemoval(connections, runs, actions, schedules, store);
  const administration = new ConnectionAdministration({
    connections,
    connectors,
    targets,
    setup,
    removal,
    states,
    planner,
    logger,
  });
  const scopes = new ScopeAdministration(connections, states, setup, store);
  const statuses = new ConnectionStatuses(connections, runs, cadences, planner, store, connectors);
  const workerParts = {
    runs,
    connections,
    store,
    reads: new PacedReads(connectors, pacer),
    targets,
    logger,
    leases,
    requests,
    states,
    cadences,
    planner,
    leaseMs: settings.leaseMs,
    silenceMs: settings.silenceMs,
    slots: settings.slots,
    limits: settings.limits,
  };
  const worker = new SyncWorker(workerParts);
  const watches = new RunWatches(actions);
  const news = new RunNews(() => worker.poke());
  const moves = new RunMoves(db, {
    onMove: (run, state) => {
      watches.moved(run, state);
      news.moved(run, state);
    },
    onError: (error) => logger.warn({ error }, 'the watch on runs broke off and is opened again'),
  });
  const janitor = new Janitor(connections, setup, removal, purges, logger);
  const retention = new Retention(connections, store, logger);
  const resealing = new Resealing(secrets, keyring, logger);
  if (settings.bootstrapApiKey !== undefined) await identity.bootstrap(settings.bootstrapApiKey);

  const wakeUps = {
    onConnection: (connection: ConnectionKey) => planner.plan(connection),
  };
  return {
    services: [
      bind(
        fastDefinition(ConnectionServiceDefinition),
        new ConnectionServiceHandler({
          connections,
          connectors,
          administration,
          scopes,
          removal,
          states,
          statuses,
          planner,
        }),
      ),
      bind(
        fastDefinition(SyncServiceDefinition),
        new SyncServiceHandler({ runs, requests, actions, watches, states }),
      ),
      bind(fastDefinition(IdentityServiceDefinition), new IdentityServiceHandler(identity)),
    ],
    parts: [
      {
        name: 'clients',
        start: () => undefined,
        stop: async () => {
          await pacer.close();
          store.close();
          connectors.close();
        },
      },
      { name: 'uptime', start: () => uptime.start(), stop: () => uptime.stop() },
      { name: 'schedules', start: () => schedules.start(wakeUps), stop: () => schedules.stop() },
      { name: 'planner', start: () => undefined, stop: () => planner.stop() },
      {
        name: 'moves',
        start: () => moves.start(),
        stop: async () => {
          await moves.stop();
          news.stop();
        },
      },
      { name: 'worker', start: () => worker.start(), stop: () => worker.stop() },
      { name: 'purges', start: () => undefined, stop: () => purges.stop() },
      { name: 'retention', start: () => retention.start(), stop: () => retention.stop() },
      { name: 'resealing', start: () => resealing.start(), stop: () => resealing.stop() },
      { name: 'janitor', start: () => janitor.start(), stop: () => janitor.stop() },
    ],
  };
}

import type {
  CheckConnectionRequest,
  CheckConnectionResponse,
  ConnectionSpec,
  ConnectorSummary,
  CreateConnectionRequest,
  CreateConnectionResponse,
  DeleteConnectionRequest,
  DeleteConnectionResponse,
  DescribeConnectorRequest,
  DescribeConnectorResponse,
  DiscoverConnectionRequest,
  DiscoverConnectionResponse,
  GetConnectionRequest,
  GetConnectionResponse,
  GetStatusRequest,
  GetStatusResponse,
  GetScopeRequest,
  GetScopeResponse,
  ListConnectionsRequest,
  ListConnectionsResponse,
  ListConnectorsResponse,
  PauseConnectionRequest,
  PauseConnectionResponse,
  ResumeConnectionRequest,
  ResumeConnectionResponse,
  SetScopeRequest,
  SetScopeResponse,
  UpdateConnectionRequest,
  UpdateConnectionResponse,
} from '@tidemark/contracts';
import { isConnectionId, isTidemarkError, TidemarkError } from '@tidemark/model';
import { tenantOf, type CallContext } from '@tidemark/rpc';
import type { ConnectionAdministration } from './connection-administration.js';
import {
  fromBudgetMessage,
  fromGuardMessage,
  fromScheduleMessage,
  toConnectionMessage,
  toModelMessage,
  toScopeMessage,
} from './connection-messages.js';
import type { ConnectionRemoval } from './connection-removal.js';
import type { ConnectionRequest } from './connection-request.js';
import type { ConnectionStates } from './connection-states.js';
import type { ConnectionStatuses } from './connection-statuses.js';
import type { Connections } from './connections.js';
import type { Connectors } from './connectors.js';
import { readPage } from './paging.js';
import type { ScopeAdministration } from './scope-administration.js';
import type { SyncPlanner } from './sync-planner.js';

type Context = Pick<CallContext, 'metadata'>;

const MAX_PAGE = 100;

/** What the service needs. */
export interface ConnectionServiceParts {
  readonly connections: Connections;
  readonly connectors: Connectors;
  readonly administration: ConnectionAdministration;
  readonly scopes: ScopeAdministration;
  readonly removal: ConnectionRemoval;
  readonly states: ConnectionStates;
  readonly statuses: ConnectionStatuses;
  readonly planner: Pick<SyncPlanner, 'plan'>;
}

/** ConnectionService; the tenant comes with the call. */
export class ConnectionServiceHandler {
  constructor(private readonly parts: ConnectionServiceParts) {}

  async listConnectors(): Promise<ListConnectorsResponse> {
    const { connectors } = this.parts;
    return {
      connectors: await Promise.all(connectors.names().map((name) => summarizeConnector(connectors, name))),
    };
  }

  async describeConnector({ connector }: DescribeConnectorRequest): Promise<DescribeConnectorResponse> {
    return { ...(await this.parts.connectors.describe(connector)), name: connector };
  }

  async createConnection(
    request: CreateConnectionRequest,
    context: Context,
  ): Promise<CreateConnectionResponse> {
    const { connection, runs } = await this.parts.administration.create(
      toRequest(request.spec, context),
      request.withoutSync,
    );
    return { connection: toConnectionMessage(connection), runIds: runs.map(({ id }) => id) };
  }

  async getConnection(request: GetConnectionRequest, context: Context): Promise<GetConnectionResponse> {
    return { connection: toConnectionMessage(await this.parts.states.find(keyOf(request, context))) };
  }

  async listConnections(request: ListConnectionsRequest, context: Context): Promise<ListConnectionsResponse> {
    const { limit, after } = readPage(request, { most: MAX_PAGE, byDefault: MAX_PAGE }, isConnectionId);
    const found = await this.parts.connections.list(tenantOf(context), limit + 1, after);
    const page = found.slice(0, limit);
    return {
      connections: page.map(toConnectionMessage),
      nextPageToken: found.length > limit ? (page.at(-1)?.id ?? '') : '',
    };
  }

  async updateConnection(
    request: UpdateConnectionRequest,
    context: Context,
  ): Promise<UpdateConnectionResponse> {
    const { connection, runs } = await this.parts.administration.update(toRequest(request.spec, context));
    return { connection: toConnectionMessage(connection), runIds: runs.map(({ id }) => id) };
  }

  async getScope(request: GetScopeRequest, context: Context): Promise<GetScopeResponse> {
    const { scope, purging, receipts } = await this.parts.scopes.get(keyOf(request, context));
    return { scope: toScopeMessage(scope), purging, receipts };
  }

  async setScope(request: SetScopeRequest, context: Context): Promise<SetScopeResponse> {
    if (request.scope === undefined) throw required('scope');
    const { models, revision } = request.scope;
    const result = await this.parts.scopes.set(keyOf(request, context), models, Number(revision));
    const { scope, purging, runs } = result;
    return { scope: toScopeMessage(scope), purging, runIds: runs.map(({ id }) => id) };
  }

  async deleteConnection(
    request: DeleteConnectionRequest,
    context: Context,
  ): Promise<DeleteConnectionResponse> {
    return { removedRecords: BigInt(await this.parts.removal.remove(keyOf(request, context))) };
  }

  async checkConnection(request: CheckConnectionRequest, context: Context): Promise<CheckConnectionResponse> {
    const problems = await this.parts.administration.check(keyOf(request, context));
    return { ok: problems.length === 0, problems: [...problems] };
  }

  async discoverConnection(
    request: DiscoverConnectionRequest,
    context: Context,
  ): Promise<DiscoverConnectionResponse> {
    const models = await this.parts.administration.discover(keyOf(request, context));
    return { models: models.map(toModelMessage) };
  }

  async pauseConnection(request: PauseConnectionRequest, context: Context): Promise<PauseConnectionResponse> {
    return { connection: toConnectionMessage(await this.parts.states.pause(keyOf(request, context))) };
  }

  async resumeConnection(
    request: ResumeConnectionRequest,
    context: Context,
  ): Promise<ResumeConnectionResponse> {
    const connection = await this.parts.states.resume(keyOf(request, context));
    await this.parts.planner.plan(connection);
    return { connection: toConnectionMessage(connection) };
  }

  async getStatus(request: GetStatusRequest, context: Context): Promise<GetStatusResponse> {
    const { states, statuses } = this.parts;
    if (request.connectionId === '') return { connections: await statuses.ofTenant(tenantOf(context)) };
    return { connections: [await statuses.of(await states.find(keyOf(request, context)))] };
  }
}

function keyOf(
  { connectionId }: { connectionId: string },
  context: Context,
): { tenantId: string; id: string } {
  return { tenantId: tenantOf(context), id: connectionId };
}

function toRequest(spec: ConnectionSpec | undefined, context: Context): ConnectionRequest {
  if (spec === undefined) throw required('spec');
  return {
    key: { tenantId: tenantOf(context), id: spec.id },
    connector: spec.connector,
    config: spec.config,
    credentials: spec.credentials,
    scope: spec.scope?.models,
    schedule: fromScheduleMessage(spec.schedule),
    guard: fromGuardMessage(spec.guard),
    budget: fromBudgetMessage(spec.budget),
  };
}

function required(field: string): TidemarkError {
  const description = 'is required';
  return new TidemarkError('REQUEST_INVALID', `${field} ${description}`, {
    violations: [{ field, description }],
  });
}

async function summarizeConnector(connectors: Connectors, name: string): Promise<ConnectorSummary> {
  try {
    const { description, version } = await connectors.describe(name);
    return { name, description, version, reachable: true };
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    return { name, description: '', version: '', reachable: false };
  }
}

import {
  SyncKind as WireKind,
  type ApproveSyncRunRequest,
  type ApproveSyncRunResponse,
  type CancelSyncRunRequest,
  type CancelSyncRunResponse,
  type DiscardSyncRunRequest,
  type DiscardSyncRunResponse,
  type GetSyncRunRequest,
  type GetSyncRunResponse,
  type ListSyncRunsRequest,
  type ListSyncRunsResponse,
  type PauseSyncRunRequest,
  type PauseSyncRunResponse,
  type ResumeSyncRunRequest,
  type ResumeSyncRunResponse,
  type RunSyncRequest,
  type RunSyncResponse,
  type SyncRun,
  type WatchSyncRunRequest,
  type WatchSyncRunResponse,
} from '@tidemark/contracts';
import { TidemarkError, type RunAction, type SyncKind } from '@tidemark/model';
import { tenantOf, type CallContext } from '@tidemark/rpc';
import type { Connection } from './connection.js';
import type { ConnectionStates } from './connection-states.js';
import { readPage } from './paging.js';
import type { RunActions } from './run-actions.js';
import { toRunMessage } from './run-messages.js';
import type { RunRequests } from './run-requests.js';
import type { RunWatches } from './run-watch.js';
import type { Runs } from './runs.js';

type Context = Pick<CallContext, 'metadata' | 'signal'>;

const PAGE = { most: 200, byDefault: 50 };
const RUN_ID = /^run_[0-9a-f]{32}$/;

/** What the service needs. */
export interface SyncServiceParts {
  readonly runs: Runs;
  readonly requests: RunRequests;
  readonly actions: RunActions;
  readonly watches: RunWatches;
  readonly states: ConnectionStates;
}

/** SyncService; the tenant comes with the call. */
export class SyncServiceHandler {
  constructor(private readonly parts: SyncServiceParts) {}

  async runSync(request: RunSyncRequest, context: Context): Promise<RunSyncResponse> {
    const connection = await this.parts.states.findActive({
      tenantId: tenantOf(context),
      id: request.connectionId,
    });
    const models = modelsInScope(connection, request.models).map((model) => ({
      model,
      kind: kindOf(connection, model, request.kind),
    }));
    const runs = await this.parts.requests.start(connection, models, 'MANUAL');
    return { runs: runs.map((run) => toRunMessage(run, new Date())) };
  }

  async listSyncRuns(request: ListSyncRunsRequest, context: Context): Promise<ListSyncRunsResponse> {
    const tenantId = tenantOf(context);
    const { limit, after } = readPage(request, PAGE, (token) => RUN_ID.test(token));
    const { connectionId } = request;
    if (connectionId !== '') await this.parts.states.find({ tenantId, id: connectionId });
    const found = await this.parts.runs.list({
      tenantId,
      ...(connectionId === '' ? {} : { connectionId }),
      ...(after === undefined ? {} : { before: after }),
      limit: limit + 1,
    });
    const page = found.slice(0, limit);
    const now = new Date();
    return {
      runs: page.map((run) => toRunMessage(run, now)),
      nextPageToken: found.length > limit ? (page.at(-1)?.id ?? '') : '',
    };
  }

  async getSyncRun(request: GetSyncRunRequest, context: Context): Promise<GetSyncRunResponse> {
    return { run: toRunMessage(await this.parts.actions.find(tenantOf(context), request.runId), new Date()) };
  }

  async *watchSyncRun(request: WatchSyncRunRequest, context: Context): AsyncGenerator<WatchSyncRunResponse> {
    for await (const run of this.parts.watches.watch(tenantOf(context), request.runId, context.signal)) {
      yield { run: toRunMessage(run, new Date()) };
    }
  }

  async pauseSyncRun(request: PauseSyncRunRequest, context: Context): Promise<PauseSyncRunResponse> {
    return { run: await this.act(request, context, 'PAUSE') };
  }

  async resumeSyncRun(request: ResumeSyncRunRequest, context: Context): Promise<ResumeSyncRunResponse> {
    return { run: await this.actOnActive(request, context, 'RESUME') };
  }

  async cancelSyncRun(request: CancelSyncRunRequest, context: Context): Promise<CancelSyncRunResponse> {
    return { run: await this.act(request, context, 'CANCEL') };
  }

  async approveSyncRun(request: ApproveSyncRunRequest, context: Context): Promise<ApproveSyncRunResponse> {
    return { run: await this.actOnActive(request, context, 'APPROVE') };
  }

  async discardSyncRun(request: DiscardSyncRunRequest, context: Context): Promise<DiscardSyncRunResponse> {
    return { run: await this.actOnActive(request, context, 'DISCARD') };
  }

  /** What lets a run go on needs a connection that syncs. */
  private async actOnActive(
    request: { runId: string },
    context: Context,
    action: RunAction,
  ): Promise<SyncRun> {
    const tenantId = tenantOf(context);
    const { connectionId } = await this.parts.actions.find(tenantId, request.runId);
    await this.parts.states.findActive({ tenantId, id: connectionId });
    return this.act(request, context, action);
  }

  private async act({ runId }: { runId: string }, context: Context, action: RunAction): Promise<SyncRun> {
    return toRunMessage(await this.parts.actions.act(tenantOf(context), runId, action), new Date());
  }
}

function modelsInScope({ scope }: Connection, wanted: readonly string[]): string[] {
  const inScope = scope.models.map(({ model }) => model);
  if (wanted.length === 0) return inScope;
  const unknown = wanted.find((model) => !inScope.includes(model));
  if (unknown !== undefined) {
    const message = `the connection has no model ${unknown} in its scope; it has ${inScope.slice(0, 20).join(', ')}`;
    throw new TidemarkError('MODEL_NOT_FOUND', message);
  }
  return [...new Set(wanted)];
}

function kindOf({ catalogue }: Connection, model: string, kind: WireKind): SyncKind {
  const delta = catalogue.find(({ name }) => name === model)?.capabilities.delta ?? false;
  switch (kind) {
    case WireKind.FULL:
      return 'FULL';
    case WireKind.UNSPECIFIED:
      return delta ? 'DELTA' : 'FULL';
    case WireKind.DELTA:
      if (delta) return 'DELTA';
      throw new TidemarkError(
        'FEATURE_UNSUPPORTED',
        `the source offers no delta of ${model}; run a full sync`,
      );
    case WireKind.WEBHOOK:
    case WireKind.UNRECOGNIZED: {
      const description = 'is FULL or DELTA';
      throw new TidemarkError('REQUEST_INVALID', `kind ${description}`, {
        violations: [{ field: 'kind', description }],
      });
    }
  }
}

import type {
  GetRecordRequest,
  GetRecordResponse,
  ListQuarantineRequest,
  ListQuarantineResponse,
  ListRecordVersionsRequest,
  ListRecordVersionsResponse,
  StreamRecordsRequest,
  StreamRecordsResponse,
  WatchChangesRequest,
  WatchChangesResponse,
} from '@tidemark/contracts';
import { tenantOf, type CallContext } from '@tidemark/rpc';
import type { KeyObject } from 'node:crypto';
import type { KeyCabinet } from './connection-keys.js';
import { ChangeWatch } from './change-watch.js';
import type { MongoChangeFeed } from './mongo-change-feed.js';
import type { ConnectionDocument, StoreDatabase } from './mongo-collections.js';
import { modelScope, type MongoConnections } from './mongo-connections.js';
import { listQuarantine } from './mongo-quarantine.js';
import type { MongoHistory } from './mongo-history.js';
import type { MongoRecordReader } from './mongo-record-reader.js';
import { toQuarantineMessage, toRecordMessage, toVersionMessage } from './record-messages.js';
import { RecordFilter } from './record-filter.js';
import { invalidField, moment, pageSize, requestedFilter } from './record-request.js';
import { RecordStream } from './record-stream.js';
import { StreamStarts } from './stream-start.js';
import { WatchList } from './watch-list.js';

/** The parts that reading needs. */
export interface ReadParts {
  readonly db: StoreDatabase;
  readonly connections: MongoConnections;
  readonly cabinet: KeyCabinet;
  readonly reader: MongoRecordReader;
  readonly history: MongoHistory;
  readonly feed: MongoChangeFeed;
  readonly cursorKey: KeyObject;
}

/** RecordService on MongoDB, for the tenant that the call was made for. */
export class RecordServiceHandler {
  constructor(readonly parts: ReadParts) {}

  async *streamRecords(
    request: StreamRecordsRequest,
    context: CallContext,
  ): AsyncGenerator<StreamRecordsResponse> {
    const connection = await this.#connection(request, context);
    const { reader, history, cursorKey, cabinet } = this.parts;
    const starts = new StreamStarts(reader, history, cursorKey);
    const filter = (models: readonly string[]): RecordFilter | undefined => {
      const terms = requestedFilter(connection, models, request.filter);
      return terms.length === 0 ? undefined : new RecordFilter(terms, models, cabinet.open(connection));
    };
    const parts = { reader, history, starts, cursorKey, filter };
    yield* new RecordStream(parts, connection, request, context.signal).pages();
  }

  async *watchChanges(
    request: WatchChangesRequest,
    context: CallContext,
  ): AsyncGenerator<WatchChangesResponse> {
    const list = new WatchList(this.parts, tenantOf(context), request);
    yield* new ChangeWatch(list, context.signal).responses();
  }

  async getRecord(request: GetRecordRequest, context: CallContext): Promise<GetRecordResponse> {
    const connection = await this.#connection(request, context);
    modelScope(connection, request.model);
    const { model, id, at } = request;
    const [version, payload] = await this.parts.history.get(connection, model, id, toPoint(at));
    return { record: toRecordMessage(version, connection.name, id, payload) };
  }

  async listRecordVersions(
    request: ListRecordVersionsRequest,
    context: CallContext,
  ): Promise<ListRecordVersionsResponse> {
    const connection = await this.#connection(request, context);
    const { model, id } = request;
    modelScope(connection, model);
    const size = pageSize(request.pageSize, 'page_size', 1_000, 100);
    const below = request.pageToken === '' ? Number.MAX_SAFE_INTEGER : toNumber(request.pageToken);
    const found = await this.parts.history.versions(connection, model, id, size, below);
    const versions = found.versions.map((version) => toVersionMessage(version, connection.name));
    return { versions, nextPageToken: found.more ? String(found.versions.at(-1)?.[0].v ?? '') : '' };
  }

  async listQuarantine(
    request: ListQuarantineRequest,
    context: CallContext,
  ): Promise<ListQuarantineResponse> {
    const connection = await this.#connection(request, context);
    const size = pageSize(request.pageSize, 'page_size', 1_000, 100);
    const after =
      request.pageToken === '' ? undefined : Buffer.from(request.pageToken, 'base64url').toString();
    const found = await listQuarantine(this.parts.db, connection._id, size + 1, after);
    const page = found.slice(0, size);
    const token = found.length > size ? Buffer.from(page.at(-1)?._id ?? '').toString('base64url') : '';
    return {
      records: page.map((document) => toQuarantineMessage(document, connection.name)),
      nextPageToken: token,
    };
  }

  async #connection(request: { connectionId: string }, context: CallContext): Promise<ConnectionDocument> {
    return this.parts.connections.get(tenantOf(context), request.connectionId);
  }
}

function toPoint(at: GetRecordRequest['at']): { asOf?: Date; version?: number } {
  switch (at?.$case) {
    case undefined:
      return {};
    case 'asOf':
      return { asOf: moment(at.value, 'as_of') };
    case 'version':
      if (at.value < 1n) throw invalidField('version', 'starts at 1');
      return { version: Number(at.value) };
  }
}

function toNumber(token: string): number {
  if (!/^[1-9]\d{0,15}$/.test(token)) throw invalidField('page_token', 'is not one that was returned');
  return Number(token);
}

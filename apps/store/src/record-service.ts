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
import { ChangeWatch } from './change-watch.js';
import type { MongoChangeFeed } from './mongo-change-feed.js';
import type { ConnectionDocument, StoreDatabase } from './mongo-collections.js';
import { modelScope, type MongoConnections } from './mongo-connections.js';
import { listQuarantine } from './mongo-quarantine.js';
import type { MongoRecordReader } from './mongo-record-reader.js';
import { toQuarantineMessage, toRecordMessage, toVersionMessage } from './record-messages.js';
import { invalidField, moment, pageSize } from './record-request.js';
import { RecordStream } from './record-stream.js';

/** The parts that reading needs. */
export interface ReadParts {
  readonly db: StoreDatabase;
  readonly connections: MongoConnections;
  readonly reader: MongoRecordReader;
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
    const { reader, cursorKey } = this.parts;
    yield* new RecordStream(reader, cursorKey, connection, request, context.signal).pages();
  }

  async *watchChanges(
    request: WatchChangesRequest,
    context: CallContext,
  ): AsyncGenerator<WatchChangesResponse> {
    const { feed, reader, connections, cursorKey } = this.parts;
    const watch = new ChangeWatch(
      feed,
      reader,
      connections,
      cursorKey,
      tenantOf(context),
      request,
      context.signal,
    );
    yield* watch.responses();
  }

  async getRecord(request: GetRecordRequest, context: CallContext): Promise<GetRecordResponse> {
    const connection = await this.#connection(request, context);
    modelScope(connection, request.model);
    const version = await this.parts.reader.get(
      connection._id,
      request.model,
      request.id,
      toPoint(request.at),
    );
    return { record: toRecordMessage(version, connection.name, request.id, (payload) => payload) };
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
    const found = await this.parts.reader.versions(connection._id, model, id, size + 1, below);
    const versions = found.slice(0, size).map((version) => toVersionMessage(version, connection.name));
    const more = found.length > size;
    return { versions, nextPageToken: more ? String(found[size - 1]?.v ?? '') : '' };
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

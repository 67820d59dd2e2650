import type {
  Record as RecordMessage,
  StreamRecordsRequest,
  StreamRecordsResponse,
} from '@tidemark/contracts';
import { encodeCursor } from '@tidemark/model';
import type { KeyObject } from 'node:crypto';
import { OPERATION, type ConnectionDocument } from './mongo-collections.js';
import type { MongoHistory } from './mongo-history.js';
import type { Payload } from './mongo-packs.js';
import type { MongoRecordReader, RecordGroup } from './mongo-record-reader.js';
import type { RecordFilter } from './record-filter.js';
import { toRecordMessage } from './record-messages.js';
import type { RecordQuery } from './record-query.js';
import { fieldCutter, invalidField, pageSize, requestedModels } from './record-request.js';
import type { StreamStart, StreamStarts } from './stream-start.js';
import { expired } from './horizon.js';
import type { StoredVersion } from './stored-version.js';

const PAGE_BYTES = 1024 * 1024;
/** A full read goes on to what was committed while it ran, so often at most. */
const MAX_ROUNDS = 8;

/** What reading records needs. */
export interface StreamParts {
  readonly reader: MongoRecordReader;
  readonly history: MongoHistory;
  readonly starts: StreamStarts;
  readonly cursorKey: KeyObject;
  readonly filter: (models: readonly string[]) => RecordFilter | undefined;
}

type Cut = (payload: Uint8Array) => Uint8Array;

/** One StreamRecords call (R17): pages in sequence order up to a head fixed before they are read. */
export class RecordStream {
  #sent = 0n;
  #since = 0;

  constructor(
    readonly parts: StreamParts,
    readonly connection: ConnectionDocument,
    readonly request: StreamRecordsRequest,
    readonly signal: AbortSignal,
  ) {}

  /** The pages; the last message carries the watermark. */
  async *pages(): AsyncGenerator<StreamRecordsResponse> {
    const { request, connection, parts } = this;
    if (request.limit < 0n) throw invalidField('limit', '0 for none, or a positive number');
    const models = requestedModels(connection, request.models);
    if (models.length === 0) throw invalidField('models', 'the connection has no model in scope');
    const cut = fieldCutter(connection, models, request.fields);
    const pager = new Pager(pageSize(request.pageSize, 'page_size'), connection.name, cut);
    const filter = parts.filter(models);
    const start = await parts.starts.of(connection, request);
    this.#since = start.since;
    const { excludeDeleted } = request;
    let { after, clock } = start;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const query = { models, after, upTo: clock.seq, excludeDeleted, filter, signal: this.signal };
      const next = yield* this.#read(pager, query, start.asOf);
      if (next !== undefined) {
        yield await this.#end(pager, start, pager.lastSequence, new Date(next.getTime() - 1));
        return;
      }
      after = clock.seq;
      if (request.start !== undefined || start.asOf) break;
      const now = await parts.reader.clock(connection._id);
      if (now.seq === after) break;
      clock = now;
    }
    yield await this.#end(pager, start, after, clock.at);
  }

  /** Sends the pages of a range; returns the time of the record at which the limit cut it off, if it did. */
  async *#read(
    pager: Pager,
    query: RecordQuery,
    asOf: boolean,
  ): AsyncGenerator<StreamRecordsResponse, Date | undefined> {
    const { limit } = this.request;
    for await (const { documents, payloadOf } of this.#groups(query, asOf)) {
      for (const document of documents) {
        const payload = payloadOf(document);
        if (payload === undefined && document.o !== OPERATION.DELETED)
          throw await this.parts.reader.packs.lost(this.connection, document.m);
        if (payload !== undefined && query.filter?.matches(payload) === false) continue;
        if (limit > 0n && this.#sent === limit) return document.at;
        pager.add(document, document.id, payload);
        this.#sent++;
        if (pager.full)
          yield { ...pager.take(), cursor: this.#cursor(pager.lastSequence), completeThrough: undefined };
      }
    }
    return undefined;
  }

  #groups(query: RecordQuery, asOf: boolean): AsyncIterable<RecordGroup> {
    const { history, reader } = this.parts;
    return asOf ? history.asOf(this.connection, query) : reader.stream(this.connection, query);
  }

  /**
   * The last message. What was read of a connection that is being removed, or while retention removed what it should have
   * held, is not complete through anything.
   */
  async #end(
    pager: Pager,
    { since, clock, asOf }: StreamStart,
    sequence: number,
    completeThrough: Date,
  ): Promise<StreamRecordsResponse> {
    const { horizon } = await this.parts.reader.current(this.connection);
    if (asOf ? clock.seq < horizon.history : since < horizon.log) throw expired();
    return { ...pager.take(), cursor: this.#cursor(sequence), completeThrough };
  }

  #cursor(sequence: number): string {
    const { _id: generation, tenant: tenantId, name: connectionId } = this.connection;
    return encodeCursor(
      { generation, sequence, since: this.#since },
      { tenantId, connectionId },
      this.parts.cursorKey,
    );
  }
}

/** Gathers records into a page of bounded number and size. */
class Pager {
  lastSequence = 0;
  #records: RecordMessage[] = [];
  #bytes = 0;

  constructor(
    readonly size: number,
    readonly connectionId: string,
    readonly cut: Cut,
  ) {}

  get full(): boolean {
    return this.#records.length >= this.size || this.#bytes >= PAGE_BYTES;
  }

  add(document: StoredVersion, id: string, payload: Payload): void {
    const message = toRecordMessage(document, this.connectionId, id, payload && this.cut(payload));
    this.#records.push(message);
    this.#bytes += message.data.byteLength;
    this.lastSequence = document.s;
  }

  take(): { records: RecordMessage[] } {
    const records = this.#records;
    this.#records = [];
    this.#bytes = 0;
    return { records };
  }
}

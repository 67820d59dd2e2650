import type {
  Record as RecordMessage,
  StreamRecordsRequest,
  StreamRecordsResponse,
} from '@tidemark/contracts';
import { checkPosition, decodeCursor, encodeCursor } from '@tidemark/model';
import type { KeyObject } from 'node:crypto';
import {
  modelPrefix,
  type ClockDocument,
  type ConnectionDocument,
  type RecordDocument,
} from './mongo-collections.js';
import type { MongoRecordReader } from './mongo-record-reader.js';
import { toRecordMessage } from './record-messages.js';
import {
  checkStreamRequest,
  fieldCutter,
  invalidField,
  moment,
  pageSize,
  requestedModels,
} from './record-request.js';

const PAGE_BYTES = 1024 * 1024;
/** How far a reader's clock may be ahead before it is told so. */
const CLOCK_TOLERANCE_MS = 60_000;
/** A full read goes on to what was committed while it ran, so often at most. */
const MAX_ROUNDS = 8;

interface Start {
  readonly after: number;
  readonly clock: ClockDocument;
}

/** One StreamRecords call (R17): pages in sequence order up to a head fixed before they are read. */
export class RecordStream {
  readonly #owner: { tenantId: string; connectionId: string };
  #sent = 0n;

  constructor(
    readonly reader: MongoRecordReader,
    readonly cursorKey: KeyObject,
    readonly connection: ConnectionDocument,
    readonly request: StreamRecordsRequest,
    readonly signal: AbortSignal,
  ) {
    this.#owner = { tenantId: connection.tenant, connectionId: connection.name };
  }

  /** The pages; the last message carries the watermark. */
  async *pages(): AsyncGenerator<StreamRecordsResponse> {
    const { request, connection } = this;
    checkStreamRequest(request);
    const models = requestedModels(connection, request.models);
    const size = pageSize(request.pageSize, 'page_size');
    const pager = new Pager(size, this.#toMessage(models));
    let { after, clock } = await this.#start();
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const next = yield* this.#read(pager, models, after, clock.seq);
      if (next !== undefined) {
        yield await this.#end(pager, pager.lastSequence, new Date(next.at.getTime() - 1));
        return;
      }
      after = clock.seq;
      if (request.start !== undefined) break;
      const now = await this.reader.clock(connection._id);
      if (now.seq === after) break;
      clock = now;
    }
    yield await this.#end(pager, after, clock.at);
  }

  async #start(): Promise<Start> {
    const { start } = this.request;
    const uid = this.connection._id;
    if (start?.$case === 'cursor') {
      const position = decodeCursor(start.value, this.#owner, this.cursorKey);
      const clock = await this.reader.clock(uid);
      checkPosition(position, uid, clock.seq);
      return { after: position.sequence, clock };
    }
    const updatedAfter = start === undefined ? undefined : moment(start.value, 'updated_after');
    const clock = await this.reader.fence(uid);
    if (updatedAfter !== undefined && updatedAfter.getTime() > clock.at.getTime() + CLOCK_TOLERANCE_MS) {
      throw invalidField(
        'updated_after',
        'lies in the future; use `completeThrough` of the last read, or a moment that has been',
      );
    }
    return {
      after: updatedAfter === undefined ? 0 : await this.reader.sequenceAt(uid, updatedAfter, clock.seq),
      clock,
    };
  }

  /** Sends the pages of a range; returns the record at which the limit cut it off, if it did. */
  async *#read(
    pager: Pager,
    models: string[],
    after: number,
    upTo: number,
  ): AsyncGenerator<StreamRecordsResponse, RecordDocument | undefined> {
    if (models.length === 0) throw invalidField('models', 'the connection has no model in scope');
    const { connection, request, signal } = this;
    const query = {
      uid: connection._id,
      models,
      after,
      upTo,
      excludeDeleted: request.excludeDeleted,
      signal,
    };
    for await (const batch of this.reader.stream(query)) {
      for (const document of batch) {
        if (request.limit > 0n && this.#sent === request.limit) return document;
        pager.add(document);
        this.#sent++;
        if (pager.full)
          yield { ...pager.take(), cursor: this.#cursor(pager.lastSequence), completeThrough: undefined };
      }
    }
    return undefined;
  }

  /** The last message. What was read of a connection that is being removed is not complete through anything. */
  async #end(pager: Pager, sequence: number, completeThrough: Date): Promise<StreamRecordsResponse> {
    await this.reader.requireConnection(this.connection._id);
    return { ...pager.take(), cursor: this.#cursor(sequence), completeThrough };
  }

  #cursor(sequence: number): string {
    return encodeCursor({ generation: this.connection._id, sequence }, this.#owner, this.cursorKey);
  }

  #toMessage(models: string[]): (document: RecordDocument) => RecordMessage {
    const { _id: uid, name } = this.connection;
    const cut = fieldCutter(this.connection, models, this.request.fields);
    const prefixes = new Map(models.map((model) => [model, modelPrefix(uid, model).length]));
    return (document) => toRecordMessage(document, name, document._id.slice(prefixes.get(document.m)), cut);
  }
}

/** Gathers records into a page of bounded number and size. */
class Pager {
  lastSequence = 0;
  #records: RecordMessage[] = [];
  #bytes = 0;

  constructor(
    readonly size: number,
    readonly toMessage: (document: RecordDocument) => RecordMessage,
  ) {}

  get full(): boolean {
    return this.#records.length >= this.size || this.#bytes >= PAGE_BYTES;
  }

  add(document: RecordDocument): void {
    const message = this.toMessage(document);
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

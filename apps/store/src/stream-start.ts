import type { StreamRecordsRequest } from '@tidemark/contracts';
import { checkPosition, decodeCursor } from '@tidemark/model';
import type { KeyObject } from 'node:crypto';
import { expired } from './horizon.js';
import type { ClockDocument, ConnectionDocument } from './mongo-collections.js';
import type { MongoHistory } from './mongo-history.js';
import type { MongoRecordReader } from './mongo-record-reader.js';
import { invalidField, moment } from './record-request.js';

/** How far a reader's clock may be ahead before it is told so. */
const CLOCK_TOLERANCE_MS = 60_000;

/** Where a stream of records starts and ends. */
export interface StreamStart {
  /** Sequence after which it starts. */
  readonly after: number;
  /** See Position. */
  readonly since: number;
  /** Where it ends: what is at or below is all committed. */
  readonly clock: Pick<ClockDocument, 'seq' | 'at'>;
  /** Whether it reads what there was at that end, not what there is. */
  readonly asOf: boolean;
}

/** Finds where StreamRecords starts: by a cursor, a moment or from nothing, and where it ends. */
export class StreamStarts {
  constructor(
    readonly reader: MongoRecordReader,
    readonly history: MongoHistory,
    readonly cursorKey: KeyObject,
  ) {}

  /** Throws CURSOR_INVALID, CURSOR_EXPIRED, MUST_RESYNC, REQUEST_INVALID. */
  async of(connection: ConnectionDocument, { start, asOf }: StreamRecordsRequest): Promise<StreamStart> {
    if (asOf !== undefined) return this.#asOf(connection, start, moment(asOf, 'as_of'));
    switch (start?.$case) {
      case 'cursor': {
        const clock = await this.reader.clock(connection._id);
        return { ...(await this.#afterCursor(connection, start.value, clock.seq)), clock, asOf: false };
      }
      case 'updatedAfter':
        return this.#updatedAfter(connection, moment(start.value, 'updated_after'));
      case undefined: {
        const clock = await this.reader.fence(connection._id);
        return { after: 0, since: clock.seq, clock, asOf: false };
      }
    }
  }

  async #afterCursor(
    connection: ConnectionDocument,
    cursor: string,
    head: number,
  ): Promise<Pick<StreamStart, 'after' | 'since'>> {
    const owner = { tenantId: connection.tenant, connectionId: connection.name };
    const position = decodeCursor(cursor, owner, this.cursorKey);
    checkPosition(position, connection._id, head);
    const { horizon } = await this.reader.current(connection);
    if (position.since < horizon.log) throw expired();
    return { after: position.sequence, since: position.since };
  }

  async #updatedAfter(connection: ConnectionDocument, updatedAfter: Date): Promise<StreamStart> {
    const clock = await this.reader.fence(connection._id);
    refuseFuture(updatedAfter, clock.at, 'updated_after');
    const after = await this.reader.sequenceAt(connection._id, updatedAfter, clock.seq);
    const { horizon } = await this.reader.current(connection);
    if (updatedAfter < horizon.logAt) throw expired();
    return { after, since: after, clock, asOf: false };
  }

  async #asOf(
    connection: ConnectionDocument,
    start: StreamRecordsRequest['start'],
    asOf: Date,
  ): Promise<StreamStart> {
    if (start?.$case === 'updatedAfter')
      throw invalidField('updated_after', 'does not go together with as_of; a cursor does');
    const seq = await this.history.sequenceAt(connection, asOf);
    refuseFuture(asOf, (await this.reader.clock(connection._id)).at, 'as_of');
    const from =
      start === undefined ? { after: 0, since: seq } : await this.#afterCursor(connection, start.value, seq);
    return { ...from, clock: { seq, at: asOf }, asOf: true };
  }
}

function refuseFuture(at: Date, now: Date, field: string): void {
  if (at.getTime() <= now.getTime() + CLOCK_TOLERANCE_MS) return;
  const use = field === 'as_of' ? 'use' : 'use `completeThrough` of the last read, or';
  throw invalidField(field, `lies in the future; ${use} a moment that has been`);
}

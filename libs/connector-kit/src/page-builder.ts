import type { KeyObject } from 'node:crypto';
import { RejectReason, type Page, type RejectedRecord, type SourceRecord } from '@tidemark/contracts';
import {
  prepareRecord,
  recordId,
  RejectedRecordError,
  type JsonValue,
  type ScopeNode,
} from '@tidemark/model';
import type { Checkpoints } from './checkpoint.js';
import type { SourceEntry } from './connector.js';

/** Bytes that a record takes on the wire beside its id and payload, at most. */
const RECORD_OVERHEAD_BYTES = 48;

const NOTHING = Buffer.alloc(0);

/** What bounds and shapes the pages of one read. */
export interface PageOptions {
  readonly primaryKey: readonly string[];
  readonly scope: ScopeNode;
  readonly fingerprintKey: KeyObject;
  readonly pageRecords: number;
  readonly pageBytes: number;
  readonly checkpoints: Checkpoints;
  /** Entries rejected before the checkpoint that the read resumed from, without a readable id. */
  readonly unidentified: number;
  /** Where the delta after this read starts, if that is known. */
  readonly deltaCheckpoint: JsonValue | undefined;
  /** Requests after which to break off; undefined: without bound. */
  readonly maxRequests: number | undefined;
}

/**
 * Makes pages of entries: projects each record to the scope, brings it into canonical form and fingerprints it, once,
 * and puts the faulty ones aside.
 */
export class PageBuilder {
  private records: SourceRecord[] = [];
  private rejected: RejectedRecord[] = [];
  private bytes = 0;
  private last: SourceEntry | undefined;
  private unidentifiedCount: number;

  constructor(private readonly options: PageOptions) {
    this.unidentifiedCount = options.unidentified;
  }

  /** Entries of the whole read that were rejected and whose ids could not be read. */
  get unidentified(): number {
    return this.unidentifiedCount;
  }

  /** Adds an entry. Gives back the page before it if the entry no longer fits there. */
  add(entry: SourceEntry): Page | undefined {
    const record = this.prepare(entry);
    const size = 'payload' in record ? record.payload.length + record.id.length + RECORD_OVERHEAD_BYTES : 0;
    const full = this.isFull || this.bytes + size > this.options.pageBytes;
    const page = full ? this.take() : undefined;
    if ('payload' in record) this.records.push(record);
    else {
      this.rejected.push(record);
      if (record.id === undefined) this.unidentifiedCount++;
    }
    this.bytes += size;
    this.last = entry;
    return page;
  }

  /** Whether there is nothing on the page. */
  get isEmpty(): boolean {
    return this.last === undefined;
  }

  /** Whether no further entry fits on the page. */
  get isFull(): boolean {
    return this.count() >= this.options.pageRecords;
  }

  /** The page so far; undefined if there is nothing on it. */
  take(): Page | undefined {
    if (this.last === undefined) return undefined;
    const { checkpoints, deltaCheckpoint } = this.options;
    const checkpoint = checkpoints.encode(this.last.checkpoint(), this.unidentifiedCount, deltaCheckpoint);
    const page = { records: this.records, rejected: this.rejected, checkpoint };
    this.records = [];
    this.rejected = [];
    this.bytes = 0;
    this.last = undefined;
    return page;
  }

  private count(): number {
    return this.records.length + this.rejected.length;
  }

  private prepare(entry: SourceEntry): SourceRecord | RejectedRecord {
    let id: string | undefined;
    try {
      if (entry.value !== undefined) id = recordId(entry.value, this.options.primaryKey);
      if (entry.fault !== undefined) throw entry.fault;
      if (entry.value === undefined || id === undefined)
        throw new Error('a source entry without value and fault');
      if (entry.deleted === true) return { id, payload: NOTHING, fingerprint: NOTHING, deleted: true };
      const { payload, fingerprint } = prepareRecord(
        entry.value,
        this.options.scope,
        this.options.fingerprintKey,
      );
      return { id, payload: Buffer.from(payload), fingerprint, deleted: false };
    } catch (error) {
      if (!(error instanceof RejectedRecordError)) throw error;
      // The entry's own fault tells more than what it did to the id.
      return reject(entry, entry.fault ?? error, id);
    }
  }
}

function reject(entry: SourceEntry, fault: RejectedRecordError, id: string | undefined): RejectedRecord {
  return { id, position: entry.position(), reason: RejectReason[fault.reason], message: fault.message };
}

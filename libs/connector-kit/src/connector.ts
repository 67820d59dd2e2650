import type { JsonValue, RejectedRecordError, ScopeNode } from '@tidemark/model';
import type { z } from 'zod';

/**
 * What the author of a connector writes; `serveConnector` makes a service of it. A connector keeps no state between
 * calls. It throws TidemarkErrors with SOURCE_* reasons, whose messages go to the user: never values, never secrets.
 */
export interface Connector<Config = unknown, Credentials = unknown> {
  /** Example: `file`. */
  readonly name: string;
  /** What it reads, in one sentence. */
  readonly description: string;
  readonly version: string;
  /** Schema of a connection's config; it is served as JSON Schema. */
  readonly config: z.ZodType<Config>;
  /** Schema of a connection's credentials; it is served as JSON Schema. */
  readonly credentials: z.ZodType<Credentials>;
  /** What keeps the source from being read and what to do, a sentence each; empty if all is well. */
  check(source: Source<Config, Credentials>): Promise<readonly string[]>;
  /** The source's models, in order of name. */
  discover(source: Source<Config, Credentials>): Promise<readonly DiscoveredModel[]>;
  /** Starts to read a model completely, or goes on from a checkpoint. */
  read(source: Source<Config, Credentials>, task: ReadTask): Promise<Reading>;
  /**
   * Starts to read what changed in a model since a checkpoint, or goes on from one. Without a checkpoint it reads nothing and says where
   * "now" is. Its bounds come from the source and are inclusive: what changed at the bound is read again.
   */
  readChanges?(source: Source<Config, Credentials>, task: ChangesTask): Promise<Reading>;
}

/** A source as one connection knows it. */
export interface Source<Config, Credentials = unknown> {
  readonly config: Config;
  readonly credentials: Credentials;
  /** Aborts when the caller has gone away. */
  readonly signal: AbortSignal;
}

/** What is asked of a read. */
export interface ReadTask {
  readonly model: string;
  /** The only fields that may leave the connector. The kit applies it; a connector may use it to read less. */
  readonly scope: ScopeNode;
  /** What a SourceEntry of this connector gave as its checkpoint; undefined: from the start. */
  readonly checkpoint: unknown;
}

/** What is asked of a delta. */
export interface ChangesTask extends ReadTask {
  /**
   * The delta checkpoint that an earlier read gave, or what a SourceEntry of this connector's delta gave as its checkpoint;
   * undefined: from now.
   */
  readonly checkpoint: unknown;
  /**
   * How far before its bound to read again at least, in milliseconds, for changes that the source gives out late; undefined: what the
   * connector holds for right. It is 0 when the delta goes on after a page of its own.
   */
  readonly overlapMs: number | undefined;
}

/** A read under way. */
export interface Reading {
  /** Top-level fields that make a record's id. */
  readonly primaryKey: readonly string[];
  /** Records that the source says the model holds, where it says so. */
  readonly expectedRecords?: bigint;
  /**
   * Where the next delta starts, if that is known by now. Of a full read it is taken from the source before the first page, so
   * that the delta brings what changed meanwhile; when the read is resumed, the one that it began with stands.
   */
  readonly deltaCheckpoint?: JsonValue;
  /** The model's entries in the source's order, as many at a time as one piece of I/O gave. */
  readonly entries: AsyncGenerator<readonly SourceEntry[] | SourceDelay, ReadingEnd, undefined>;
  /** Tells the requests that this read makes, if the source counts them; otherwise each page counts as one. */
  readonly meter?: RequestMeter;
}

/** What a read asks of its source, as it goes on. */
export interface RequestMeter {
  /** Requests made so far, failed ones included. */
  readonly requests: number;
  /** Whether the rest of the entries, if any, takes no further request. */
  readonly isAtEnd: boolean;
}

/** The source asked to wait; the connector does so, and goes on by itself. */
export interface SourceDelay {
  readonly waitMs: number;
  /** Why, for a person. Example: `429 with Retry-After`. */
  readonly message: string;
}

/** One entry of a model: a record, or what keeps it from being one. */
export interface SourceEntry {
  /** The record; of a faulty one, what could be read of it, if its primary key can be trusted. */
  readonly value?: JsonValue;
  /** The source says that the record is gone; of `value`, the primary key alone counts. */
  readonly deleted?: boolean;
  /** Why it is no record. */
  readonly fault?: RejectedRecordError;
  /** Where the source has it, for a person. Example: `employees.csv:17`. Never content. */
  position(): string;
  /** Resumes after this entry: a small JSON value that only this connector understands. */
  checkpoint(): JsonValue;
}

/** How a read ended. */
export interface ReadingEnd {
  /** How the source's own end was recognised; empty if it was not. */
  readonly evidence: string;
  /** Why the snapshot is not complete, one entry a reason. */
  readonly failures: readonly string[];
  /** Records that the source says the model holds, where it says so. */
  readonly expectedRecords?: bigint;
  /** Where the next delta starts, if the source tells that at the end; otherwise the reading's counts. */
  readonly deltaCheckpoint?: JsonValue;
}

/** A model as discovery found it. */
export interface DiscoveredModel {
  /** 1 to 128 characters of [A-Za-z0-9_.-]. */
  readonly name: string;
  /** JSON Schema (draft 2020-12) of a record. */
  readonly jsonSchema: object;
  readonly primaryKey: readonly string[];
  /** Whether `readChanges` reads it. */
  readonly delta?: boolean;
  /** Whether a delta of it also tells of deletes. */
  readonly deltaDeletes?: boolean;
  /** Field paths that look sensitive. */
  readonly sensitiveFields: readonly string[];
  /** Field paths that readers may filter on unless a connection's scope says otherwise; at most 16 count. */
  readonly indexFields: readonly string[];
  /** Models to sync before this one. */
  readonly dependsOn: readonly string[];
  /** Faults that a sync would meet. Never field values. */
  readonly warnings: readonly string[];
}

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

/** A read under way. */
export interface Reading {
  /** Top-level fields that make a record's id. */
  readonly primaryKey: readonly string[];
  /** Records that the source says the model holds, where it says so. */
  readonly expectedRecords?: bigint;
  /** The model's entries in the source's order, as many at a time as one piece of I/O gave. */
  readonly entries: AsyncGenerator<readonly SourceEntry[], ReadingEnd, undefined>;
}

/** One entry of a model: a record, or what keeps it from being one. */
export interface SourceEntry {
  /** The record; of a faulty one, what could be read of it, if its primary key can be trusted. */
  readonly value?: JsonValue;
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
}

/** A model as discovery found it. */
export interface DiscoveredModel {
  /** 1 to 128 characters of [A-Za-z0-9_.-]. */
  readonly name: string;
  /** JSON Schema (draft 2020-12) of a record. */
  readonly jsonSchema: object;
  readonly primaryKey: readonly string[];
  /** Field paths that look sensitive. */
  readonly sensitiveFields: readonly string[];
  /** Field paths that readers may filter on unless a connection's scope says otherwise; at most 16 count. */
  readonly indexFields: readonly string[];
  /** Models to sync before this one. */
  readonly dependsOn: readonly string[];
  /** Faults that a sync would meet. Never field values. */
  readonly warnings: readonly string[];
}

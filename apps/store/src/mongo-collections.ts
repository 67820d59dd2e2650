import type { Binary, Collection, Db, MongoClient } from 'mongodb';

/** Codes of enumerations at rest; equal to the contract's numbers. */
export const OPERATION = { CREATED: 1, UPDATED: 2, DELETED: 3, RESTORED: 4 } as const;

/** A connection as the store knows it. Its uid prefixes all its keys and is new whenever it is made anew. */
export interface ConnectionDocument {
  _id: string;
  tenant: string;
  name: string;
  fingerprintKey: Binary;
  scope: { revision: number; models: { model: string; fields: string[] }[] };
  removing?: boolean;
}

/** A connection's clock: the first document that each commit writes, so that commits serialise on it. */
export interface ClockDocument {
  _id: string;
  /** The last sequence given out. */
  seq: number;
  /** Time of the last commit or fence; only moves forward. */
  at: Date;
}

/** A record's newest version. Short names: there are millions. */
export interface RecordDocument {
  /** `<uid>:<model>:<id>` */
  _id: string;
  /** Connection uid. */
  c: string;
  /** Model. */
  m: string;
  /** Version. */
  v: number;
  /** Sequence. */
  s: number;
  /** Changed at. */
  at: Date;
  /** Operation that made this version. */
  o: number;
  /** Cause: the run's kind, in the contract's numbers of Cause. */
  u: number;
  /** Run. */
  r: string;
  /** Fingerprint; absent in a tombstone. */
  f?: Binary;
  /** Payload; absent in a tombstone. */
  p?: Binary;
  /** Changed fields, of an update. */
  x?: string[];
}

/** A superseded version. */
export interface VersionDocument extends Omit<RecordDocument, '_id' | 'f'> {
  _id: { k: string; v: number };
  /** When the next version replaced it. */
  until: Date;
}

/** One commit in a connection's log, under its last sequence: contiguous, `f` is the sequence after the commit before. */
export interface CommitDocument {
  _id: { c: string; n: number };
  c: string;
  /** First sequence. */
  f: number;
  at: Date;
  m: string;
  r: string;
  /** Cause. */
  u: number;
  /** Ids, versions and operations of the changes, in sequence order. */
  i: string[];
  v: number[];
  o: Binary;
  /** Changed fields by index, for updates. */
  x: Record<string, string[]>;
}

/** Where the newest run of one (connection, model, kind) stands; its epoch fences older ones. */
export interface RunDocument {
  /** `<uid>:<model>:<kind>` */
  _id: string;
  c: string;
  m: string;
  kind: number;
  run: string;
  epoch: number;
  state: 'READING' | 'FINISHING' | 'HELD' | 'DONE';
  pages: number;
  checkpoint: Binary;
  counters: CountersDocument;
  /** Rejected records that named no id: the snapshot cannot be proven complete. */
  anonymousRejections: number;
  duplicateIds: number;
  /** Records that came again with equal content: they count once. */
  repeats: number;
  /** How often other runs saw records unchanged while this snapshot was open; numbers their seen-keys, from -1 down. */
  touches: number;
  lastSequence: number;
  /** Sequences that this run's commits used. */
  ownSequences: number;
  /** The connection's sequence when the run began. */
  startSequence: number;
  scopeRevision: number;
  /** Distinct ids seen whose record was live after their commit. */
  seenLive: number;
  /** Where the next delta starts, if the source said so. */
  deltaCheckpoint?: Binary;
  /** Under which its seen-keys are kept: another one each time that a run is begun anew, even under a used id. */
  seenAs: string;
  /** Those of runs before this one, until they are removed. */
  replaced: string[];
  /** The delete pass has dealt with keys up to here. */
  deletePosition?: string;
  heldDeletes?: number;
  certificate?: CertificateDocument;
}

export interface CountersDocument {
  read: number;
  created: number;
  updated: number;
  unchanged: number;
  deleted: number;
  quarantined: number;
  stale: number;
}

export interface CertificateDocument {
  certified: boolean;
  failures: string[];
  endEvidence: string;
  expectedCount?: number;
  observedCount: number;
  uniqueIds: boolean;
}

/** The ids that one page of a snapshot held, packed; under a negative page those that another run saw meanwhile. */
export interface SeenDocument {
  _id: { c: string; run: string; page: number };
  c: string;
  k: Binary;
}

/** What a model holds. */
export interface ModelDocument {
  /** `<uid>:<model>` */
  _id: string;
  c: string;
  m: string;
  live: number;
  /** Whether a certified snapshot was ever completed. */
  certified?: boolean;
  /** Where the next delta starts: the source's word in the newest delta or full sync that was complete. */
  deltaCheckpoint?: Binary;
}

export interface QuarantineDocument {
  /** `<uid>:<model>:<id or @position>` */
  _id: string;
  c: string;
  m: string;
  i?: string;
  position: string;
  reason: string;
  message: string;
  r: string;
  at: Date;
}

/** Something that watchers are told of between changes. */
export interface MarkerDocument {
  _id: string;
  c: string;
  m: string;
  r: string;
  kind: number;
  at: Date;
}

export interface SettingDocument {
  _id: string;
  value: Binary;
}

/** The records database. */
export class StoreDatabase {
  readonly connections: Collection<ConnectionDocument>;
  readonly clocks: Collection<ClockDocument>;
  readonly records: Collection<RecordDocument>;
  readonly versions: Collection<VersionDocument>;
  readonly commits: Collection<CommitDocument>;
  readonly runs: Collection<RunDocument>;
  readonly seen: Collection<SeenDocument>;
  readonly models: Collection<ModelDocument>;
  readonly quarantine: Collection<QuarantineDocument>;
  readonly markers: Collection<MarkerDocument>;
  readonly settings: Collection<SettingDocument>;

  constructor(
    readonly client: MongoClient,
    readonly db: Db,
  ) {
    this.connections = db.collection('connections');
    this.clocks = db.collection('clocks');
    this.records = db.collection('records');
    this.versions = db.collection('versions');
    this.commits = db.collection('commits');
    this.runs = db.collection('runs');
    this.seen = db.collection('seen');
    this.models = db.collection('models');
    this.quarantine = db.collection('quarantine');
    this.markers = db.collection('markers');
    this.settings = db.collection('settings');
  }

  /** Makes collections and indexes; safe to repeat. Transactions cannot make collections on the way. */
  async prepare(): Promise<void> {
    await Promise.all([
      this.connections.createIndex({ tenant: 1, name: 1 }, { unique: true }),
      this.records.createIndex({ c: 1, m: 1, s: 1 }),
      this.versions.createIndex({ c: 1, at: 1 }),
      this.commits.createIndex({ c: 1, at: 1 }),
      this.runs.createIndex({ c: 1 }),
      this.seen.createIndex({ c: 1 }),
      this.models.createIndex({ c: 1 }),
      this.quarantine.createIndex({ c: 1, _id: 1 }),
      this.markers.createIndex({ at: 1 }, { expireAfterSeconds: 30 * 86_400 }),
      this.markers.createIndex({ c: 1 }),
    ]);
  }
}

/** A model's own key. */
export function modelKey(uid: string, model: string): string {
  return `${uid}:${model}`;
}

/** Prefix of all keys of a model's records. */
export function modelPrefix(uid: string, model: string): string {
  return `${uid}:${model}:`;
}

/** A record's key. Model names hold no colon, so the id, which may, comes last. */
export function recordKey(uid: string, model: string, id: string): string {
  return `${uid}:${model}:${id}`;
}

/** All keys of a model's records: `;` is the character after `:`. */
export function recordKeys(uid: string, model: string): { $gt: string; $lt: string } {
  return { $gt: modelPrefix(uid, model), $lt: `${modelKey(uid, model)};` };
}

/** The id in a record's key. */
export function idOfKey(key: string, model: string, uid: string): string {
  return key.slice(uid.length + model.length + 2);
}

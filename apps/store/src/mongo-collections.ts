import type { Binary, Collection, Db, MongoClient } from 'mongodb';

/** Codes of enumerations at rest; equal to the contract's numbers. */
export const OPERATION = { CREATED: 1, UPDATED: 2, DELETED: 3, RESTORED: 4 } as const;

/** A connection as the store knows it. Its uid prefixes all its keys and is new whenever it is made anew. */
export interface ConnectionDocument {
  _id: string;
  tenant: string;
  name: string;
  /** Sealed under the master key: what fingerprints and index hashes are derived from. */
  identityKey: Binary;
  /** Sealed under the master key, the newest last. There are two while a purge seals everything anew. */
  payloadKeys: PayloadKeyDocument[];
  scope: ScopeDocument;
  /** The scope's revision that last took something away: what was sealed under an earlier one is cut when it is read. */
  floor: number;
  /** What a change of the scope left to do. */
  purge?: PurgeDocument;
  /** What retention has removed. */
  horizon: HorizonDocument;
  removing?: boolean;
}

export interface ScopeDocument {
  revision: number;
  models: ModelScopeDocument[];
}

export interface ModelScopeDocument {
  model: string;
  fields: string[];
  /** Fields that readers may filter on. */
  index: string[];
}

/** A key of payloads; packs name it by its number. */
export interface PayloadKeyDocument {
  e: number;
  key: Binary;
}

/** A purge under way: everything is sealed anew under `e`, pack by pack, less what the scope no longer allows. */
export interface PurgeDocument {
  revision: number;
  e: number;
  narrowed: string[];
  removed: string[];
  /** Models whose index hashes are to be made anew. */
  indexed: string[];
  startedAt: Date;
  changedRecords: number;
  removedRecords: number;
  purgedVersions: number;
  purgedQuarantine: number;
}

/**
 * How far retention has come: versions superseded at or before the sequence `history` are gone, and the log and tombstones up
 * to the sequence `log`; and the times of those commits.
 */
export interface HorizonDocument {
  history: number;
  historyAt: Date;
  log: number;
  logAt: Date;
}

/** What was purged, and when. */
export interface ReceiptDocument extends Omit<PurgeDocument, 'e' | 'indexed'> {
  _id: { c: string; revision: number };
  c: string;
  endedAt: Date;
}

/** A connection's clock: the first document that each commit writes, so that commits serialise on it. */
export interface ClockDocument {
  _id: string;
  /** The last sequence given out. */
  seq: number;
  /** Time of the last commit or fence; only moves forward. */
  at: Date;
  /** Changes of records ever committed; sequences beyond them are those of markers. */
  changes: number;
  /** The scope's revision: a commit that was verified under another one is planned again. */
  scope: number;
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
  /** The pack that holds its payload under `s`; absent in a tombstone. */
  k?: number;
  /** Of a version that a change of the scope made: the sequence of the version that an observation made before it. */
  os?: number;
  /** Hashes of its index fields; a tombstone keeps those of the version before. */
  h?: Binary[];
  /** Changed fields, of an update. */
  x?: string[];
}

/** A superseded version. */
export interface VersionDocument extends Omit<RecordDocument, '_id' | 'f' | 'h' | 'os'> {
  _id: { k: string; v: number };
  /** When the next version replaced it, and that one's sequence. */
  until: Date;
  us: number;
}

/** Payloads of one commit's changes, compressed and sealed together, under the last of their sequences. */
export interface PackDocument {
  _id: { c: string; n: number };
  c: string;
  m: string;
  /** Number of the key that it is sealed under. */
  e: number;
  /** The scope's revision that its payloads were verified under. */
  g: number;
  p: Binary;
}

/**
 * One commit in a connection's log, under its last sequence: contiguous, `f` is the sequence after the commit before. One
 * without changes is a marker, or what is left of a model that was purged.
 */
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
  /** What a marker tells of, in the contract's numbers of MarkerKind. */
  mark?: number;
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
  /** How often it was begun: pages of an earlier reading are refused. */
  readings: number;
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
  /** Changes that this run committed. */
  ownChanges: number;
  /** The connection's sequence, and its number of changes, when the run began. */
  startSequence: number;
  startChanges: number;
  /** Stands for the fields of its model that it was begun under: with others it is begun anew. */
  fields: string;
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
  /** What a full run repaired; kept where deltas or webhooks have served the model. */
  discrepancies?: DiscrepanciesDocument;
  /** Of a full run: whether, and for what, deltas are checked for late arrivals after it. */
  deltaCheck?: DeltaCheck;
  /** Ids that this delta should have brought, had the source not told of them too late; set where a full sync before it looked. */
  late?: string[];
  certificate?: CertificateDocument;
}

/** What a full sync changed that no other run has brought. */
export interface SuspectsDocument {
  ids: string[];
  /** The connection's sequence when that sync ended: what a delta that began before has read may be older than its changes. */
  since: number;
}

/** What the delta after a full run is to be checked for. */
export interface DeltaCheck {
  /** Whether deltas tell of deletes, too. */
  readonly deletes: boolean;
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

export interface DiscrepanciesDocument {
  created: number;
  updated: number;
  deleted: number;
  /** The first ids. */
  ids: string[];
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
  /** Whether a delta or webhook ever completed. */
  followed?: boolean;
  /** Of what the newest full sync changed, ids that no delta or webhook has brought: what the next delta does not either came late. */
  suspects?: SuspectsDocument;
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
  readonly packs: Collection<PackDocument>;
  readonly receipts: Collection<ReceiptDocument>;
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
    this.packs = db.collection('packs');
    this.receipts = db.collection('receipts');
    this.settings = db.collection('settings');
  }

  /** Makes collections and indexes; safe to repeat. Transactions cannot make collections on the way. */
  async prepare(): Promise<void> {
    await Promise.all([
      this.connections.createIndex({ tenant: 1, name: 1 }, { unique: true }),
      this.records.createIndex({ c: 1, m: 1, s: 1 }),
      this.records.createIndex(
        { c: 1, m: 1, h: 1, s: 1 },
        { partialFilterExpression: { h: { $exists: true } } },
      ),
      this.records.createIndex(
        { c: 1, s: 1 },
        { partialFilterExpression: { o: OPERATION.DELETED }, name: 'tombstones' },
      ),
      this.versions.createIndex({ c: 1, m: 1, s: 1 }),
      this.packs.createIndex({ c: 1, e: 1, _id: 1 }),
      this.commits.createIndex({ c: 1, at: 1 }),
      this.runs.createIndex({ c: 1 }),
      this.seen.createIndex({ c: 1 }),
      this.models.createIndex({ c: 1 }),
      this.quarantine.createIndex({ c: 1, _id: 1 }),
      this.receipts.createIndex({ c: 1 }),
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

/** Keys of a connection's numbered documents after one number, up to and with another. */
export function numberRange(c: string, after: number, upTo: number): { $gt: object; $lte: object } {
  return { $gt: { c, n: after }, $lte: { c, n: upTo } };
}

/** All keys of a model's records: `;` is the character after `:`. */
export function recordKeys(uid: string, model: string): { $gt: string; $lt: string } {
  return { $gt: modelPrefix(uid, model), $lt: `${modelKey(uid, model)};` };
}

/** The id in a record's key. */
export function idOfKey(key: string, model: string, uid: string): string {
  return key.slice(uid.length + model.length + 2);
}

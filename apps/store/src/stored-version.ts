import type { RecordDocument, VersionDocument } from './mongo-collections.js';

/** A record's version, newest or superseded, with its id. */
export interface StoredVersion extends Omit<RecordDocument, '_id' | 'f' | 'h' | 'os'> {
  readonly id: string;
  readonly until?: Date;
}

/** The newest version of a record. */
export function fromRecord(
  { _id: _key, f: _fingerprint, h: _hashes, os: _observed, ...rest }: RecordDocument,
  id: string,
): StoredVersion {
  return { id, ...rest };
}

/** A superseded version. */
export function fromVersion(
  { _id: _key, us: _superseding, ...rest }: VersionDocument,
  id: string,
): StoredVersion {
  return { id, ...rest };
}

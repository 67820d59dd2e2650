/** One version of one record: as it was written, or as a reader was given it. */
export interface Version {
  /** Model and id. */
  readonly key: string;
  readonly version: number;
  /** Its number in the order of commits. */
  readonly sequence: number;
  /** When it was committed, as the store says; milliseconds. */
  readonly at: number;
  readonly content: string;
}

/** One answer to a polling reader. */
export interface Poll {
  readonly given: readonly Version[];
  /** The moment after which it asked, if it asked by a clock of its own. */
  readonly since?: number;
  /** Up to this time the reader has been given everything, says the answer. */
  readonly completeThrough: number;
  /** The last sequence committed when the answer was complete. */
  readonly head: number;
}

/** What a reader was given, against what it should have been. */
export interface Verdict {
  polls: number;
  given: number;
  /** Changes at or below a watermark, of which the reader knew neither them nor newer ones when it was handed it. */
  missed: number;
  /** Not missed though: changes that were replaced while the answer was under way, each by one that is owed in its stead. */
  superseded: number;
  /** Versions given again, but for those that `overlapped` counts. */
  repeated: number;
  /** Versions given again to a reader by its own clock: changed after the moment it asked with, at or below its watermark. */
  overlapped: number;
  /** Versions given for the first time at or below a watermark handed out before. */
  late: number;
  /** Versions given with another content than was written, or that were never written. */
  wrong: number;
}

/**
 * Judges a polling reader, who is owed the newest version of each record as it was when the answer was complete. `written`
 * is every version ever written, in order of commit.
 */
export function judge(written: readonly Version[], polls: readonly Poll[]): Verdict {
  const found = { missed: 0, superseded: 0, repeated: 0, overlapped: 0, late: 0, wrong: 0 };
  const byName = new Map(written.map((change) => [nameOf(change), change]));
  const known = new Map<string, number>();
  const knows = ({ key, version }: Version): boolean => (known.get(key) ?? 0) >= version;
  let watermark = -Infinity;
  let next = 0;
  const owe = (through: number, head: number): void => {
    for (let change = written[next]; change && change.at <= through; change = written[++next]) {
      if (knows(change)) continue;
      const replacement = byName.get(nameOf({ ...change, version: change.version + 1 }));
      if (replacement && replacement.sequence <= head) found.superseded++;
      else found.missed++;
    }
  };
  for (const { given, since = Infinity, completeThrough, head } of polls) {
    for (const change of given) {
      if (byName.get(nameOf(change))?.content !== change.content) found.wrong++;
      if (!knows(change)) {
        if (change.at <= watermark) found.late++;
        known.set(change.key, change.version);
      } else if (change.at > since && change.at <= watermark) found.overlapped++;
      else found.repeated++;
    }
    watermark = Math.max(watermark, completeThrough);
    owe(watermark, head);
  }
  // The last poll is asked after the last write: what it did not bring is missed as well.
  owe(Infinity, -Infinity);
  return { polls: polls.length, given: polls.reduce((sum, { given }) => sum + given.length, 0), ...found };
}

/** The last version of each record. */
export function newest(versions: Iterable<Version>): Map<string, Version> {
  return new Map(Array.from(versions, (version) => [version.key, version]));
}

function nameOf({ key, version }: Version): string {
  return `${key}#${version}`;
}

/** A full sync's turn: from when work on it went on, after it was interrupted or for the first time, until now. */
export interface RunTurn {
  /** Pages committed in it. */
  readonly pages: number;
  readonly turnMs: number;
  /** How long the interruption before it lasted. */
  readonly interruptionMs: number;
}

/**
 * Whether a full sync may let a delta go first (R9). Its turn has to have brought it on by a page, and to have lasted as long
 * as the interruption before: so it has half of the time, however often deltas come, and always finishes.
 */
export function mayYield({ pages, turnMs, interruptionMs }: RunTurn): boolean {
  return pages > 0 && turnMs >= interruptionMs;
}

/** Attempts in a row that were cut off, by a crash of the worker's process, before they committed a page. */
export interface BarrenAttempts {
  readonly attempts: number;
  /** Pages that the run had when the last of them began. */
  readonly pages: number;
}

/** No attempt was cut off. */
export const NOT_BARREN: BarrenAttempts = { attempts: 0, pages: 0 };

/** After so many a run ends: whatever it meets takes its worker down, each time. */
export const MAX_BARREN_ATTEMPTS = 8;

/** Counts an attempt that was cut off when the run had so many pages. */
export function countCutOff({ attempts, pages }: BarrenAttempts, pagesNow: number): BarrenAttempts {
  return { attempts: pagesNow > pages ? 1 : attempts + 1, pages: pagesNow };
}

import { lstat, readdir, realpath, stat, type Dirent, type Stats } from 'node:fs';
import { isAbsolute } from 'node:path';
import { glob } from 'tinyglobby';
import { configFault } from './file-faults.js';

/** Bounds within which matching a name costs no more than moments, whatever the pattern and the name. */
const MAX_WILDCARDS = 3;
const MAX_FOLDER_WILDCARDS = 2;
const MAX_CHOICES = 64;
/** Groups and repetitions, which take the matcher longer than anyone lives; and a negation, which means all but one. */
const UNKNOWN_SYNTAX = /[()|]|[\]}]\+|^!/;

type Callback<T> = (error: NodeJS.ErrnoException | null, result?: T) => void;

/**
 * Names of the files below a folder that a pattern matches. Throws what kept a folder from being listed: files that
 * were merely not seen must not look like files that are gone. A link counts as what it leads to; one that leads to
 * nothing is given back, for its reader to say so. Throws SOURCE_CONFIG_INVALID for a pattern beyond its bounds, and for
 * one that would pass a link to a folder where `mayEnter` throws.
 */
export async function globFiles(
  folder: string,
  pattern: string,
  mayEnter: (realFolder: string) => Promise<void>,
): Promise<string[]> {
  demandBounds(pattern);
  const lister = new Lister(pattern.includes('/') ? mayEnter : undefined);
  const names = await glob(pattern, {
    cwd: folder,
    expandDirectories: false,
    extglob: false,
    fs: lister,
  });
  if (lister.failure !== undefined) throw lister.failure;
  return names;
}

/** The file system as glob sees it, which by itself passes over what it cannot list. */
class Lister {
  failure: Error | undefined;

  /** Without `mayEnter` no link to a folder is followed. */
  constructor(private readonly mayEnter: ((realFolder: string) => Promise<void>) | undefined) {}

  readonly readdir = ((path: string, options: { withFileTypes: true }, callback: Callback<Dirent[]>) => {
    readdir(path, options, (error, entries) => {
      if (error !== null) this.failure ??= error;
      callback(error, entries);
    });
  }) as typeof readdir;

  readonly realpath = ((path: string, callback: Callback<string>) => {
    realpath(path, (error, real) => callback(null, error === null ? real : path));
  }) as typeof realpath;

  readonly stat = ((path: string, callback: Callback<Stats>) => {
    stat(path, (error, stats) => {
      if (error !== null) lstat(path, callback);
      else if (stats.isDirectory()) this.enter(path, stats, callback);
      else callback(null, stats);
    });
  }) as typeof stat;

  /** The path is real. Who may not enter sees the link alone, which is no folder. */
  private enter(path: string, folder: Stats, callback: Callback<Stats>): void {
    if (this.mayEnter === undefined) {
      callback(null, asFile(folder));
      return;
    }
    this.mayEnter(path).then(
      () => callback(null, folder),
      (error: unknown) => {
        this.failure ??= error instanceof Error ? error : new Error('a folder may not be entered');
        callback(null, asFile(folder));
      },
    );
  }
}

function asFile(folder: Stats): Stats {
  return Object.assign(Object.create(folder) as Stats, { isDirectory: () => false });
}

/** The matcher goes back and forth: each wildcard more multiplies its work by the length of the name. */
function demandBounds(pattern: string): void {
  // A backslash only escapes, also the dots that would lead upwards.
  const segments = pattern.replaceAll('\\', '').split('/');
  if (isAbsolute(segments.join('/')) || segments.includes('..'))
    throw configFault(`the glob ${pattern} may not lead out of the connection's folder`);
  if (UNKNOWN_SYNTAX.test(pattern))
    throw configFault(`the glob ${pattern} uses more than *, **, ?, [abc] and {a,b}`);
  const most = Math.max(...segments.map((segment) => count(segment, /\*+|\{/g)));
  const excess =
    most > MAX_WILDCARDS
      ? `more than ${MAX_WILDCARDS} wildcards between two slashes`
      : count(pattern, /\*\*/g) > MAX_FOLDER_WILDCARDS
        ? `more than ${MAX_FOLDER_WILDCARDS} folder wildcards (**)`
        : count(pattern, /\{/g) > MAX_WILDCARDS || count(pattern, /,/g) >= MAX_CHOICES
          ? `more than ${MAX_WILDCARDS} braces or ${MAX_CHOICES} choices`
          : undefined;
  if (excess !== undefined) throw configFault(`the glob ${pattern} has ${excess}`);
}

function count(text: string, what: RegExp): number {
  return text.match(what)?.length ?? 0;
}

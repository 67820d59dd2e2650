import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);

/** The oldest patch of each release line without known holes; lines before 7.0 and 8.1 have none. */
const SECURITY_FLOORS: Readonly<Record<string, number>> = { '7.0': 28, '8.0': 17, '8.2': 3 };
const NEWEST_FLOORED = { major: 8, minor: 2 };

/** For people: the floors in one phrase. */
export const SECURITY_FLOORS_TEXT = '7.0.28, 8.0.17 or 8.2.3';

/** Runs `mongod --version` and gives back its x.y.z; rejects when the file does not run or is no mongod. */
export async function mongodVersion(path: string): Promise<string> {
  const { stdout } = await execFileAsync(path, ['--version'], { timeout: 20_000 });
  const version = /db version v(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  if (version === undefined) {
    throw new Error('it does not answer --version as mongod does');
  }
  return version;
}

/** True when a server of this version should listen on loopback only. */
export function isBelowSecurityFloor(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  const floor = SECURITY_FLOORS[`${String(major)}.${String(minor)}`];
  if (floor !== undefined) {
    return patch < floor;
  }
  return major < NEWEST_FLOORED.major || (major === NEWEST_FLOORED.major && minor < NEWEST_FLOORED.minor);
}

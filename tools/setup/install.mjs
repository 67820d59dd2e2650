import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { say } from './say.mjs';

/** The top folder of the repository. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

const OLDEST_NODE = [20, 19];

/** Makes the repository ready to run: the right Node, every dependency, current builds. Ends the process when it cannot. */
export function prepare() {
  requireNode();
  install();
  if (!build()) {
    process.exit(1);
  }
}

/** Ends the process with one line when Node is too old. */
export function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    say(`Tidemark needs Node ${OLDEST_NODE.join('.')} or newer; this is ${process.versions.node}.`);
    process.exit(1);
  }
}

/** Runs `npm ci` when node_modules is not what package-lock.json asks for. */
export function install() {
  if (isInstalled()) {
    return;
  }
  say('installing dependencies (npm ci)');
  const npm = process.env['npm_execpath'];
  const [command, first] = npm === undefined ? ['npm', []] : [process.execPath, [npm]];
  const { status, stdout, stderr } = spawnSync(command, [...first, 'ci', '--no-audit', '--no-fund'], {
    cwd: ROOT,
    encoding: 'utf8',
    shell: npm === undefined && process.platform === 'win32',
  });
  if (status !== 0) {
    say(`${stdout ?? ''}${stderr ?? ''}`);
    say('npm ci failed; its reason stands above.');
    process.exit(1);
  }
}

/** Compares what npm says it installed with the lock file: times of files prove nothing after a checkout. */
function isInstalled() {
  const installedFile = join(ROOT, 'node_modules', '.package-lock.json');
  if (!existsSync(installedFile)) {
    return false;
  }
  const wanted = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    // Optional packages of other platforms are left out.
    const isExpected =
      path.includes('node_modules/') && entry.optional !== true && entry.devOptional !== true;
    return !isExpected || (installed[path] !== undefined && installed[path].version === entry.version);
  });
}

/** Compiles what has changed; prints the compiler's words and gives back false when it fails. */
export function build() {
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const { status, stdout, stderr } = spawnSync(process.execPath, [tsc, '-b'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (status !== 0) {
    say(`${stdout}${stderr}`);
    say('the build (tsc -b) failed; its reason stands above.');
  }
  return status === 0;
}

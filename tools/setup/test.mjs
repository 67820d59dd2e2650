import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, install, requireNode, ROOT } from './install.mjs';

// `npm test [-- --project libs/mongo] [--long] [jest's own options]`: its last line is `N passed, N failed`.
requireNode();
install();
const { folder, isLong, rest } = readArguments(process.argv.slice(2));
if (build()) {
  const { status, passed, failed } = await runJest(
    [...(folder === undefined ? [] : [`${folder}/`]), ...rest],
    isLong,
  );
  finish(passed, failed, status === 0 && passed > 0 ? 0 : 1);
} else {
  finish(0, 1, 1);
}

function readArguments(given) {
  const rest = [...given];
  const project = rest.indexOf('--project');
  const folder = project === -1 ? undefined : rest.splice(project, 2)[1];
  const long = rest.indexOf('--long');
  const isLong = long !== -1 && rest.splice(long, 1).length === 1;
  return { folder, isLong, rest };
}

async function runJest(args, isLong) {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-jest-'));
  const report = join(directory, 'report.json');
  const jest = join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js');
  const flags = ['--disable-warning=ExperimentalWarning', '--experimental-vm-modules'];
  const child = spawn(process.execPath, [...flags, jest, ...args], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, TIDEMARK_TEST_REPORT: report, ...(isLong ? { TIDEMARK_LONG: '1' } : {}) },
  });
  // Jest cleans up on a Ctrl-C of its own; this process waits for it.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  const status = await new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
  try {
    return { status, ...JSON.parse(readFileSync(report, 'utf8')) };
  } catch {
    // Jest ended before it could report: that is no success.
    return { status: 1, passed: 0, failed: 1 };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function finish(passed, failed, status) {
  process.exitCode = status;
  process.stdout.write(`${String(passed)} passed, ${String(failed)} failed\n`);
}

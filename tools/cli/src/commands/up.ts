import { delimiter, resolve } from 'node:path';
import type { SyncRun } from '@tidemark/contracts';
import { isTidemarkError, type TidemarkError } from '@tidemark/model';
import type { Environment } from '@tidemark/runtime';
import { Option } from 'commander';
import type { Cli, Register } from '../cli.js';
import { errorText } from '../error-text.js';
import { ExitCode, exitCodeOfRuns } from '../exit-code.js';
import { createGateway } from '../gateway.js';
import { writeJson } from '../json.js';
import { collect, wholeNumber } from '../options.js';
import { printable } from '../printable.js';
import { Progress } from '../progress.js';
import { recordJson } from '../record-json.js';
import { RecordTable } from '../record-text.js';
import { runJson } from '../run-json.js';
import { runSummary } from '../run-text.js';
import { DATA_FOLDER } from '../target.js';
import { nextSteps } from '../up/next-steps.js';
import { mirrorSample, SAMPLE_CONNECTION, SAMPLE_FOLDER, type SampleResult } from '../up/sample.js';
import { Stack } from '../up/stack.js';

interface UpOptions {
  readonly data?: string;
  readonly port: number;
  readonly root?: string[];
  readonly mongodbUri?: string;
  readonly sample?: boolean;
  readonly once?: boolean;
}

/** `tidemark up` */
export const up: Register = (program, cli) => {
  program
    .command('up')
    .option('--data <dir>', `keeps everything (default: TIDEMARK_DATA, else ${DATA_FOLDER})`)
    .option('--port <n>', 'where the gateway listens on 127.0.0.1', wholeNumber(0, 65_535), 7100)
    .option(
      '--root <dir>',
      'a folder that the connector file may read from; may be given several times (default: TIDEMARK_FILE_ROOTS, else this one)',
      collect,
    )
    .option('--mongodb-uri <uri>', 'use this replica set instead of an embedded one (default: MONGODB_URI)')
    .option('--sample', 'mirror the sample connection acme-hr')
    .addOption(new Option('--once', 'stop after the sample is mirrored').implies({ sample: true }))
    .description('start every service on this machine and keep them running until Ctrl-C')
    .action((options: UpOptions) => runUp(cli, options));
};

async function runUp(cli: Cli, options: UpOptions): Promise<void> {
  const dataDir = resolve(cli.cwd, options.data ?? cli.env['TIDEMARK_DATA'] ?? DATA_FOLDER);
  const stack = await startStack(cli, options, dataDir);
  if (stack === undefined) {
    return;
  }
  const signal = AbortSignal.any([cli.signal, stack.broken]);
  try {
    await sayReady(cli, stack, dataDir);
    if (options.sample === true) {
      await runSample(cli, stack, options, dataDir, signal);
    }
    if (options.once !== true && !signal.aborted) {
      await cli.notes.lines(['', 'Tidemark stays up. Stop it with Ctrl-C.']);
      await aborted(signal);
    }
  } finally {
    if (stack.failure !== undefined) {
      await fail(cli, stack.failure);
    }
    await stack.stop();
  }
}

/** Starts everything; gives back undefined when that failed, which it has then said. */
async function startStack(cli: Cli, options: UpOptions, dataDir: string): Promise<Stack | undefined> {
  const given = cli.env['MONGODB_URI'];
  try {
    return await Stack.start({
      dataDir,
      port: options.port,
      mongodbUri: options.mongodbUri ?? (given === '' ? undefined : given),
      fileRoots: [
        ...(options.root ?? rootsOf(cli.env)).map((root) => resolve(cli.cwd, root)),
        ...(options.sample === true ? [SAMPLE_FOLDER] : []),
      ],
      env: cli.env,
      say: (line) => {
        // When nobody reads stderr any more, the interrupt that follows stops everything.
        cli.notes.lines([line]).catch(() => undefined);
      },
      signal: cli.signal,
    });
  } catch (error) {
    if (cli.signal.aborted) {
      cli.exitCode = ExitCode.INTERRUPTED;
      return undefined;
    }
    if (!isTidemarkError(error)) {
      throw error;
    }
    await fail(cli, error);
    return undefined;
  }
}

/** The folders of TIDEMARK_FILE_ROOTS, separated as in PATH; this one when it names none. */
function rootsOf(env: Environment): string[] {
  const roots = (env['TIDEMARK_FILE_ROOTS'] ?? '').split(delimiter).filter((root) => root !== '');
  return roots.length === 0 ? ['.'] : roots;
}

async function sayReady(cli: Cli, { target: { address }, processes }: Stack, dataDir: string): Promise<void> {
  const running = processes.map(({ name, pid }) => ({ name, pid }));
  if (cli.json) {
    await cli.out.json([writeJson({ address, dataDir, processes: running })]);
  }
  const list = running.map(({ name, pid }) => `${name} ${String(pid)}`).join(', ');
  await cli.notes.lines([`Tidemark is ready at ${address} (data in ${dataDir}; processes: ${list}).`]);
}

async function runSample(
  cli: Cli,
  stack: Stack,
  options: UpOptions,
  dataDir: string,
  signal: AbortSignal,
): Promise<void> {
  const gateway = createGateway(stack.target);
  const progress = new Progress(cli.notes);
  try {
    await cli.notes.lines(['', `Mirroring the sample ${SAMPLE_CONNECTION}:`]);
    const show = (run: SyncRun) => progress.update(run);
    const result = await mirrorSample(gateway, cli.env, show, signal).finally(() => progress.end());
    await printSample(cli, result);
    if (options.once !== true) {
      await cli.notes.lines(['', ...nextSteps(cli.cwd, dataDir, new Date())]);
    }
    cli.exitCode = options.once === true ? exitCodeOfRuns(result.runs) : ExitCode.DONE;
  } catch (error) {
    // After a breakdown or a Ctrl-C, calls that fail are not what went wrong.
    if (!signal.aborted) {
      if (options.once === true || !isTidemarkError(error)) {
        throw error;
      }
      await cli.notes.lines(errorText(error, stack.target.address));
    } else if (cli.signal.aborted) {
      cli.exitCode = ExitCode.INTERRUPTED;
    }
  } finally {
    gateway.close();
  }
}

async function printSample(cli: Cli, { runs, records }: SampleResult): Promise<void> {
  if (cli.json) {
    await cli.out.json([writeJson({ runs: runs.map(runJson), records: records.map(recordJson) })]);
    return;
  }
  const table = new RecordTable(cli.out.width);
  await cli.out.lines(['', ...runSummary(runs), '', 'Three employees:', ...table.page(records)]);
}

async function fail(cli: Cli, error: TidemarkError): Promise<void> {
  await cli.notes.lines(error.message.split('\n').map(printable));
  cli.exitCode = ExitCode.FAILED;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
    }
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

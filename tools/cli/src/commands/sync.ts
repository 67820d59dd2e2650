import { SyncKind, type SyncRun } from '@tidemark/contracts';
import { Option, type Command } from 'commander';
import { untilInterrupted, type Cli, type Register } from '../cli.js';
import { ExitCode, exitCodeOfRuns } from '../exit-code.js';
import type { Gateway } from '../gateway.js';
import { writeJson } from '../json.js';
import { collect, wholeNumber } from '../options.js';
import { Progress } from '../progress.js';
import { followRun, waitForRuns } from '../run-follower.js';
import { runJson } from '../run-json.js';
import { runFields, runSummary, runTable } from '../run-text.js';
import { formatFields } from '../table.js';

const PAGE = 200;

interface RunOptions {
  readonly model?: string[];
  readonly full?: boolean;
  readonly delta?: boolean;
  readonly wait?: boolean;
}

/** `tidemark sync …` */
export const sync: Register = (program, cli) => {
  const noun = program.command('sync').description('sync runs');
  addRun(noun, cli);
  addReading(noun, cli);
  addWatch(noun, cli);
  addActions(noun, cli);
};

function addRun(noun: Command, cli: Cli): void {
  noun
    .command('run')
    .argument('<connection>', 'the connection')
    .option(
      '--model <model>',
      'one of its models; may be given several times (default: all in scope)',
      collect,
    )
    .addOption(new Option('--full', 'read everything').conflicts('delta'))
    .addOption(new Option('--delta', 'read what changed'))
    .option('--wait', 'wait for the end; exit code 6 if a run is held, 1 if one failed')
    .description('start syncs by hand')
    .action(async (connectionId: string, options: RunOptions) => {
      const gateway = await cli.connect();
      const kind =
        options.full === true
          ? SyncKind.FULL
          : options.delta === true
            ? SyncKind.DELTA
            : SyncKind.UNSPECIFIED;
      const request = { connectionId, models: options.model ?? [], kind };
      const { runs } = await gateway.syncs.runSync(request, { signal: cli.signal });
      if (options.wait === true) {
        await waitAndPrint(cli, gateway, runs);
      } else {
        await cli.print({ runs: runs.map(runJson) }, () => runTable(runs));
      }
    });
}

async function waitAndPrint(cli: Cli, gateway: Gateway, runs: readonly SyncRun[]): Promise<void> {
  const progress = new Progress(cli.notes);
  const finished = await untilInterrupted(cli, () =>
    waitForRuns(gateway, runs, (run) => progress.update(run), cli.signal),
  ).finally(() => progress.end());
  if (finished === undefined) {
    await cli.notes.lines(['Interrupted; the runs go on. See them with: tidemark sync list']);
    cli.exitCode = ExitCode.INTERRUPTED;
    return;
  }
  await cli.print({ runs: finished.map(runJson) }, () => runSummary(finished));
  cli.exitCode = exitCodeOfRuns(finished);
}

function addReading(noun: Command, cli: Cli): void {
  noun
    .command('list')
    .argument('[connection]', 'the connection; all when left out')
    .option('--limit <n>', 'list so many at most', wholeNumber(1, 100_000), 50)
    .description('list runs, newest first')
    .action(async (connectionId: string | undefined, { limit }: { limit: number }) => {
      const { syncs } = await cli.connect();
      const runs: SyncRun[] = [];
      let pageToken = '';
      do {
        const pageSize = Math.min(PAGE, limit - runs.length);
        const request = { connectionId: connectionId ?? '', pageSize, pageToken };
        const page = await syncs.listSyncRuns(request, { signal: cli.signal });
        runs.push(...page.runs);
        pageToken = page.nextPageToken;
      } while (pageToken !== '' && runs.length < limit);
      await cli.print({ runs: runs.map(runJson) }, () => runTable(runs));
    });

  noun
    .command('get')
    .argument('<run>', 'the run')
    .description('show a run')
    .action(async (runId: string) => {
      const { syncs } = await cli.connect();
      await printRun(cli, (await syncs.getSyncRun({ runId }, { signal: cli.signal })).run);
    });
}

function addWatch(noun: Command, cli: Cli): void {
  noun
    .command('watch')
    .argument('<run>', 'the run')
    .description('show the progress of a run until it ends; exit code 6 if it is held, 1 if it failed')
    .action(async (runId: string) => {
      const gateway = await cli.connect();
      const progress = new Progress(cli.notes);
      let last: SyncRun | undefined;
      const done = await untilInterrupted(cli, async () => {
        for await (const run of followRun(gateway, runId, cli.signal)) {
          last = run;
          await (cli.json ? cli.out.json([writeJson(runJson(run))]) : progress.update(run));
        }
        return true;
      }).finally(() => progress.end());
      if (done === true && last !== undefined) {
        await (cli.json ? undefined : cli.out.lines(runSummary([last])));
        cli.exitCode = exitCodeOfRuns([last]);
      }
    });
}

type Act = (
  syncs: Gateway['syncs'],
  runId: string,
  signal: AbortSignal,
) => Promise<{ run: SyncRun | undefined }>;

const ACTIONS: Readonly<Record<string, readonly [string, Act]>> = {
  pause: [
    'stop a run at its next page; it keeps its checkpoint',
    (s, runId, signal) => s.pauseSyncRun({ runId }, { signal }),
  ],
  resume: ['let a paused run go on', (s, runId, signal) => s.resumeSyncRun({ runId }, { signal })],
  cancel: [
    'end a run; what it committed stands',
    (s, runId, signal) => s.cancelSyncRun({ runId }, { signal }),
  ],
  approve: ["let a held run's deletes happen", (s, runId, signal) => s.approveSyncRun({ runId }, { signal })],
  discard: ["drop a held run's deletes", (s, runId, signal) => s.discardSyncRun({ runId }, { signal })],
};

function addActions(noun: Command, cli: Cli): void {
  for (const [name, [description, act]] of Object.entries(ACTIONS)) {
    noun
      .command(name)
      .argument('<run>', 'the run')
      .description(description)
      .action(async (runId: string) => {
        const { syncs } = await cli.connect();
        await printRun(cli, (await act(syncs, runId, cli.signal)).run);
      });
  }
}

async function printRun(cli: Cli, run: SyncRun | undefined): Promise<void> {
  if (run !== undefined) {
    await cli.print(runJson(run), () => formatFields(runFields(run)));
  }
}

import { WatchStart, type WatchChangesResponse } from '@tidemark/contracts';
import { isTidemarkError, type TidemarkError } from '@tidemark/model';
import { Option } from 'commander';
import { untilInterrupted, type Cli, type Register } from '../cli.js';
import type { Gateway } from '../gateway.js';
import { writeJson } from '../json.js';
import { collect } from '../options.js';
import { changeJson, positionJson } from '../record-json.js';
import { batchLines } from '../record-text.js';
import { pauseBeforeRetry } from '../run-follower.js';

interface WatchOptions {
  readonly model?: string[];
  readonly since?: string;
}

/** `tidemark changes …` */
export const changes: Register = (program, cli) => {
  program
    .command('changes')
    .description('the changes of records')
    .command('watch')
    .argument('<connection>', 'the connection')
    .option('--model <model>', 'only this model; may be given several times', collect)
    .addOption(new Option('--since <cursor>', 'replay what came after it, then follow').conflicts('fromNow'))
    .addOption(new Option('--from-now', 'follow from now on (the default)'))
    .description('follow changes live until Ctrl-C')
    .action(async (connectionId: string, options: WatchOptions) => {
      const gateway = await cli.connect();
      let cursor = options.since;
      let isSaid = cli.json;
      await untilInterrupted(cli, async () => {
        for await (const batch of follow(gateway, connectionId, options, cli)) {
          cursor = batch.cursor === '' ? cursor : batch.cursor;
          if (!isSaid) {
            await cli.notes.lines([`Following the changes of ${connectionId} until Ctrl-C.`]);
            isSaid = true;
          }
          await printBatch(cli, batch);
        }
      });
      if (cursor !== undefined && !cli.json) {
        await cli.notes.lines([
          `Go on from here with: tidemark changes watch ${connectionId} --since ${cursor}`,
        ]);
      }
    });
};

/** Batches of changes without end; a service that restarts meanwhile is waited for, a minute at most. */
async function* follow(
  { records }: Gateway,
  connectionId: string,
  { model, since }: WatchOptions,
  { signal, notes }: Cli,
): AsyncGenerator<WatchChangesResponse> {
  let cursor = since;
  let heardAt = Date.now();
  for (;;) {
    const request = {
      connectionIds: [connectionId],
      models: model ?? [],
      cursors: cursor === undefined ? [] : [cursor],
      start: WatchStart.FROM_NOW,
    };
    let failure: TidemarkError | undefined;
    try {
      for await (const batch of records.watchChanges(request, { signal })) {
        heardAt = Date.now();
        cursor = batch.cursor === '' ? cursor : batch.cursor;
        yield batch;
      }
    } catch (error) {
      if (!isTidemarkError(error)) {
        throw error;
      }
      failure = error;
    }
    if (cursor === undefined && failure !== undefined) {
      // Without a position, going on "from now" could leave changes out.
      throw failure;
    }
    await pauseBeforeRetry(failure, heardAt, signal);
    await notes.lines(['The stream ended; watching again from the last cursor.']);
  }
}

/** For programs, each change and then the position after them, so that a watcher killed at any time can go on. */
async function printBatch(cli: Cli, batch: WatchChangesResponse): Promise<void> {
  if (cli.json) {
    await cli.out.json([...batch.changes.map(changeJson), positionJson(batch)].map(writeJson));
    return;
  }
  await cli.out.lines(batchLines(batch));
  if (batch.changes.length > 0) {
    await cli.notes.lines([`   after this: --since ${batch.cursor}`]);
  }
}

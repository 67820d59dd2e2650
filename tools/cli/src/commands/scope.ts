import { resolve } from 'node:path';
import type { GetScopeResponse, ScopeReceipt, SetScopeResponse } from '@tidemark/contracts';
import type { Command } from 'commander';
import { untilInterrupted, type Cli, type Register } from '../cli.js';
import { ExitCode } from '../exit-code.js';
import { SOURCE_DEADLINE_MS } from '../gateway.js';
import { printable } from '../printable.js';
import { waitForPurge } from '../purge-follower.js';
import { readScopeFile } from '../scope-file.js';
import { receiptJson, scopeJson, scopeStatusJson } from '../scope-json.js';
import { receiptText, scopeLines } from '../scope-text.js';

interface SetOptions {
  readonly file: string;
  readonly wait?: boolean;
}

/** `tidemark scope …` */
export const scope: Register = (program, cli) => {
  const noun = program.command('scope').description('what may be stored of a connection');
  addGet(noun, cli);
  addSet(noun, cli);
};

function addGet(noun: Command, cli: Cli): void {
  noun
    .command('get')
    .argument('<connection>', 'the connection')
    .description('show the models, fields and index fields in scope, and what was purged')
    .action(async (connectionId: string) => {
      const { connections } = await cli.connect();
      const status = await connections.getScope({ connectionId }, { signal: cli.signal });
      await cli.print(scopeStatusJson(status), () => scopeLines(status));
    });
}

function addSet(noun: Command, cli: Cli): void {
  noun
    .command('set')
    .argument('<connection>', 'the connection')
    .requiredOption(
      '-f, --file <file>',
      'the scope, YAML or JSON: `MODEL: [FIELD, …]` or `MODEL: {fields: […], index: […]}` for each model; a connection file; or what `scope get --json` printed',
    )
    .option('--wait', 'wait until what it no longer allows is purged')
    .description(
      'replace the scope: purges what it no longer allows, history included, and backfills what it adds',
    )
    .action(async (connectionId: string, options: SetOptions) => {
      const wanted = await readScopeFile(connectionId, {
        path: resolve(cli.cwd, options.file),
        env: cli.env,
      });
      const gateway = await cli.connect();
      const request = { connectionId, scope: wanted };
      const set = await gateway.connections.setScope(request, {
        signal: cli.signal,
        deadlineMs: SOURCE_DEADLINE_MS,
      });
      if (options.wait !== true || !set.purging) {
        await printSet(cli, connectionId, set, undefined);
        return;
      }
      const status = await untilInterrupted(cli, () => waitForPurge(gateway, connectionId, cli.signal));
      if (status === undefined) {
        await cli.notes.lines([
          `Interrupted; the purge goes on. See it with: tidemark scope get ${connectionId}`,
        ]);
        cli.exitCode = ExitCode.INTERRUPTED;
        return;
      }
      await printSet(cli, connectionId, { ...set, purging: false }, receiptOf(status, set));
    });
}

/** The receipt of the purge that a change led to; one that another change joined meanwhile has that one's revision. */
function receiptOf(
  { receipts }: GetScopeResponse,
  { scope: set }: SetScopeResponse,
): ScopeReceipt | undefined {
  return receipts.filter(({ revision }) => revision >= (set?.revision ?? 0n)).at(-1);
}

async function printSet(
  cli: Cli,
  connectionId: string,
  { scope: set, purging, runIds }: SetScopeResponse,
  receipt: ScopeReceipt | undefined,
): Promise<void> {
  const json = {
    ...(set === undefined ? {} : scopeJson(set)),
    purging,
    runIds,
    ...(receipt === undefined ? {} : { receipt: receiptJson(receipt) }),
  };
  await cli.print(json, () =>
    [
      `The scope of ${connectionId} is at revision ${set?.revision ?? 0n}.`,
      ...(purging
        ? [`What it no longer allows is being purged. See how far with: tidemark scope get ${connectionId}`]
        : []),
      ...(receipt === undefined ? [] : [receiptText(receipt)]),
      ...runIds.map((id) => `Follow the backfill with: tidemark sync watch ${id}`),
    ].map(printable),
  );
}

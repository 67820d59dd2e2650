import { resolve } from 'node:path';
import type { Connection, ConnectionSpec, Model } from '@tidemark/contracts';
import type { Command } from 'commander';
import type { Cli, Register } from '../cli.js';
import { readConnectionFile } from '../connection-file.js';
import { connectionJson, modelJson } from '../connection-json.js';
import { connectionFields, connectionTable, modelTable } from '../connection-text.js';
import { ExitCode } from '../exit-code.js';
import { SOURCE_DEADLINE_MS } from '../gateway.js';
import { printable } from '../printable.js';
import { formatCount } from '../time.js';
import { usageError } from '../usage.js';

const FILE = ['-f, --file <file>', 'the connection file, YAML or JSON'] as const;

/** `tidemark connections …` */
export const connections: Register = (program, cli) => {
  const noun = program.command('connections').description('links to sources');
  addWriting(noun, cli);
  addReading(noun, cli);
  addSource(noun, cli);
  addPausing(noun, cli);
};

function addWriting(noun: Command, cli: Cli): void {
  noun
    .command('create')
    .requiredOption(...FILE)
    .description('create a connection and start its first syncs')
    .action(async (options: { file: string }) => {
      const spec = await readSpec(cli, options.file);
      const { connections } = await cli.connect();
      const { connection, runIds } = await connections.createConnection({ spec }, slow(cli));
      await printConnection(cli, connection, runIds, 'Created');
    });

  noun
    .command('update')
    .argument('<id>', 'the connection')
    .requiredOption(...FILE)
    .description("replace a connection's settings; without credentials in the file, the stored ones stay")
    .action(async (id: string, options: { file: string }) => {
      const spec = await readSpec(cli, options.file);
      if (spec.id !== id) {
        throw usageError(`The file is about ${spec.id}, not about ${id}; a connection's name cannot change.`);
      }
      const { connections } = await cli.connect();
      const { connection, runIds } = await connections.updateConnection({ spec }, slow(cli));
      await printConnection(cli, connection, runIds, 'Updated');
    });

  noun
    .command('delete')
    .argument('<id>', 'the connection')
    .description('delete a connection with all its records and history')
    .action(async (connectionId: string) => {
      const { connections } = await cli.connect();
      const { removedRecords } = await connections.deleteConnection({ connectionId }, slow(cli));
      await cli.print({ removedRecords }, () => [
        `Deleted ${printable(connectionId)} and its ${formatCount(removedRecords)} records.`,
      ]);
    });
}

function addReading(noun: Command, cli: Cli): void {
  noun
    .command('list')
    .description('list the connections')
    .action(async () => {
      const { connections } = await cli.connect();
      const found: Connection[] = [];
      let pageToken = '';
      do {
        const page = await connections.listConnections({ pageToken }, { signal: cli.signal });
        found.push(...page.connections);
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      await cli.print({ connections: found.map(connectionJson) }, () => connectionTable(found));
    });

  noun
    .command('get')
    .argument('<id>', 'the connection')
    .description('show a connection')
    .action(async (connectionId: string) => {
      const { connections } = await cli.connect();
      const { connection } = await connections.getConnection({ connectionId }, { signal: cli.signal });
      await printConnection(cli, connection);
    });
}

function addSource(noun: Command, cli: Cli): void {
  noun
    .command('check')
    .argument('<id>', 'the connection')
    .description('ask the source whether it can be read; exit code 1 if not')
    .action(async (connectionId: string) => {
      const { connections } = await cli.connect();
      const { ok, problems } = await connections.checkConnection({ connectionId }, slow(cli));
      await cli.print({ ok, problems }, () => (ok ? ['The source can be read.'] : problems.map(printable)));
      cli.exitCode = ok ? ExitCode.DONE : ExitCode.FAILED;
    });

  noun
    .command('discover')
    .argument('<id>', 'the connection')
    .description('ask the source for its models')
    .action(async (connectionId: string) => {
      const { connections } = await cli.connect();
      const { models } = await connections.discoverConnection({ connectionId }, slow(cli));
      await cli.print({ models: models.map(modelJson) }, () => modelTable(models));
      await sayHowToTake(cli, models);
    });
}

function addPausing(noun: Command, cli: Cli): void {
  noun
    .command('pause')
    .argument('<id>', 'the connection')
    .description('pause a connection; reads go on')
    .action(async (connectionId: string) => {
      const { connections } = await cli.connect();
      const { connection } = await connections.pauseConnection({ connectionId }, { signal: cli.signal });
      await printConnection(cli, connection, [], 'Paused');
    });

  noun
    .command('resume')
    .argument('<id>', 'the connection')
    .description('resume a paused connection and its paused runs')
    .action(async (connectionId: string) => {
      const { connections } = await cli.connect();
      const { connection } = await connections.resumeConnection({ connectionId }, { signal: cli.signal });
      await printConnection(cli, connection, [], 'Resumed');
    });
}

/** Prints a connection: for people in full, or in a line on what was done and which runs that started. */
async function printConnection(
  cli: Cli,
  connection: Connection | undefined,
  runIds: readonly string[] = [],
  done?: string,
): Promise<void> {
  if (connection === undefined) {
    return;
  }
  const json = { ...connectionJson(connection), ...(runIds.length === 0 ? {} : { runIds }) };
  await cli.print(json, () =>
    done === undefined ? connectionFields(connection) : outcome(connection, runIds, done),
  );
}

function outcome(connection: Connection, runIds: readonly string[], done: string): string[] {
  const models = connection.scope?.models.map(({ model }) => model).join(', ') ?? '';
  return [
    printable(`${done} ${connection.id} (connector ${connection.connector}; in scope: ${models}).`),
    ...runIds.map((id) => printable(`Follow its sync with: tidemark sync watch ${id}`)),
  ];
}

async function sayHowToTake(cli: Cli, models: readonly Model[]): Promise<void> {
  if (!cli.json && models.length > 0) {
    await cli.notes.lines([
      'Only models and fields in the scope are synced. See it with: tidemark scope get CONNECTION',
    ]);
  }
}

function readSpec(cli: Cli, file: string): Promise<ConnectionSpec> {
  return readConnectionFile(resolve(cli.cwd, file), cli.env);
}

function slow(cli: Cli): { signal: AbortSignal; deadlineMs: number } {
  return { signal: cli.signal, deadlineMs: SOURCE_DEADLINE_MS };
}

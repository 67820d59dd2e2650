import type { RecordVersion } from '@tidemark/contracts';
import { Option, type Command } from 'commander';
import type { Cli, Register } from '../cli.js';
import { writeJson } from '../json.js';
import { collect, list, wholeNumber } from '../options.js';
import { recordJson, versionJson } from '../record-json.js';
import { listRecords, type ListOptions } from '../record-list.js';
import { recordFields, versionTable } from '../record-text.js';
import { parseMoment } from '../time.js';

const PAGE = 1000;

/** `tidemark records …` */
export const records: Register = (program, cli) => {
  const noun = program.command('records').description('the records stored');
  addList(noun, cli);
  addGet(noun, cli);
  addHistory(noun, cli);
};

function addList(noun: Command, cli: Cli): void {
  noun
    .command('list')
    .argument('<connection>', 'the connection')
    .argument('<model>', 'the model')
    .addOption(
      new Option(
        '--updated-after <time>',
        'only records changed after it: ISO 8601, or -10m for ten minutes ago',
      ).conflicts(['cursor', 'asOf']),
    )
    .addOption(new Option('--cursor <cursor>', 'only records changed after it').conflicts('asOf'))
    .option('--no-deleted', 'leave tombstones out')
    .option('--fields <paths>', 'only these fields: a,b.c', list)
    .option(
      '--where <field=value>',
      'only records with this value in an index field (see scope get); true, 7, "7" and the like are taken as JSON, all else as text; may be given several times, then every one counts',
      collect,
    )
    .option('--limit <n>', 'end after so many', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option('--as-of <time>', 'all records as they were at that time: ISO 8601, or -10m for ten minutes ago')
    .description('list records in the order of their changes')
    .action((connectionId: string, model: string, options: ListOptions) =>
      listRecords(cli, connectionId, model, options),
    );
}

function addGet(noun: Command, cli: Cli): void {
  noun
    .command('get')
    .argument('<connection>', 'the connection')
    .argument('<model>', 'the model')
    .argument('<id>', 'the record')
    .addOption(new Option('--as-of <time>', 'as it was at that time').conflicts('version'))
    .addOption(
      new Option('--version <n>', 'as it was in that version').argParser(
        wholeNumber(1, Number.MAX_SAFE_INTEGER),
      ),
    )
    .description('show a record')
    .action(
      async (
        connectionId: string,
        model: string,
        id: string,
        options: { asOf?: string; version?: number },
      ) => {
        const { records } = await cli.connect();
        const at =
          options.asOf !== undefined
            ? { $case: 'asOf' as const, value: parseMoment(options.asOf, '--as-of', new Date()) }
            : options.version !== undefined
              ? { $case: 'version' as const, value: BigInt(options.version) }
              : undefined;
        const request = { connectionId, model, id, ...(at === undefined ? {} : { at }) };
        const { record } = await records.getRecord(request, { signal: cli.signal });
        if (record !== undefined) {
          await cli.print(recordJson(record), () => recordFields(record));
        }
      },
    );
}

function addHistory(noun: Command, cli: Cli): void {
  noun
    .command('history')
    .argument('<connection>', 'the connection')
    .argument('<model>', 'the model')
    .argument('<id>', 'the record')
    .option('--limit <n>', 'list so many at most', wholeNumber(1, 100_000), 100)
    .description("list a record's versions, newest first")
    .action(async (connectionId: string, model: string, id: string, { limit }: { limit: number }) => {
      const { records } = await cli.connect();
      const versions: RecordVersion[] = [];
      let pageToken = '';
      do {
        const pageSize = Math.min(PAGE, limit - versions.length);
        const request = { connectionId, model, id, pageSize, pageToken };
        const page = await records.listRecordVersions(request, { signal: cli.signal });
        versions.push(...page.versions);
        pageToken = page.nextPageToken;
      } while (pageToken !== '' && versions.length < limit);
      if (cli.json) {
        await cli.out.json([writeJson({ versions: versions.map(versionJson) })]);
      } else {
        await cli.out.lines(versionTable(versions));
      }
    });
}

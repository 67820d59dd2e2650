import { RejectReason, type QuarantinedRecord } from '@tidemark/contracts';
import type { Register } from '../cli.js';
import { enumName } from '../json.js';
import { wholeNumber } from '../options.js';
import { quarantinedJson } from '../record-json.js';
import { formatTable } from '../table.js';
import { formatTime } from '../time.js';

const PAGE = 1000;

/** `tidemark quarantine …` */
export const quarantine: Register = (program, cli) => {
  program
    .command('quarantine')
    .description('records that could not be stored')
    .command('list')
    .argument('<connection>', 'the connection')
    .option('--limit <n>', 'list so many at most', wholeNumber(1, 100_000), 100)
    .description('list them with the reasons')
    .action(async (connectionId: string, { limit }: { limit: number }) => {
      const { records } = await cli.connect();
      const found: QuarantinedRecord[] = [];
      let pageToken = '';
      do {
        const request = { connectionId, pageSize: Math.min(PAGE, limit - found.length), pageToken };
        const page = await records.listQuarantine(request, { signal: cli.signal });
        found.push(...page.records);
        pageToken = page.nextPageToken;
      } while (pageToken !== '' && found.length < limit);
      await cli.print({ records: found.map(quarantinedJson) }, () =>
        found.length === 0 ? ['No record is in quarantine.'] : quarantineTable(found),
      );
    });
};

function quarantineTable(records: readonly QuarantinedRecord[]): string[] {
  return formatTable(
    [
      { title: 'MODEL', value: (row) => row.model },
      { title: 'POSITION', value: (row) => row.position },
      { title: 'ID', value: (row) => row.id ?? '-', max: 36 },
      { title: 'REASON', value: (row) => enumName(RejectReason, row.reason) },
      { title: 'MESSAGE', value: (row) => row.message, max: 200 },
      { title: 'REJECTED AT', value: (row) => formatTime(row.rejectedTime) },
      { title: 'RUN', value: (row) => row.runId },
    ],
    records,
  );
}

import type { GetScopeResponse, Scope, ScopeReceipt } from '@tidemark/contracts';
import { printable } from './printable.js';
import { formatTable, type Column } from './table.js';
import { formatCount, formatTime } from './time.js';

interface FieldRow {
  readonly model: string;
  readonly field: string;
  readonly isIndexed: boolean;
}

const FIELDS: readonly Column<FieldRow>[] = [
  { title: 'MODEL', value: (row) => row.model },
  { title: 'FIELD', value: (row) => row.field, max: 100 },
  { title: 'INDEX', value: (row) => (row.isIndexed ? 'yes' : '') },
];

const RECEIPTS: readonly Column<ScopeReceipt>[] = [
  { title: 'REVISION', right: true, value: ({ revision }) => revision.toString() },
  { title: 'ENDED AT', value: ({ endTime }) => (endTime === undefined ? 'under way' : formatTime(endTime)) },
  { title: 'CUT RECORDS', right: true, value: (row) => formatCount(row.changedRecords) },
  { title: 'REMOVED RECORDS', right: true, value: (row) => formatCount(row.removedRecords) },
  { title: 'PURGED VERSIONS', right: true, value: (row) => formatCount(row.purgedVersions) },
  { title: 'QUARANTINE', right: true, value: (row) => formatCount(row.purgedQuarantine) },
  { title: 'NARROWED MODELS', value: (row) => row.narrowedModels.join(', ') },
  { title: 'REMOVED MODELS', value: (row) => row.removedModels.join(', ') },
];

/** The fields of a scope, whether a purge is under way, and what was purged before. */
export function scopeLines({ scope, purging, receipts }: GetScopeResponse): string[] {
  return [
    ...formatTable(FIELDS, rowsOf(scope)),
    '',
    `Revision ${scope?.revision ?? 0n}. ${purging ? 'What it no longer allows is being purged; no read shows it.' : 'Nothing that it does not allow is stored.'}`,
    ...(receipts.length === 0 ? [] : ['', 'Purged:', ...formatTable(RECEIPTS, receipts)]),
  ];
}

/** Index fields that lie below a field have rows of their own. */
function rowsOf(scope: Scope | undefined): FieldRow[] {
  return (scope?.models ?? []).flatMap(({ model, fields, indexFields }) => {
    const below = indexFields.filter((path) => !fields.includes(path));
    const paths = [...fields, ...below];
    return paths.length === 0
      ? [{ model, field: '(nothing)', isIndexed: false }]
      : paths.map((field) => ({ model, field, isIndexed: indexFields.includes(field) }));
  });
}

/** What a purge removed, in one sentence. */
export function receiptText(receipt: ScopeReceipt): string {
  const { changedRecords, removedRecords, purgedVersions, purgedQuarantine } = receipt;
  const { narrowedModels, removedModels } = receipt;
  const versions = `${counted(purgedVersions, 'older version')} and ${counted(purgedQuarantine, 'quarantined record')}`;
  const parts = [
    ...(narrowedModels.length === 0
      ? []
      : [`fields of ${counted(changedRecords, 'record')} of ${narrowedModels.join(', ')}`]),
    ...(removedModels.length === 0
      ? []
      : [`${counted(removedRecords, 'record')} of ${removedModels.join(', ')}, which left the scope`]),
    versions,
  ];
  return printable(`Purged: ${parts.join('; ')}.`);
}

function counted(count: bigint, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1n ? '' : 's'}`;
}

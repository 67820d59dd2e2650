import type {
  Record as RecordMessage,
  StreamRecordsRequest,
  StreamRecordsResponse,
} from '@tidemark/contracts';
import { forTenant } from '@tidemark/rpc';
import type { StoreHarness } from './harness.js';
import type { ModelScope } from './model-scope.js';
import type { Content } from './model-source.js';

/** What a reader knows of a record: its version and content, or that it is gone. */
export type Known = ReadonlyMap<string, string>;

type Start = StreamRecordsRequest['start'];

/** One line of what a record is. */
export function line(record: RecordMessage): [string, string] {
  return [
    `${record.model}/${record.id}`,
    `v${record.version} ${record.deletedAt ? 'deleted' : Buffer.from(record.data).toString()}`,
  ];
}

/** A record's content; nothing for a tombstone. */
export function contentOf(record: RecordMessage): Partial<Content> {
  return record.deletedAt ? {} : (JSON.parse(Buffer.from(record.data).toString()) as Partial<Content>);
}

/** What a store gives out for a request, checked against the scope. */
export async function readRecords(
  store: StoreHarness,
  scope: ModelScope,
  what: string,
  request: Partial<StreamRecordsRequest> = {},
): Promise<{ records: RecordMessage[]; last: StreamRecordsResponse }> {
  const { connectionId, purged } = scope;
  const records: RecordMessage[] = [];
  let last: StreamRecordsResponse | undefined;
  const stream = store.reading.streamRecords({ connectionId, ...request }, { metadata: forTenant('acme') });
  for await (const response of stream) {
    for (const record of response.records)
      scope.check(what, purged, record.model, record.sequence, contentOf(record));
    records.push(...response.records);
    last = response;
  }
  if (last?.completeThrough === undefined) throw new Error('a stream ended without a watermark');
  return { records, last };
}

/** Follows a connection by one kind of position, from read to read. */
export class ModelReader {
  readonly #known = new Map<string, string>();
  #start: Start;

  constructor(
    readonly scope: ModelScope,
    readonly kind: 'cursor' | 'watermark' | 'wall clock',
  ) {}

  get known(): Known {
    return this.#known;
  }

  /** Reads what is new; `limit` 0 reads all. Knows no more than before if the read fails. */
  async read(store: StoreHarness, limit: number): Promise<void> {
    const began = new Date();
    // A wall clock says nothing of what a limit cut off.
    const most = this.kind === 'wall clock' ? 0n : BigInt(limit);
    const { records, last } = await readRecords(store, this.scope, `the ${this.kind} reader`, {
      limit: most,
      pageSize: 3,
      ...(this.#start ? { start: this.#start } : {}),
    });
    for (const record of records) this.#known.set(...line(record));
    this.#start = this.#next(last, began);
  }

  #next(last: StreamRecordsResponse, began: Date): Start {
    switch (this.kind) {
      case 'cursor':
        return { $case: 'cursor', value: last.cursor };
      case 'watermark':
        return { $case: 'updatedAfter', value: last.completeThrough ?? began };
      case 'wall clock':
        return { $case: 'updatedAfter', value: began };
    }
  }
}

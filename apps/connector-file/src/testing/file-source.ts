import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ConnectorHandlers } from '@tidemark/connector-kit';
import {
  RejectReason,
  SyncKind,
  type Page,
  type ReadEnd,
  type ReadRequest,
  type SourceSettings,
} from '@tidemark/contracts';
import { FileConnector } from '../file-connector.js';
import { Roots } from '../roots.js';

/** What a test read. */
export interface ReadResult {
  readonly pages: readonly Page[];
  /** Records as `id` to canonical JSON, in order. */
  readonly records: readonly (readonly [string, string])[];
  /** Rejected records as `reason position` or `reason position (id)`. */
  readonly rejected: readonly string[];
  /** Undefined if the reader left before. */
  readonly end: ReadEnd | undefined;
}

/** What differs from the usual request. */
export type ReadOptions = Partial<
  Pick<ReadRequest, 'checkpoint' | 'fields' | 'pageRecords' | 'pageBytes' | 'kind'>
> & {
  /** Called after each page; what it returns true for is the last one read. */
  readonly onPage?: (page: Page) => Promise<boolean | void> | boolean | void;
};

/** A folder of files and the connector that reads it. It reads on only when a test asks for the next page. */
export class FileSource {
  readonly handlers: ConnectorHandlers<unknown, unknown>;
  readonly context = { signal: new AbortController().signal };

  private constructor(readonly folder: string) {
    this.handlers = new ConnectorHandlers(new FileConnector(new Roots([folder])));
  }

  static async start(): Promise<FileSource> {
    return new FileSource(await mkdtemp(join(tmpdir(), 'tidemark-files-')));
  }

  async stop(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Writes a file of the folder and gives back its path. */
  async write(name: string, content: string | Buffer): Promise<string> {
    const path = join(this.folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
    return path;
  }

  settings(config: object): SourceSettings {
    return { config: Buffer.from(JSON.stringify({ path: '.', ...config })), credentials: Buffer.alloc(0) };
  }

  /** Reads a model to its end, or as far as `onPage` says. */
  async read(config: object, model: string, options: ReadOptions = {}): Promise<ReadResult> {
    const { onPage, ...given } = options;
    const request: ReadRequest = {
      checkpoint: Buffer.alloc(0),
      settings: this.settings(config),
      model,
      kind: SyncKind.FULL,
      fields: ['id', 'name'],
      fingerprintKey: Buffer.alloc(32, 7),
      pageRecords: 2,
      pageBytes: 1024 * 1024,
      overlap: undefined,
      ...given,
    };
    const pages: Page[] = [];
    let end: ReadEnd | undefined;
    for await (const { message } of this.handlers.read(request, this.context)) {
      if (message?.$case === 'end') end = message.value;
      if (message?.$case !== 'page') continue;
      pages.push(message.value);
      if ((await onPage?.(message.value)) === true) break;
    }
    return { pages, records: pages.flatMap(recordsOf), rejected: pages.flatMap(rejectedOf), end };
  }
}

/** Records of a page as `id` to canonical JSON. */
export function recordsOf(page: Page): [string, string][] {
  return page.records.map((record) => [record.id, Buffer.from(record.payload).toString()]);
}

function rejectedOf(page: Page): string[] {
  return page.rejected.map(
    ({ reason, position, id }) => `${RejectReason[reason]} ${position}${id === undefined ? '' : ` (${id})`}`,
  );
}

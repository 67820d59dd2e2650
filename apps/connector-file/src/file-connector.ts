import type { Connector, DiscoveredModel, Reading, ReadTask, Source } from '@tidemark/connector-kit';
import { checkFolder } from './check.js';
import { readCountFile } from './count-file.js';
import { discoverModels } from './discover.js';
import { FileReading } from './file-reading.js';
import { Folder } from './model-files.js';
import type { Roots } from './roots.js';
import { fileCredentials, fileSettings, type FileSettings } from './settings.js';

type FileSource = Source<FileSettings>;

/** Reads folders of CSV, JSON Lines and JSON files. */
export class FileConnector implements Connector<FileSettings, Record<string, never>> {
  readonly name = 'file';
  readonly description = 'Reads a folder of CSV, JSON Lines and JSON files, a model per file or glob.';
  readonly version = '0.1.0';
  readonly config = fileSettings;
  readonly credentials = fileCredentials;

  constructor(private readonly roots: Roots) {}

  async check(source: FileSource): Promise<string[]> {
    return checkFolder(this.roots, source.config, source.signal);
  }

  async discover(source: FileSource): Promise<DiscoveredModel[]> {
    return discoverModels(await Folder.open(this.roots, source.config), source.signal);
  }

  async read(source: FileSource, task: ReadTask): Promise<Reading> {
    const folder = await Folder.open(this.roots, source.config);
    const model = await folder.model(task.model);
    const { primaryKey, countFile } = model;
    const expectedRecords = countFile === undefined ? undefined : await readCountFile(folder, countFile);
    const fields = task.scope.all ? undefined : [...new Set([...primaryKey, ...task.scope.names])];
    const mayBeEmpty = expectedRecords !== undefined;
    const settings = { primaryKey, fields, mayBeEmpty, signal: source.signal };
    const reading = await FileReading.begin({ folder, model, settings, expectedRecords }, task.checkpoint);
    const entries = reading.entries();
    return expectedRecords === undefined ? { primaryKey, entries } : { primaryKey, entries, expectedRecords };
  }
}

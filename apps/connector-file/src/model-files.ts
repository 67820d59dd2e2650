import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { TidemarkError } from '@tidemark/model';
import { isDynamicPattern } from 'tinyglobby';
import { configFault, fileFault } from './file-faults.js';
import { globFiles } from './glob-files.js';
import { isWithin, type Roots } from './roots.js';
import { modelSettings, type FileSettings, type ModelSettings } from './settings.js';

/** Files of one model at most. */
const MAX_FILES = 10_000;
/** Models that a folder makes by itself, at most; a connection has no more anyway. */
const MAX_MODELS = 1_000;

/** A format that rows are read from. */
export type FileFormat = NonNullable<ModelSettings['format']>;

/** One file of a model. */
export interface ModelFile {
  /** Relative to the connection's folder, as positions and messages call it. */
  readonly name: string;
  /** Real path. */
  readonly path: string;
  readonly format: FileFormat;
  readonly gzip: boolean;
}

const EXTENSION = /\.(csv|jsonl|ndjson|json)(\.gz)?$/i;
const FORMATS: Readonly<Record<string, FileFormat>> = {
  csv: 'csv',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  json: 'json',
};

/** The folder of one connection. */
export class Folder {
  private constructor(
    private readonly roots: Roots,
    private readonly path: string,
    private readonly settings: FileSettings,
  ) {}

  /** Throws SOURCE_CONFIG_INVALID if the folder cannot be read. */
  static async open(roots: Roots, settings: FileSettings): Promise<Folder> {
    const path = await roots.folder(settings.path);
    await listNames(path, settings.path);
    return new Folder(roots, path, settings);
  }

  /** Names of the models, sorted. Throws SOURCE_CONFIG_INVALID if two files claim one name. */
  async modelNames(): Promise<string[]> {
    if (this.settings.models !== undefined) return Object.keys(this.settings.models).sort();
    const names = (await this.dataFiles()).map(modelNameOf);
    if (names.length > MAX_MODELS)
      throw configFault(`the folder holds more than ${MAX_MODELS} files: declare the models in the config`);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) throw ambiguous(twice);
    return names.sort();
  }

  /** Settings of a model. Throws SOURCE_GONE, or MODEL_NOT_FOUND for a name that was never declared. */
  async model(name: string): Promise<ModelSettings> {
    if (this.settings.models !== undefined) {
      const settings = Object.hasOwn(this.settings.models, name) ? this.settings.models[name] : undefined;
      if (settings === undefined)
        throw new TidemarkError('MODEL_NOT_FOUND', `the config has no model ${name}`);
      return settings;
    }
    const [file, another] = (await this.dataFiles()).filter((each) => modelNameOf(each) === name);
    if (another !== undefined) throw ambiguous(name);
    if (file === undefined) throw gone(`the folder holds no file for model ${name}`);
    return modelSettings.parse({ file });
  }

  /** Files of a model in the order of their names, at least one. Throws SOURCE_GONE if there is none. */
  async files(settings: ModelSettings): Promise<ModelFile[]> {
    const names = await this.match(settings.file);
    if (names.length === 0) throw gone(`no file matches ${settings.file}`);
    if (names.length > MAX_FILES) throw configFault(`more than ${MAX_FILES} files match ${settings.file}`);
    return Promise.all(names.sort().map((name) => this.modelFile(name, settings)));
  }

  /** Real path of a file in the folder. */
  async realPath(name: string): Promise<string> {
    return this.roots.file(this.path, name);
  }

  private async modelFile(name: string, settings: ModelSettings): Promise<ModelFile> {
    const format = settings.format ?? FORMATS[EXTENSION.exec(name)?.[1]?.toLowerCase() ?? ''];
    if (format === undefined)
      throw configFault(`the format of ${name} is not clear from its name: set format`);
    return { name, path: await this.realPath(name), format, gzip: /\.gz$/i.test(name) };
  }

  private async match(pattern: string): Promise<string[]> {
    // A file of just that name is meant, even if the name reads like a glob: `people (1).csv`.
    if (!isDynamicPattern(pattern) || this.holds(pattern)) return [pattern];
    try {
      return await globFiles(this.path, pattern, (real) => this.roots.demandInside(real, pattern));
    } catch (error) {
      throw fileFault(error, pattern);
    }
  }

  private holds(name: string): boolean {
    const path = resolve(this.path, name);
    return isWithin(this.path, path) && existsSync(path);
  }

  private async dataFiles(): Promise<string[]> {
    const names = await listNames(this.path, this.settings.path);
    return names.filter((name) => EXTENSION.test(name) && !name.startsWith('.'));
  }
}

async function listNames(path: string, name: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    throw fileFault(error, name);
  }
}

function modelNameOf(file: string): string {
  return file
    .replace(EXTENSION, '')
    .replace(/[^A-Za-z0-9_.-]/g, '_')
    .slice(0, 128);
}

function ambiguous(model: string): TidemarkError {
  return configFault(`more than one file would be model ${model}: declare the models in the config`);
}

function gone(message: string): TidemarkError {
  return new TidemarkError('SOURCE_GONE', message);
}

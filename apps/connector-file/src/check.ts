import { TidemarkError } from '@tidemark/model';
import { ByteInput } from './byte-input.js';
import { readCountFile } from './count-file.js';
import { CsvColumns } from './csv-columns.js';
import { readCsvHeader } from './csv-header.js';
import { Folder, type ModelFile } from './model-files.js';
import type { Roots } from './roots.js';
import type { FileSettings, ModelSettings } from './settings.js';

/** Does something; a fault of the source becomes a problem, and the result is undefined. */
type Attempt = <T>(action: () => Promise<T>) => Promise<T | undefined>;

/** What keeps a folder's models from being read, a sentence each. */
export async function checkFolder(
  roots: Roots,
  settings: FileSettings,
  signal: AbortSignal,
): Promise<string[]> {
  const problems: string[] = [];
  await findProblems(roots, settings, signal, problems);
  return problems.map((problem) => `${problem}.`);
}

async function findProblems(
  roots: Roots,
  settings: FileSettings,
  signal: AbortSignal,
  problems: string[],
): Promise<void> {
  const attempt: Attempt = async (action) => {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      problems.push(error.message);
      return undefined;
    }
  };
  const folder = await attempt(() => Folder.open(roots, settings));
  if (folder === undefined) return;
  const names = (await attempt(() => folder.modelNames())) ?? [];
  if (names.length === 0 && problems.length === 0) {
    problems.push(
      `${settings.path} holds no .csv, .jsonl, .ndjson or .json file: put some there, or declare models`,
    );
  }
  for (const name of names) await attempt(() => checkModel(folder, name, attempt, signal));
}

async function checkModel(
  folder: Folder,
  name: string,
  attempt: Attempt,
  signal: AbortSignal,
): Promise<void> {
  const model = await folder.model(name);
  const { countFile } = model;
  if (countFile !== undefined) await attempt(() => readCountFile(folder, countFile));
  for (const file of await folder.files(model)) await attempt(() => checkFile(file, model, signal));
}

async function checkFile(file: ModelFile, model: ModelSettings, signal: AbortSignal): Promise<void> {
  const input = await ByteInput.open(file);
  try {
    if (file.format !== 'csv') return;
    const header = await readCsvHeader(input, model, signal);
    void new CsvColumns(file.name, header.names, { ...model, fields: Object.keys(model.columns) });
  } finally {
    await input.close();
  }
}

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { running, startUp, tidemark, until, type Running, type Up } from './testing/tidemark.js';
import { SAMPLE_FOLDER } from './up/sample.js';

const SLOW = 180_000;

const shown = z.object({
  id: z.string(),
  version: z.number(),
  deletedAt: z.string().optional(),
  data: z.looseObject({}).nullable(),
});
const changed = shown.extend({
  operation: z.string(),
  cause: z.string(),
  changedFields: z.array(z.string()),
});
const position = z.object({ completeThrough: z.string(), cursor: z.string() });

let cwd: string;
let csv: string;
let up: Up;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'tidemark-mirror-'));
  csv = join(cwd, 'exports', 'employees.csv');
  await promisify(execFile)(process.execPath, [join(SAMPLE_FOLDER, 'generate.mjs'), join(cwd, 'exports')]);
  await copyFile(join(SAMPLE_FOLDER, 'connection.yaml'), join(cwd, 'connection.yaml'));
  up = await startUp(cwd);
  expect(await tidemark(cwd, 'connections', 'create', '-f', 'connection.yaml')).toMatchObject({ code: 0 });
  await sync();
}, SLOW);
afterAll(async () => {
  up.child.kill('SIGTERM');
  await up.ended;
  await rm(cwd, { recursive: true, force: true });
});

const json = (line: string): unknown => JSON.parse(line);

/** Counters of a full sync of the employees. */
async function sync() {
  const { code, stdout, stderr } = await tidemark(
    cwd,
    'sync',
    'run',
    'acme-hr',
    '--full',
    '--wait',
    '--json',
  );
  expect([code, stderr.includes('failed')]).toEqual([0, false]);
  const { runs } = z
    .object({ runs: z.array(z.object({ model: z.string(), counters: z.record(z.string(), z.number()) })) })
    .parse(json(stdout));
  return runs.find(({ model }) => model === 'employees')?.counters;
}

/** Employees, and where the list ends. */
async function list(...options: string[]) {
  const { code, stdout } = await tidemark(
    cwd,
    'records',
    'list',
    'acme-hr',
    'employees',
    '--json',
    ...options,
  );
  expect(code).toBe(0);
  const lines = stdout.trimEnd().split('\n').map(json);
  return { records: z.array(shown).parse(lines.slice(0, -1)), ...position.parse(lines.at(-1)) };
}

async function edit(change: (text: string) => string): Promise<void> {
  await writeFile(csv, change(await readFile(csv, 'utf8')));
}

const replaceInRow = (text: string, id: string, from: RegExp, to: string) =>
  text.replace(new RegExp(`^${id},.*$`, 'm'), (row) => row.replace(from, to));
const removeRow = (text: string, id: string) => text.replace(new RegExp(`^${id},.*\n`, 'm'), '');

/** Changes that a watcher printed, and the cursor after the last of them. */
function watched({ lines }: Running) {
  const parsed = lines.map(json);
  const changes = parsed.flatMap((line) => changed.safeParse(line).data ?? []);
  return { changes, cursor: parsed.flatMap((line) => position.safeParse(line).data ?? []).at(-1)?.cursor };
}

describe('the sample, mirrored from the command line', () => {
  it(
    'gives exactly the changes since a moment, live and later, each once, and resumes a killed watcher',
    async () => {
      const before = await list();
      expect(before.records).toHaveLength(5000);
      const watcher = running(cwd, 'changes', 'watch', 'acme-hr', '--from-now', '--json');
      await until(() => watcher.lines.length > 0);
      await edit((text) => {
        let edited = text;
        for (const id of ['emp-00001', 'emp-00002', 'emp-00003']) {
          edited = replaceInRow(edited, id, /ACTIVE/, 'ON_LEAVE');
        }
        edited = removeRow(removeRow(edited, 'emp-00004'), 'emp-00005');
        return `${edited}new-1${edited.split('\n')[1]?.slice('emp-00001'.length) ?? ''}\n`;
      });
      expect(await sync()).toMatchObject({ created: 1, updated: 3, deleted: 2 });
      const ids = ['emp-00001', 'emp-00002', 'emp-00003', 'emp-00004', 'emp-00005', 'new-1'];
      const after = await list('--updated-after', before.completeThrough);
      expect(after.records.map(({ id }) => id).sort()).toEqual(ids);
      expect(
        after.records
          .filter(({ data }) => data === null)
          .map(({ id }) => id)
          .sort(),
      ).toEqual(ids.slice(3, 5));

      await until(() => watched(watcher).changes.length >= 6);
      watcher.child.kill('SIGKILL');
      await watcher.ended;
      const { changes, cursor } = watched(watcher);
      expect(changes.map(({ id, operation }) => `${id} ${operation}`).sort()).toEqual([
        ...ids.slice(0, 3).map((id) => `${id} UPDATED`),
        ...ids.slice(3, 5).map((id) => `${id} DELETED`),
        'new-1 CREATED',
      ]);
      expect(changes[0]).toMatchObject({ cause: 'FULL', changedFields: ['status'], version: 2 });

      await edit((text) => replaceInRow(text, 'new-1', /ON_LEAVE/, 'LEFT'));
      await sync();
      const resumed = running(cwd, 'changes', 'watch', 'acme-hr', '--since', cursor ?? '', '--json');
      await until(() => watched(resumed).changes.length > 0);
      resumed.child.kill('SIGINT');
      expect(await resumed.ended).toBe(0);
      expect(watched(resumed).changes).toMatchObject([{ id: 'new-1', operation: 'UPDATED', version: 2 }]);
    },
    SLOW,
  );

  it(
    'makes no change of an identical sync, nor of a column out of scope',
    async () => {
      const before = await list('--limit', '1');
      expect(before.records[0]?.data).not.toHaveProperty('ssn');
      const { completeThrough } = await list();
      await sync();
      await edit((text) => replaceInRow(text, 'emp-00010', /,\d{3}-\d{2}-\d{4},/, ',000-00-0000,'));
      expect(await sync()).toMatchObject({ created: 0, updated: 0, deleted: 0 });
      expect((await list('--updated-after', completeThrough)).records).toEqual([]);
    },
    SLOW,
  );

  it(
    'holds a sync that would delete too much, until a person approves',
    async () => {
      const live = async () => (await list('--no-deleted')).records.length;
      const before = await live();
      const lines = (await readFile(csv, 'utf8')).split('\n');
      // The last row stays whole: a file that ends within one would be cut short, not shorter.
      const cut = lines.findIndex((line) => line.startsWith('emp-03001,'));
      await writeFile(csv, `${lines.slice(0, cut).join('\n')}\n`);
      const args = ['sync', 'run', 'acme-hr', '--model', 'employees', '--full', '--wait', '--json'];
      const held = await tidemark(cwd, ...args);
      expect(held.code).toBe(6);
      const { runs } = z.object({ runs: z.array(z.object({ id: z.string() })) }).parse(json(held.stdout));
      expect(await live()).toBe(before);
      const id = runs[0]?.id ?? '';
      expect(await tidemark(cwd, 'sync', 'watch', id)).toMatchObject({ code: 6 });
      expect(await tidemark(cwd, 'sync', 'approve', id)).toMatchObject({ code: 0 });
      expect(await tidemark(cwd, 'sync', 'watch', id)).toMatchObject({ code: 0 });
      expect(await live()).toBeLessThan(before - 1900);
    },
    SLOW,
  );

  it('ends with the exit code of what happened', async () => {
    const cases: readonly [number, string[]][] = [
      [2, ['records', 'list', 'acme-hr']],
      [2, ['records', 'list', 'acme-hr', 'employees', '--fields', 'ssn']],
      [2, ['records', 'list', 'acme-hr', 'employees', '--cursor', 'forged']],
      [3, ['connections', 'get', 'nowhere']],
      [3, ['records', 'list', 'acme-hr', 'nothing']],
      [3, ['records', 'get', 'acme-hr', 'employees', 'nobody']],
      [3, ['sync', 'get', 'nothing']],
      [4, ['status', '--api-key', 'tm_a_wrong']],
      [5, ['status', '--address', '127.0.0.1:1']],
    ];
    for (const [code, args] of cases) {
      const outcome = await tidemark(cwd, ...args);
      expect([args, outcome.code, outcome.stdout]).toEqual([args, code, '']);
      expect(outcome.stderr).not.toMatch(/^\s+at /m);
    }
  });
});

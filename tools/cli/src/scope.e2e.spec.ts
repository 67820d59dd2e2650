import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { startUp, tidemark, type Outcome, type Up } from './testing/tidemark.js';

const SLOW = 240_000;
/** So many rows that their sync is under way when its scope changes. */
const MANY = 40_000;

const shown = z.object({
  id: z.string(),
  version: z.number(),
  changedAt: z.string(),
  data: z.looseObject({}).nullable(),
});
const versioned = shown.extend({ cause: z.string() });
const receipt = z.object({
  revision: z.number(),
  narrowedModels: z.array(z.string()),
  removedModels: z.array(z.string()),
  changedRecords: z.number(),
  removedRecords: z.number(),
  purgedVersions: z.number(),
  endTime: z.string().optional(),
});
const scoped = z.object({
  revision: z.number(),
  models: z.array(
    z.object({ model: z.string(), fields: z.array(z.string()), indexFields: z.array(z.string()) }),
  ),
  purging: z.boolean(),
  runIds: z.array(z.string()).default([]),
  receipts: z.array(receipt).default([]),
  receipt: receipt.optional(),
});
const synced = z.looseObject({
  id: z.string(),
  model: z.string(),
  state: z.string(),
  counters: z.record(z.string(), z.number()),
  certificate: z.looseObject({ certified: z.boolean() }).optional(),
});

let cwd: string;
let up: Up;

const staffRow = (i: number, city: string) => `e${i},Name ${i},${city},ssn-${i}\n`;
const staff = (city: (i: number) => string) =>
  `id,name,city,ssn\n${Array.from({ length: 300 }, (_, i) => staffRow(i, city(i))).join('')}`;
const write = (file: string, text: string) => writeFile(join(cwd, file), text);

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'tidemark-scope-'));
  await mkdir(join(cwd, 'data'));
  await write(
    'data/staff.csv',
    staff((i) => (i % 3 === 0 ? 'Bonn' : 'Kiel')),
  );
  await write('data/jobs.csv', 'id,title\nj1,Cook\nj2,Smith\n');
  up = await startUp(cwd);
}, SLOW);
afterAll(async () => {
  up.child.kill('SIGTERM');
  await up.ended;
  await rm(cwd, { recursive: true, force: true });
});

const run = (...args: string[]): Promise<Outcome> => tidemark(cwd, ...args, '--json');

async function done(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  expect([args, code, code === 0 ? '' : stderr]).toEqual([args, 0, '']);
  return stdout;
}

const lines = (stdout: string): unknown[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
const list = async (...args: string[]) =>
  z.array(shown).parse(lines(await done('records', 'list', ...args)).slice(0, -1));
const getScope = async (connection: string) =>
  scoped.parse(JSON.parse(await done('scope', 'get', connection)));
const getRun = async (id: string) => synced.parse(JSON.parse(await done('sync', 'get', id)));

async function create(name: string, scope: object, models: object): Promise<void> {
  const connection = {
    ...{ name, connector: 'file', config: { path: 'data', models }, scope },
    schedule: { fullInterval: 'never' },
  };
  await write(`${name}.json`, JSON.stringify(connection));
  await done('connections', 'create', '-f', `${name}.json`);
}

async function setScope(connection: string, scope: object, ...options: string[]) {
  await write('scope.json', JSON.stringify(scope));
  return scoped.parse(JSON.parse(await done('scope', 'set', connection, '-f', 'scope.json', ...options)));
}

describe('the scope of a connection, from the command line', () => {
  it(
    'says what readers may filter on, and a list as of a moment is what it was',
    async () => {
      await create(
        'hr',
        { staff: { fields: ['id', 'name', 'city', 'ssn'], index: ['city'] }, jobs: ['id', 'title'] },
        { staff: { file: 'staff.csv' }, jobs: { file: 'jobs.csv', indexFields: ['title'] } },
      );
      await done('sync', 'run', 'hr', '--full', '--wait');
      expect((await getScope('hr')).models).toEqual([
        { model: 'staff', fields: ['id', 'name', 'city', 'ssn'], indexFields: ['city'] },
        { model: 'jobs', fields: ['id', 'title'], indexFields: ['title'] },
      ]);
      expect(await list('hr', 'staff', '--where', 'city=Bonn')).toHaveLength(100);
      expect(await list('hr', 'staff', '--where', 'city="Oslo"')).toEqual([]);
      const before = await list('hr', 'staff');
      const time =
        before
          .map(({ changedAt }) => changedAt)
          .sort()
          .at(-1) ?? '';
      await write(
        'data/staff.csv',
        staff(() => 'Bonn'),
      );
      await done('sync', 'run', 'hr', '--model', 'staff', '--full', '--wait');
      expect(await list('hr', 'staff', '--where', 'city=Bonn')).toHaveLength(300);
      const then = await list('hr', 'staff', '--as-of', time);
      expect(then.filter(({ data }) => data?.['city'] === 'Bonn')).toHaveLength(100);
      expect(then.every(({ version }) => version === 1)).toBe(true);
    },
    SLOW,
  );

  it(
    'narrowed, purges what is stored, history included, and leaves a receipt',
    async () => {
      const set = await setScope('hr', { staff: ['id', 'name', 'city'], jobs: ['id', 'title'] }, '--wait');
      expect(set).toMatchObject({ revision: 2, purging: false, runIds: [] });
      expect(set.receipt).toMatchObject({
        revision: 2,
        narrowedModels: ['staff'],
        removedModels: [],
        changedRecords: 300,
      });
      expect(await getScope('hr')).toMatchObject({ purging: false, receipts: [set.receipt] });
      const history = await done('records', 'history', 'hr', 'staff', 'e1');
      const { versions } = z.object({ versions: z.array(versioned) }).parse(JSON.parse(history));
      expect(versions.map(({ cause }) => cause)).toEqual(['SCOPE', 'FULL', 'FULL']);
      expect(history + (await done('records', 'list', 'hr', 'staff'))).not.toContain('ssn-');
      // It still filters, and an identical sync finds nothing to do.
      expect(await list('hr', 'staff', '--where', 'city=Bonn')).toHaveLength(300);
      const again = await done('sync', 'run', 'hr', '--model', 'staff', '--full', '--wait');
      const [finished] = z.object({ runs: z.array(synced) }).parse(JSON.parse(again)).runs;
      expect(finished?.counters).toMatchObject({ unchanged: 300, updated: 0 });
    },
    SLOW,
  );

  it(
    'widened, is backfilled at once',
    async () => {
      const set = await setScope('hr', { staff: ['id', 'name', 'city', 'ssn'], jobs: ['id', 'title'] });
      expect(set).toMatchObject({ revision: 3, purging: false });
      expect(set.runIds).toHaveLength(1);
      await done('sync', 'watch', set.runIds[0] ?? '');
      expect(
        (await list('hr', 'staff')).every(({ id, data }) => data?.['ssn'] === `ssn-${id.slice(1)}`),
      ).toBe(true);
    },
    SLOW,
  );

  it(
    'without a model has nothing of it any more',
    async () => {
      const set = await setScope('hr', { staff: { fields: ['id', 'name'], index: ['name'] } }, '--wait');
      expect(set.receipt).toMatchObject({ removedModels: ['jobs'], removedRecords: 2 });
      expect((await run('records', 'list', 'hr', 'jobs')).code).toBe(3);
      expect((await run('records', 'list', 'hr', 'staff', '--where', 'city=Bonn')).code).toBe(2);
      expect(await list('hr', 'staff', '--where', 'name=Name 7')).toHaveLength(1);
    },
    SLOW,
  );

  it(
    'ends with the exit code of what happened',
    async () => {
      const printed = await done('scope', 'get', 'hr');
      await write('seen.json', printed);
      await write('typo.yaml', 'staff: [id, nmae]');
      await write('index.yaml', 'staff: { fields: [id], index: [name] }');
      await setScope('hr', { staff: ['id', 'name'], jobs: ['id'] }, '--wait');
      const cases: readonly [number, RegExp, string[]][] = [
        [1, /SCOPE_CONFLICT/, ['scope', 'set', 'hr', '-f', 'seen.json']],
        [2, /nmae is no field of the model/, ['scope', 'set', 'hr', '-f', 'typo.yaml']],
        [2, /name is an index field but not in the scope/, ['scope', 'set', 'hr', '-f', 'index.yaml']],
        [2, /There is no scope file/, ['scope', 'set', 'hr', '-f', 'nowhere.yaml']],
        [2, /FILTER_UNSUPPORTED/, ['records', 'list', 'hr', 'jobs', '--where', 'title=Cook']],
        [2, /cannot be used with/, ['records', 'list', 'hr', 'jobs', '--as-of', '-1m', '--cursor', 'x']],
        [3, /CONNECTION_NOT_FOUND/, ['scope', 'get', 'nowhere']],
        [3, /CONNECTION_NOT_FOUND/, ['scope', 'set', 'nowhere', '-f', 'typo.yaml']],
      ];
      for (const [code, message, args] of cases) {
        const outcome = await tidemark(cwd, ...args);
        expect([args, outcome.code, outcome.stdout, outcome.stderr]).toEqual([
          args,
          code,
          '',
          expect.stringMatching(message),
        ]);
      }
    },
    SLOW,
  );
});

describe('runs under way when a scope becomes narrower', () => {
  const rows = (count: number) =>
    `id,name,ssn\n${Array.from({ length: count }, (_, i) => `e${i},Name,secret-${i}\n`).join('')}`;
  const runsOf = async (...args: string[]) =>
    z.object({ runs: z.array(synced) }).parse(JSON.parse((await run(...args)).stdout)).runs;
  const crowd = { crowd: { file: 'crowd.csv' } };

  it(
    'do not fail: they are begun anew, and end certified',
    async () => {
      await write('data/crowd.csv', rows(MANY));
      await create('crowd', { crowd: ['id', 'name', 'ssn'] }, crowd);
      await setScope('crowd', { crowd: ['id', 'name'] }, '--wait');
      const [first] = await runsOf('sync', 'list', 'crowd');
      await done('sync', 'watch', first?.id ?? '');
      expect(await getRun(first?.id ?? '')).toMatchObject({
        state: 'SUCCEEDED',
        counters: { read: MANY },
        certificate: { certified: true },
      });
      expect(await done('records', 'list', 'crowd', 'crowd')).not.toContain('secret-');
    },
    SLOW,
  );

  it(
    'are begun anew if they are held, and end if their model leaves it',
    async () => {
      await write('data/held.csv', rows(1_000));
      await write('data/other.csv', 'id\n1\n');
      const models = { held: { file: 'held.csv' }, other: { file: 'other.csv' } };
      await create('held', { held: ['id', 'name'], other: ['id'] }, models);
      await done('sync', 'run', 'held', '--full', '--wait');
      const hold = async () => {
        await write('data/held.csv', rows(100));
        const [held] = await runsOf('sync', 'run', 'held', '--model', 'held', '--full', '--wait');
        expect(held?.state).toBe('HELD');
        await write('data/held.csv', rows(1_000));
        return held?.id ?? '';
      };
      const anew = await hold();
      await setScope('held', { held: ['id'], other: ['id'] }, '--wait');
      await done('sync', 'watch', anew);
      expect(await getRun(anew)).toMatchObject({ state: 'SUCCEEDED', counters: { read: 1_000, deleted: 0 } });

      const ended = await hold();
      await setScope('held', { other: ['id'] }, '--wait');
      const left = await getRun(ended);
      expect([left.state, left['summary']]).toEqual([
        'CANCELLED',
        expect.stringContaining('model held left the scope'),
      ]);
    },
    SLOW,
  );
});

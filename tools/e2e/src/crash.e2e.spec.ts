import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CommitLog } from './chaos/commit-log.js';
import { IS_LONG } from './long.js';
import { expectDone, until, World } from './world.js';

// Any process may be killed at any instant of a sync: started again, the run ends and the store equals the file.

const COUNT = 30_000;
/** The crash harness kills the others, too, with a source of its own. */
const STRUCK = IS_LONG
  ? ['scheduler', 'store', 'connector-file', 'gateway']
  : ['scheduler', 'connector-file'];
let world: World;

beforeAll(async () => {
  world = await World.start();
});
afterAll(() => world.stop());

const record = (i: number, level: number) => ({ id: `e${i}`, level, text: 'x'.repeat(200), i });

async function writeSource(level: number): Promise<void> {
  const out = createWriteStream(join(world.exports, 'big.jsonl'));
  // Every version lacks another thousandth, and has another one changed.
  for (let i = 0; i < COUNT; i++) {
    if (i % 1_000 !== level && !out.write(`${JSON.stringify(record(i, i % 3 === 0 ? level : 0))}\n`))
      await once(out, 'drain');
  }
  out.end();
  await once(out, 'close');
}

async function runOf(id: string): Promise<Record<string, unknown>> {
  const result = expectDone(await world.run('sync', 'get', id));
  return (result.objects[0]?.['run'] ?? result.objects[0]) as Record<string, unknown>;
}

async function stored(): Promise<Map<string, unknown>> {
  const { objects } = expectDone(await world.run('records', 'list', 'big', 'big', '--no-deleted'));
  return new Map(objects.slice(0, -1).map((object) => [String(object['id']), object['data']]));
}

async function checkLog(): Promise<void> {
  const client = await world.driver();
  try {
    const log = new CommitLog(client, 'big');
    await log.readOn();
    expect(log.faults).toEqual([]);
  } finally {
    await client.close();
  }
}

describe.each(STRUCK)('a sync whose %s is killed', (service) => {
  it('goes on after the restart, and the store equals the file', async () => {
    const level = STRUCK.indexOf(service) + 1;
    await writeSource(level);
    if (level === 1) {
      const models = { big: { file: 'big.jsonl', primaryKey: ['id'] } };
      await world.connect({
        name: 'big',
        connector: 'file',
        config: { path: world.exports, models },
        scope: { big: ['id', 'level', 'text', 'i'] },
        schedule: { fullInterval: '0s' },
      });
      const listed = expectDone(await world.run('sync', 'list', 'big')).objects;
      expect(JSON.stringify(listed)).toContain('"id"');
    }
    const started = expectDone(await world.run('sync', 'run', 'big', '--full'));
    const runId = String((started.stdout.match(/"id":\s*"([^"]+)"/) ?? [])[1]);
    await until(
      async () => Number(((await runOf(runId))['counters'] as { read?: unknown } | undefined)?.read ?? 0) > 0,
    );
    world.kill(service);
    await until(() => world.stack.broken.aborted);
    await world.down();
    await world.up();
    expectDone(await world.run('sync', 'watch', runId));
    const run = await runOf(runId);
    expect(run).toMatchObject({ state: expect.stringMatching(/SUCCEEDED$/) });
    expect(Number((run['counters'] as { read: unknown }).read)).toBe(COUNT - COUNT / 1_000);
    const found = await stored();
    expect(found.size).toBe(COUNT - COUNT / 1_000);
    for (let i = 0; i < COUNT; i++) {
      if (i % 1_000 !== level) expect(found.get(`e${i}`)).toEqual(record(i, i % 3 === 0 ? level : 0));
    }
    await checkLog();
  });
});

import { describe, expect, test } from '@jest/globals';
import type { Run } from './run.js';
import { RunWatches } from './run-watch.js';
import { aRun } from './testing/a-run.js';

/** A run that a test moves, and how often it was looked at. */
class MovingRun {
  looks = 0;
  run = aRun();

  find(): Promise<Run> {
    this.looks++;
    return Promise.resolve(this.run);
  }

  move(changes: Partial<Run>): void {
    this.run = { ...this.run, ...changes, revision: this.run.revision + 1 };
  }
}

const never = new AbortController().signal;

describe('whoever watches a run', () => {
  test('is told of its end at once where that is known, without a look in between', async () => {
    const moving = new MovingRun();
    const watches = new RunWatches(moving);
    const seen = watches.watch('acme', moving.run.id, never);
    expect((await seen.next()).value).toMatchObject({ state: 'WAITING' });
    const next = seen.next();
    moving.move({ state: 'RUNNING' });
    watches.moved(moving.run.id, 'RUNNING');
    moving.move({ state: 'SUCCEEDED' });
    watches.moved('run_of_others', 'SUCCEEDED');
    watches.moved(moving.run.id, 'SUCCEEDED');
    expect((await next).value).toMatchObject({ state: 'SUCCEEDED' });
    expect(await seen.next()).toMatchObject({ done: true });
    expect(moving.looks).toBe(2);
  });

  test('finds it out where it is not known', async () => {
    const moving = new MovingRun();
    const seen = new RunWatches(moving).watch('acme', moving.run.id, never);
    await seen.next();
    moving.move({ state: 'HELD' });
    expect((await seen.next()).value).toMatchObject({ state: 'HELD' });
    expect(await seen.next()).toMatchObject({ done: true });
  });

  test('is told of an end that came while the run was looked at', async () => {
    const moving = new MovingRun();
    const watches = new RunWatches({
      find: async () => {
        const found = await moving.find();
        if (moving.looks === 1) {
          moving.move({ state: 'FAILED' });
          watches.moved(found.id, 'FAILED');
        }
        return found;
      },
    });
    const seen = watches.watch('acme', moving.run.id, never);
    const states: string[] = [];
    for await (const { state } of seen) states.push(state);
    expect(states).toEqual(['WAITING', 'FAILED']);
  });

  test('ends when it is no longer wanted', async () => {
    const moving = new MovingRun();
    const gone = new AbortController();
    const seen = new RunWatches(moving).watch('acme', moving.run.id, gone.signal);
    await seen.next();
    const next = seen.next();
    gone.abort(new Error('gone'));
    await expect(next).rejects.toThrow('gone');
  });
});

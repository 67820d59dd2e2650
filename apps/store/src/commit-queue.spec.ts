import { expect, test } from '@jest/globals';
import { CommitQueue } from './commit-queue.js';
import type { CommitPage } from './commit-page.js';
import type { Lease } from './lease.js';

const lease = (model: string, kind = 1): Lease => ({
  ...{ tenantId: 't', connectionId: 'c', model, kind, runId: `${model}-${kind}`, epoch: 1 },
});
const page = (pageNumber: number, ids: string[], bytes = 10): CommitPage => ({
  pageNumber,
  reading: 1,
  observedSequence: 0,
  observations: ids.map((id) => ({
    id,
    fingerprint: new Uint8Array(16),
    payload: new Uint8Array(bytes),
    deleted: false,
  })),
  rejections: [],
  checkpoint: new Uint8Array(0),
});
const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => `r${i}`);

/** Takes all groups out; each as `model-kind/page`. */
function groups(...pages: [Lease, CommitPage][]): string[][] {
  const queue = new CommitQueue<void>();
  for (const [of, each] of pages) queue.add('key', of, each);
  const taken: string[][] = [];
  for (let group = queue.take('key'); group.length > 0; group = queue.take('key'))
    taken.push(group.map((job) => `${job.lease.runId}/${job.page.pageNumber}`));
  return taken;
}

test('pages of different runs are committed together', () => {
  expect(
    groups([lease('a'), page(0, ['x'])], [lease('b'), page(0, ['x'])], [lease('a', 2), page(0, ['y'])]),
  ).toEqual([['a-1/0', 'b-1/0', 'a-2/0']]);
});

test('pages of one run are committed one after the other, in order', () => {
  const [first, second, third] = [page(0, ['x']), page(1, ['y']), page(2, ['z'])];
  expect(groups([lease('a'), first], [lease('a'), second], [lease('b'), first], [lease('a'), third])).toEqual(
    [['a-1/0', 'b-1/0'], ['a-1/1'], ['a-1/2']],
  );
});

test('pages that hold the same record are not committed together, and those behind them keep their order', () => {
  expect(
    groups([lease('a'), page(0, ['x'])], [lease('a', 2), page(0, ['x'])], [lease('a', 2), page(1, ['z'])]),
  ).toEqual([['a-1/0'], ['a-2/0'], ['a-2/1']]);
});

test('a commit stays within its bounds', () => {
  expect(
    groups([lease('a'), page(0, ids(900))], [lease('b'), page(0, ids(200))], [lease('c'), page(0, ids(100))]),
  ).toEqual([['a-1/0', 'c-1/0'], ['b-1/0']]);
  const big = page(0, ['x'], 3 * 1024 * 1024);
  expect(groups([lease('a'), big], [lease('b'), big], [lease('c'), page(0, ['x'])])).toEqual([
    ['a-1/0', 'c-1/0'],
    ['b-1/0'],
  ]);
  expect(
    groups(...ids(70).map((model): [Lease, CommitPage] => [lease(model), page(0, ['x'])])).map(
      (g) => g.length,
    ),
  ).toEqual([64, 6]);
});

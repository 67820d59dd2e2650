import { describe, expect, it } from '@jest/globals';
import { judge, type Poll, type Version } from './judge.js';

const version = (key: string, n: number, sequence: number): Version => {
  return { key, version: n, sequence, at: 10 * sequence, content: `${key}${n}` };
};
const poll = (given: Version[], completeThrough: number, more: Partial<Poll> = {}): Poll => {
  return { given, completeThrough, head: Math.floor(completeThrough / 10), ...more };
};
const [a1, b1, a2] = [version('a', 1, 1), version('b', 1, 2), version('a', 2, 3)];
const written = [a1, b1, a2];
const fine = { missed: 0, superseded: 0, repeated: 0, overlapped: 0, late: 0, wrong: 0 };

describe('a reader', () => {
  it('who is given every change once has missed and repeated nothing', () => {
    const polls = [poll([a1], 15), poll([b1, a2], 30)];
    expect(judge(written, polls)).toEqual({ ...fine, polls: 2, given: 3 });
  });

  it('is owed only the newest version below a watermark', () => {
    expect(judge(written, [poll([b1, a2], 30)])).toMatchObject({ missed: 0 });
  });

  it('has missed what it does not know at a watermark, even if a newer version reaches it later', () => {
    const polls = [poll([b1], 20), poll([a2], 30)];
    expect(judge(written, polls)).toMatchObject({ ...fine, missed: 1 });
  });

  it('has not missed what was replaced while the answer was under way, but is owed the replacement', () => {
    const first = poll([b1], 20, { head: 3 });
    expect(judge(written, [first, poll([a2], 30)])).toMatchObject({ ...fine, superseded: 1 });
    expect(judge(written, [first, poll([], 30)])).toMatchObject({ ...fine, superseded: 1, missed: 1 });
  });

  it('is given late what comes at or below a watermark', () => {
    const polls = [poll([b1], 20), poll([a1, a2], 30)];
    expect(judge(written, polls)).toMatchObject({ ...fine, missed: 1, late: 1 });
  });

  it('has missed what its last poll did not bring', () => {
    expect(judge(written, [poll([a1], 15)])).toMatchObject({ ...fine, missed: 2 });
  });

  it('may be given again what its own clock asked for, and nothing else', () => {
    const polls = [poll([a1, b1], 20), poll([b1, a2], 30, { since: 15 }), poll([b1, a2], 30, { since: 25 })];
    expect(judge(written, polls)).toMatchObject({ ...fine, overlapped: 2, repeated: 1 });
  });

  it('is given nothing that was never written so', () => {
    const polls = [poll([{ ...a1, content: 'other' }, b1, a2, version('c', 1, 4)], 40)];
    expect(judge(written, polls)).toMatchObject({ ...fine, wrong: 2 });
  });
});

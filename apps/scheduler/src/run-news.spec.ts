import { describe, expect, jest, test, beforeEach, afterEach } from '@jest/globals';
import { RunNews } from './run-news.js';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

function newsOf(): { news: RunNews; told: () => number } {
  let times = 0;
  const news = new RunNews(() => times++);
  return { news, told: () => times };
}

describe('a run that waits', () => {
  test('is told of once nobody took it, together with others', () => {
    const { news, told } = newsOf();
    for (const run of ['a', 'b', 'c']) news.moved(run, 'WAITING');
    expect(told()).toBe(0);
    jest.runAllTimers();
    expect(told()).toBe(1);
    news.moved('d', 'WAITING');
    jest.runAllTimers();
    expect(told()).toBe(2);
  });

  test('is no news to others if the process that it was asked of took it', () => {
    const { news, told } = newsOf();
    news.moved('a', 'WAITING');
    news.moved('a', 'RUNNING');
    jest.runAllTimers();
    expect(told()).toBe(0);
  });
});

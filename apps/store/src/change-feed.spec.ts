import { describe, expect, it } from '@jest/globals';
import { FeedMemory } from './change-feed.js';

describe('the memory of the feed', () => {
  it('forgets what came first when it is full', () => {
    const memory = new FeedMemory<string>(10);
    memory.put('a', '1', 'first', 4);
    memory.put('b', '1', 'second', 4);
    memory.put('a', '2', 'third', 4);
    expect([memory.get('a', '1'), memory.get('b', '1'), memory.get('a', '2')]).toEqual([
      undefined,
      'second',
      'third',
    ]);
    expect(memory.bytes).toBe(8);
  });

  it('keeps nothing that is larger than itself', () => {
    const memory = new FeedMemory<string>(10);
    memory.put('a', '1', 'small', 4);
    memory.put('a', '2', 'large', 11);
    expect([memory.get('a', '1'), memory.get('a', '2'), memory.bytes]).toEqual([undefined, undefined, 0]);
  });

  it('counts what is replaced, deleted or forgotten once', () => {
    const memory = new FeedMemory<string>(100);
    memory.put('a', '1', 'old', 10);
    memory.put('a', '1', 'new', 20);
    memory.put('a', '2', 'two', 5);
    memory.put('a:1', '', 'of another connection', 7);
    expect([memory.get('a', '1'), memory.bytes]).toEqual(['new', 32]);
    memory.delete('a', '2');
    memory.delete('a', '2');
    expect(memory.bytes).toBe(27);
    memory.forget('a');
    memory.forget('a');
    expect([memory.get('a', '1'), memory.get('a:1', ''), memory.bytes]).toEqual([
      undefined,
      'of another connection',
      7,
    ]);
    memory.clear();
    expect([memory.get('a:1', ''), memory.bytes]).toEqual([undefined, 0]);
  });
});

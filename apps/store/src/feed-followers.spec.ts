import { describe, expect, it } from '@jest/globals';
import { Followers, News } from './feed-followers.js';

const NEVER_MS = 2 ** 31 - 1;
const alive = new AbortController().signal;

describe('news', () => {
  it('that come between a look and the sleep end the sleep at once, and are kept', async () => {
    const news = new News();
    expect([...news.take()]).toEqual([]);
    news.tell('a');
    await news.sleep(NEVER_MS, alive);
    news.tell('b');
    news.tell('a');
    expect([...news.take()]).toEqual(['a', 'b']);
    expect([...news.take()]).toEqual([]);
  });

  it('wake who sleeps', async () => {
    const news = new News();
    const sleep = news.sleep(NEVER_MS, alive);
    news.tell('a');
    await sleep;
    expect([...news.take()]).toEqual(['a']);
  });

  it('let go of who is no longer there', async () => {
    const news = new News();
    const abort = new AbortController();
    const sleep = news.sleep(NEVER_MS, abort.signal);
    abort.abort();
    await sleep;
    await news.sleep(NEVER_MS, abort.signal);
    news.tell('a');
    expect([...news.take()]).toEqual(['a']);
  });
});

describe('followers', () => {
  it('are told of their connections alone', () => {
    const followers = new Followers();
    const [ofA, ofB, ofBoth] = [new News(), new News(), new News()];
    followers.follow('a', ofA);
    followers.follow('b', ofB);
    for (const uid of ['a', 'b']) followers.follow(uid, ofBoth);
    expect([followers.committed('b', 7), followers.committed('c', 1), followers.changed('c')]).toEqual([
      true,
      false,
      false,
    ]);
    expect([ofA, ofB, ofBoth].map((news) => [...news.take()])).toEqual([[], ['b'], ['b']]);
    expect(['a', 'b', 'c'].map((uid) => followers.head(uid))).toEqual([undefined, 7, undefined]);
  });

  it('know that a document read before may have changed since, whenever they began to follow', () => {
    const followers = new Followers();
    const before = followers.changes;
    followers.changed('a');
    followers.follow('a', new News());
    expect(followers.hasChanged('a', before)).toBe(true);
    const { changes } = followers;
    expect(followers.hasChanged('a', changes)).toBe(false);
    followers.changed('b');
    expect(followers.hasChanged('a', changes)).toBe(false);
    followers.changed('a');
    expect(followers.hasChanged('a', changes)).toBe(true);
  });

  it('all look again when what was known is out of date', () => {
    const followers = new Followers();
    const [news, other] = [new News(), new News()];
    followers.follow('a', news);
    followers.follow('b', news);
    followers.follow('b', other);
    followers.committed('a', 3);
    news.take();
    const { changes } = followers;
    followers.startOver();
    expect([[...news.take()], [...other.take()]]).toEqual([['a', 'b'], ['b']]);
    expect([followers.head('a'), followers.hasChanged('a', changes)]).toEqual([undefined, true]);
  });

  it('are forgotten with the last of them', () => {
    const followers = new Followers();
    const [one, two] = [new News(), new News()];
    followers.follow('a', one);
    followers.follow('a', two);
    followers.committed('a', 3);
    expect([followers.unfollow('a', one), followers.unfollow('a', one)]).toEqual([true, true]);
    expect(followers.unfollow('a', two)).toBe(false);
    expect([followers.isFollowed('a'), followers.head('a'), followers.unfollow('a', two)]).toEqual([
      false,
      undefined,
      false,
    ]);
    followers.committed('a', 4);
    expect([...one.take()]).toEqual(['a']);
  });
});

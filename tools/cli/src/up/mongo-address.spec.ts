import { describe, expect, it } from '@jest/globals';
import { databaseAddress, hostsOf } from './mongo-address.js';

describe('a MongoDB address', () => {
  it.each([
    ['mongodb://127.0.0.1:27017/?replicaSet=rs0', 'mongodb://127.0.0.1:27017/tidemark_store?replicaSet=rs0'],
    ['mongodb://h1:1,h2:2', 'mongodb://h1:1,h2:2/tidemark_store'],
    ['mongodb://h1:1/mine?w=majority', 'mongodb://h1:1/mine_store?w=majority'],
    ['mongodb+srv://u:p%40ss@c.example/', 'mongodb+srv://u:p%40ss@c.example/tidemark_store'],
    ['mongodb://u:p@h/mine', 'mongodb://u:p@h/mine_store?authSource=mine'],
    ['mongodb://u:p@h/mine?authSource=admin', 'mongodb://u:p@h/mine_store?authSource=admin'],
  ])('%s becomes that of a database', (uri, expected) => {
    expect(databaseAddress(uri, 'store')).toBe(expected);
  });

  it('shows its hosts and never its user', () => {
    expect(hostsOf('mongodb://u:secret@h1:1,h2:2/x')).toBe('h1:1,h2:2');
  });

  it('is refused without being quoted when it is none', () => {
    expect(() => databaseAddress('http://u:secret@h', 'store')).toThrow(/^(?!.*secret).*not valid/);
  });
});

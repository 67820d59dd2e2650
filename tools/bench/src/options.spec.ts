import { describe, expect, it } from '@jest/globals';
import { readOptions, SECTIONS } from './options.js';

describe('the arguments', () => {
  it('may be left out', () => {
    expect(readOptions([])).toEqual({
      records: 100_000,
      connections: 1_000,
      json: false,
      sections: new Set(SECTIONS),
    });
  });

  it('choose records, sections and form', () => {
    expect(
      readOptions(['--records', '1000000', '--connections', '50', '--only', 'writers,sync', '--json']),
    ).toEqual({
      records: 1_000_000,
      connections: 50,
      json: true,
      sections: new Set(['sync', 'writers']),
    });
  });

  it.each([
    [['--records', '999']],
    [['--records', 'many']],
    [['--records', '1e9']],
    [['--connections', '9']],
    [['--only', 'sync,reads']],
    [['--only', '']],
    [['--fast']],
    [['all']],
  ])('%j are refused', (args) => {
    expect(readOptions(args)).toBeUndefined();
  });
});

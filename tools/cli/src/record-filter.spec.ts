import { describe, expect, it } from '@jest/globals';
import { parseConditions } from './record-filter.js';

describe('--where', () => {
  it.each([
    ['status=active', 'status', '"active"'],
    ['city=New York', 'city', '"New York"'],
    ['note=a=b', 'note', '"a=b"'],
    ['note=', 'note', '""'],
    ['active=true', 'active', 'true'],
    ['manager=null', 'manager', 'null'],
    ['level=7', 'level', '7'],
    ['hours=38.50', 'hours', '38.50'],
    ['account=12345678901234567890', 'account', '12345678901234567890'],
    ['huge=1e400', 'huge', '1e400'],
    ['code="7"', 'code', '"7"'],
    ['code=007', 'code', '"007"'],
    ['code=+7', 'code', '"+7"'],
    ['quote="a', 'quote', '"\\"a"'],
    ['bad="\\q"', 'bad', '"\\"\\\\q\\""'],
    ['blank= 7', 'blank', '" 7"'],
    ['list=[1]', 'list', '"[1]"'],
    ['word=True', 'word', '"True"'],
    ['work_location.city=Bonn', 'work_location.city', '"Bonn"'],
  ])('takes %s', (condition, field, value) => {
    expect(parseConditions([condition])).toEqual(new Map([[field, value]]));
  });

  it('takes several, of different fields', () => {
    expect(parseConditions(['a=1', 'b=x'])).toEqual(
      new Map([
        ['a', '1'],
        ['b', '"x"'],
      ]),
    );
    expect(() => parseConditions(['a=1', 'a=2'])).toThrow('names a twice');
  });

  it.each(['status', '=active', ''])('refuses %j', (condition) => {
    expect(() => parseConditions([condition])).toThrow('--where takes a field and its value');
  });
});

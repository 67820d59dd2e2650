import { describe, expect, it } from '@jest/globals';
import { Record as StoredRecord } from '@tidemark/contracts';
import { fit, printable, printableJson, widthOf } from './printable.js';
import { RecordTable } from './record-text.js';
import { formatTable } from './table.js';

const ESCAPE = String.fromCharCode(27);
const CSI = String.fromCharCode(0x9b);

describe('text for terminals', () => {
  it.each([
    ['an escape sequence', `a${ESCAPE}[31mb`, 'a\\u001b[31mb'],
    ['a C1 control', `a${CSI}2Jb`, 'a\\u009b2Jb'],
    ['a line end', 'a\nb', 'a\\u000ab'],
    ['a direction override', 'a\u202eb', 'a\\u202eb'],
    ['plain text', 'Zoë 美咲 👍', 'Zoë 美咲 👍'],
  ])('shows %s without obeying it', (_, text, expected) => {
    expect(printable(text)).toBe(expected);
  });

  it('escapes what is raw in JSON without changing its value', () => {
    const json = JSON.stringify({ a: `${CSI}2J\u202e` });
    expect(printableJson(json)).not.toContain(CSI);
    expect(JSON.parse(printableJson(json))).toEqual(JSON.parse(json));
  });

  it('knows the width of wide and combining characters', () => {
    expect([widthOf('abc'), widthOf('美咲'), widthOf('e\u0301'), fit('美咲美咲', 5)]).toEqual([
      3,
      4,
      1,
      '美咲…',
    ]);
  });
});

describe('a table', () => {
  it('aligns its columns and escapes its cells', () => {
    const rows = [
      { name: '美咲', count: 5 },
      { name: `x${ESCAPE}[2J`, count: 12_345 },
    ];
    const lines = formatTable(
      [
        { title: 'NAME', value: (row) => row.name },
        { title: 'COUNT', value: (row) => String(row.count), right: true },
      ],
      rows,
    );
    expect(lines).toEqual(['NAME        COUNT', '美咲            5', 'x\\u001b[2J  12345']);
  });

  it('shows as many fields of records as fit, with all digits, and tells how many do not', () => {
    const record = StoredRecord.create({
      id: '7',
      version: 1n,
      changedAt: new Date(0),
      data: Buffer.from('{"amount":1.10,"big":12345678901234567890,"other":"x"}'),
    });
    const table = new RecordTable(68);
    const [titles, row] = table.page([record]);
    expect(titles).toBe('ID  VERSION  CHANGED AT                amount  big');
    expect(row).toBe('7         1  1970-01-01T00:00:00.000Z  1.10    12345678901234567890');
    expect(table.hiddenFields).toBe(1);
  });
});

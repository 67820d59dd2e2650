import type { JsonToken } from './json-parser.js';

/** What a token is to the array of records. */
export type TokenRole = 'outside' | 'begin' | 'wrong';

/** Finds the array of records in a JSON document: the document itself, or what lies at a path of names. */
export class RecordLocator {
  /** Objects along the path that are open. */
  private entered = 0;
  /** Containers beside the path that are open. */
  private beside = 0;
  private isOnPath = true;
  private key = '';

  constructor(private readonly path: readonly string[]) {}

  /** Takes a token outside the array of records. */
  accept(token: JsonToken): TokenRole {
    switch (token.name) {
      case 'startArray':
      case 'startObject':
        return this.enter(token.name === 'startArray');
      case 'endArray':
      case 'endObject':
        if (this.beside > 0) this.beside--;
        else this.entered--;
        this.isOnPath = false;
        return 'outside';
      case 'startKey':
        this.key = '';
        return 'outside';
      case 'stringChunk':
        // A name longer than those of the path is none of them, however long it is.
        if (this.key.length <= 512) this.key += token.value;
        return 'outside';
      case 'endKey':
        this.isOnPath = this.beside === 0 && this.key === this.path[this.entered - 1];
        return 'outside';
      case 'endString':
      case 'startNumber':
      case 'nullValue':
      case 'trueValue':
      case 'falseValue':
        return this.isOnPath && this.beside === 0 ? 'wrong' : 'outside';
      case 'startString':
      case 'numberChunk':
      case 'endNumber':
        return 'outside';
    }
  }

  private enter(isArray: boolean): TokenRole {
    if (!this.isOnPath || this.beside > 0) {
      this.beside++;
      return 'outside';
    }
    this.isOnPath = false;
    if (this.entered === this.path.length) return isArray ? 'begin' : 'wrong';
    if (isArray) return 'wrong';
    this.entered++;
    return 'outside';
  }
}

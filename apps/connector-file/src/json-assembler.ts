import {
  MAX_JSON_DEPTH,
  numberFromText,
  RejectedRecordError,
  setKey,
  type JsonObject,
  type JsonValue,
} from '@tidemark/model';
import type { JsonToken } from './json-parser.js';
import type { RowContent } from './row.js';
import { TOO_LONG_FAULT } from './row-faults.js';
import { MAX_VALUES, TOO_MANY_FAULT } from './value-count.js';
import { MAX_LINE_BYTES } from './whole-lines.js';

const TOO_DEEP_FAULT = new RejectedRecordError('TOO_DEEP', `nested deeper than ${MAX_JSON_DEPTH} levels`);

type Container = JsonValue[] | JsonObject;

/**
 * Builds one JSON value after the other of a parser's tokens. Unlike the parser's own assembler it keeps the digits of
 * numbers and any key, and a value beyond the bounds costs no memory.
 */
export class JsonAssembler {
  private readonly open: Container[] = [];
  private readonly keys: string[] = [];
  private depth = 0;
  private size = 0;
  private values = 0;
  private text = '';
  private fault: RejectedRecordError | undefined;
  private root: JsonValue = null;

  /** Whether a value is under way. */
  get isOpen(): boolean {
    return this.depth > 0;
  }

  /** Takes a token. Gives back the content when it completes a value. */
  accept(token: JsonToken): RowContent | undefined {
    switch (token.name) {
      case 'startObject':
        return this.enter({});
      case 'startArray':
        return this.enter([]);
      case 'endObject':
      case 'endArray':
        return this.leave();
      case 'startKey':
      case 'startString':
      case 'startNumber':
        this.text = '';
        return undefined;
      case 'stringChunk':
      case 'numberChunk':
        return this.append(token.value);
      case 'endKey':
        if (this.keys.length > 0) this.keys[this.keys.length - 1] = this.text;
        return undefined;
      case 'endString':
        return this.add(this.text);
      case 'endNumber':
        return this.add(numberFromText(this.text) ?? null);
      case 'nullValue':
      case 'trueValue':
      case 'falseValue':
        return this.add(token.value);
    }
  }

  private append(chunk: string): undefined {
    this.size += chunk.length;
    if (this.size > MAX_LINE_BYTES) this.fail(TOO_LONG_FAULT);
    if (this.fault === undefined) this.text += chunk;
  }

  private enter(container: Container): undefined {
    this.count();
    if (this.depth >= MAX_JSON_DEPTH) this.fail(TOO_DEEP_FAULT);
    if (this.fault === undefined) {
      this.place(container);
      this.open.push(container);
      this.keys.push('');
    }
    this.depth++;
  }

  private leave(): RowContent | undefined {
    this.depth--;
    this.open.pop();
    this.keys.pop();
    return this.depth === 0 ? this.take() : undefined;
  }

  private add(value: JsonValue): RowContent | undefined {
    this.count();
    if (this.fault === undefined) this.place(value);
    return this.depth === 0 ? this.take() : undefined;
  }

  /** Small values cost more than their texts. */
  private count(): void {
    if (++this.values > MAX_VALUES) this.fail(TOO_MANY_FAULT);
  }

  private place(value: JsonValue): void {
    const container = this.open.at(-1);
    if (container === undefined) this.root = value;
    else if (Array.isArray(container)) container.push(value);
    else setKey(container, this.keys.at(-1) ?? '', value);
  }

  private take(): RowContent {
    const content = this.fault === undefined ? { value: this.root } : { fault: this.fault };
    this.fault = undefined;
    this.root = null;
    this.size = 0;
    this.values = 0;
    this.text = '';
    return content;
  }

  private fail(fault: RejectedRecordError): void {
    this.fault ??= fault;
    this.open.length = 0;
    this.keys.length = 0;
    this.root = null;
    this.text = '';
  }
}

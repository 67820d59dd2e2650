import Parser from 'stream-json/Parser.js';

/** A token of a JSON text. Keys, strings and numbers come in chunks, so that none is ever held as a whole. */
export type JsonToken =
  | { readonly name: 'startObject' | 'endObject' | 'startArray' | 'endArray' }
  | { readonly name: 'startKey' | 'endKey' | 'startString' | 'endString' | 'startNumber' | 'endNumber' }
  | { readonly name: 'stringChunk' | 'numberChunk'; readonly value: string }
  | { readonly name: 'nullValue'; readonly value: null }
  | { readonly name: 'trueValue' | 'falseValue'; readonly value: boolean };

/** Tokens go to a listener at once rather than through the stream's queue, which costs more than the parsing. */
class TokenParser extends Parser {
  constructor(private readonly listener: (token: JsonToken) => void) {
    super({ packValues: false, streamValues: true });
  }

  override push(token: JsonToken | null): boolean {
    if (token === null) return super.push(null);
    this.listener(token);
    return true;
  }
}

/** stream-json, fed chunk by chunk: when `write` has resolved, the listener knows all tokens that ended in the chunk. */
export class JsonParser {
  private readonly parser: TokenParser;

  constructor(listener: (token: JsonToken) => void) {
    this.parser = new TokenParser(listener);
    this.parser.resume();
    // Errors reach the callers of write and end; without a listener here they would also end the process.
    this.parser.on('error', () => undefined);
  }

  /** Parses a chunk; false if it is not JSON. What the listener throws is thrown. */
  async write(chunk: Buffer): Promise<boolean> {
    return new Promise((resolve) => {
      this.parser.write(chunk, (error) => resolve(!error));
    });
  }

  /** Parses what is left; false if the text is not complete. */
  async end(): Promise<boolean> {
    return new Promise((resolve) => {
      this.parser.once('error', () => resolve(false));
      this.parser.end(() => resolve(true));
    });
  }
}

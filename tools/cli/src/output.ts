import { printableJson } from './printable.js';

/** The reader of the output went away (`tidemark … | head`); nothing is left to do, and nothing went wrong. */
export class ReaderGoneError extends Error {
  override readonly name = 'ReaderGoneError';
}

const DEFAULT_WIDTH = 120;

/** Writes lines to a stream, waiting while its reader is slower than we are. */
export class Output {
  private gone = false;
  private failure: Error | undefined;

  constructor(
    private readonly stream: NodeJS.WriteStream,
    onReaderGone: () => void = () => undefined,
  ) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') {
        this.gone = true;
      } else {
        this.failure = error;
      }
      onReaderGone();
    });
  }

  /** Whether a person may be looking. */
  get isTerminal(): boolean {
    return this.stream.isTTY;
  }

  /** Columns of the terminal, or a usual number of them. */
  get width(): number {
    return this.isTerminal ? this.stream.columns : DEFAULT_WIDTH;
  }

  /** Rows of the terminal, or a usual number of them. */
  get height(): number {
    return this.isTerminal ? this.stream.rows : 24;
  }

  /** Writes lines in one piece. Throws ReaderGoneError when nobody reads any more. */
  async lines(lines: readonly string[]): Promise<void> {
    if (lines.length > 0) {
      await this.write(`${lines.join('\n')}\n`);
    }
  }

  /** Writes objects as one line of JSON each. */
  async json(texts: readonly string[]): Promise<void> {
    await this.lines(this.isTerminal ? texts.map(printableJson) : texts);
  }

  /** Writes text as it is. */
  async write(text: string): Promise<void> {
    this.throwIfBroken();
    if (!this.stream.write(text)) {
      await this.drained();
      this.throwIfBroken();
    }
  }

  /** Waits until everything is handed over; never throws. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      if (this.gone || this.failure !== undefined) {
        resolve();
      } else {
        this.stream.write('', () => resolve());
      }
    });
  }

  private drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.stream.off('drain', done).off('error', done).off('close', done);
        resolve();
      };
      this.stream.on('drain', done).on('error', done).on('close', done);
    });
  }

  private throwIfBroken(): void {
    if (this.gone) {
      throw new ReaderGoneError();
    }
    if (this.failure !== undefined) {
      throw this.failure;
    }
  }
}

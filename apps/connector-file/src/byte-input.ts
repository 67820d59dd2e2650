import { open, stat, type FileHandle } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import { constants, createGunzip } from 'node:zlib';
import { constants as fsConstants } from 'node:fs';
import { systemCode } from '@tidemark/connector-kit';
import { configFault, fileFault } from './file-faults.js';
import { identityOf } from './file-identity.js';
import type { ModelFile } from './model-files.js';

const CHUNK_BYTES = 256 * 1024;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

/**
 * The bytes of one file as it was when it was opened, decompressed. Offsets count decompressed bytes; a byte order
 * mark is passed over and not counted.
 */
export class ByteInput {
  private readonly faults: string[] = [];
  private passed = 0;

  private constructor(
    readonly file: ModelFile,
    private readonly handle: FileHandle,
    private readonly size: number,
    /** See identityOf. */
    readonly identity: string,
  ) {}

  /** Opens a file. Throws SOURCE_GONE or SOURCE_CONFIG_INVALID. */
  static async open(file: ModelFile): Promise<ByteInput> {
    try {
      // A pipe would block the read for ever: it is opened without waiting and then refused.
      const handle = await open(file.path, fsConstants.O_RDONLY | fsConstants.O_NONBLOCK);
      const stats = await handle.stat({ bigint: true });
      if (stats.isFile()) return new ByteInput(file, handle, Number(stats.size), identityOf(stats));
      await handle.close();
    } catch (error) {
      throw fileFault(error, file.name);
    }
    throw configFault(`${file.name} is no regular file`);
  }

  /** Whether the file, as it was opened, holds nothing at all. */
  get isEmpty(): boolean {
    return this.size === 0;
  }

  /** Why not all bytes came, once `chunks` has ended. */
  get failures(): readonly string[] {
    return this.faults;
  }

  /** Bytes passed so far, those before the offset that `chunks` began at and a byte order mark included. */
  get end(): number {
    return this.passed;
  }

  /** The bytes from an offset on. What keeps the rest from coming is put into `failures`. */
  async *chunks(offset: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    const mark = this.file.gzip ? 0 : await this.markLength();
    this.passed = this.file.gzip ? 0 : Math.min(offset + mark, this.size);
    const bytes = this.file.gzip ? this.gunzip(offset) : this.plain(offset + mark);
    for await (const chunk of bytes) {
      signal.throwIfAborted();
      yield chunk;
    }
  }

  /** Whether the file, read without decompression, ends with a line end; true for an empty one. */
  async endsWithNewline(): Promise<boolean> {
    if (this.size === 0) return true;
    const { buffer } = await this.handle.read(Buffer.alloc(1), 0, 1, this.size - 1);
    return buffer[0] === 0x0a;
  }

  /** What happened to the file since it was opened; undefined if it is the same. */
  async change(): Promise<string | undefined> {
    const now = identityOf(await this.handle.stat({ bigint: true }));
    try {
      const there = identityOf(await stat(this.file.path, { bigint: true }));
      if (there === this.identity && now === this.identity) return undefined;
      return `${this.file.name} was changed while it was read`;
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return `${this.file.name} was deleted while it was read`;
      throw fileFault(error, this.file.name);
    }
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  private async markLength(): Promise<number> {
    const { buffer, bytesRead } = await this.handle.read(Buffer.alloc(BOM.length), 0, BOM.length, 0);
    return markLength(buffer.subarray(0, bytesRead));
  }

  private async *plain(offset: number): AsyncGenerator<Buffer> {
    for (let at = offset; at < this.size;) {
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, this.size - at));
      const { bytesRead } = await this.handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) {
        this.faults.push(`${this.file.name} became shorter while it was read`);
        return;
      }
      at += bytesRead;
      if (!this.file.gzip) this.passed = at;
      yield buffer.subarray(0, bytesRead);
    }
  }

  private async *gunzip(offset: number): AsyncGenerator<Buffer> {
    const gunzip = createGunzip({ chunkSize: CHUNK_BYTES, finishFlush: constants.Z_FINISH });
    // Its errors come out of the iteration below.
    pipeline(Readable.from(this.plain(0)), gunzip, () => undefined);
    let skip = offset;
    try {
      for await (const chunk of gunzip as AsyncIterable<Buffer>) {
        if (this.passed === 0) skip += markLength(chunk);
        this.passed += chunk.length;
        if (skip < chunk.length) yield chunk.subarray(skip);
        skip = Math.max(0, skip - chunk.length);
      }
      // Node takes what follows the last member for garbage and ends; it may be the remains of a damaged one.
      if (gunzip.bytesWritten < this.size || this.size === 0)
        this.faults.push(`${this.file.name} is damaged: its gzip data ends too early`);
    } catch (error) {
      const code = systemCode(error);
      if (code === undefined || !code.startsWith('Z_')) throw error;
      this.faults.push(
        code === 'Z_BUF_ERROR'
          ? `${this.file.name} is cut short: its gzip data ends too early`
          : `${this.file.name} is damaged: its gzip data cannot be decompressed`,
      );
    }
  }
}

function markLength(start: Buffer): number {
  return start.subarray(0, BOM.length).equals(BOM) ? BOM.length : 0;
}

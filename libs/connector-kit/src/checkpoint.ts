import { createHmac, type KeyObject } from 'node:crypto';
import type { ReadRequest } from '@tidemark/contracts';
import { TidemarkError, type JsonValue } from '@tidemark/model';
import { z } from 'zod';

/** Bound of a checkpoint, in bytes. */
const MAX_CHECKPOINT_BYTES = 64 * 1024;

const checkpointSchema = z.object({
  read: z.string(),
  unidentified: z.int().nonnegative(),
  position: z.unknown(),
});

/** Where a read goes on. */
export interface ResumePoint {
  /** The connector's own part. */
  readonly position: unknown;
  /** Entries rejected so far whose ids could not be read. */
  readonly unidentified: number;
}

/**
 * The checkpoints of one read. Each is bound to the settings, model and scope that it was made under, so that a
 * snapshot is read with the same ones from start to end.
 */
export class Checkpoints {
  private readonly read: string;

  constructor(request: ReadRequest, key: KeyObject) {
    // Keyed, so that nobody who sees a checkpoint can confirm a guess of the credentials.
    const hmac = createHmac('sha256', key);
    for (const part of [request.settings?.config, request.settings?.credentials]) {
      hmac.update(`${part?.length ?? 0}:`).update(part ?? '');
    }
    hmac.update(JSON.stringify([request.model, request.kind, [...request.fields].sort()]));
    this.read = hmac.digest('base64url').slice(0, 22);
  }

  encode(position: JsonValue, unidentified: number): Buffer {
    const bytes = Buffer.from(JSON.stringify({ read: this.read, unidentified, position }));
    if (bytes.length > MAX_CHECKPOINT_BYTES) {
      throw new Error(`a checkpoint of ${bytes.length} bytes exceeds the bound of ${MAX_CHECKPOINT_BYTES}`);
    }
    return bytes;
  }

  /** Throws SOURCE_CHANGED for a checkpoint made under other settings, REQUEST_INVALID for what is none. */
  decode(bytes: Uint8Array): ResumePoint {
    if (bytes.length === 0) return { position: undefined, unidentified: 0 };
    const parsed = checkpointSchema.safeParse(parseCheckpoint(bytes));
    if (!parsed.success) throw notACheckpoint();
    if (parsed.data.read !== this.read) {
      throw new TidemarkError(
        'SOURCE_CHANGED',
        'the settings, model or scope changed since this read began; it must start over',
      );
    }
    return parsed.data;
  }
}

function parseCheckpoint(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw notACheckpoint(cause);
  }
}

function notACheckpoint(cause?: unknown): TidemarkError {
  const violations = [{ field: 'checkpoint', description: 'is no checkpoint of this connector' }];
  return new TidemarkError('REQUEST_INVALID', 'the checkpoint is none of this connector', {
    violations,
    cause,
  });
}

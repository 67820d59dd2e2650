import { createHmac, type KeyObject } from 'node:crypto';
import { SyncKind, type ReadRequest } from '@tidemark/contracts';
import { TidemarkError, type JsonValue } from '@tidemark/model';
import { z } from 'zod';

/** Bound of a checkpoint, in bytes. */
const MAX_CHECKPOINT_BYTES = 64 * 1024;

const checkpointSchema = z.object({
  read: z.string(),
  unidentified: z.int().nonnegative(),
  position: z.unknown(),
  start: z.literal(true).optional(),
  next: z.json().optional(),
});

/** Where a read goes on. */
export interface ResumePoint {
  /** The connector's own part; undefined: from the start of the model, or from now. */
  readonly position: unknown;
  /** Entries rejected so far whose ids could not be read. */
  readonly unidentified: number;
  /** Whether no page of this read came yet. */
  readonly isStart: boolean;
  /** Where the delta after this read starts, if that was known when the read began. */
  readonly next: JsonValue | undefined;
}

/**
 * The checkpoints of one read. Those of a full read are bound to the settings, model and scope that they were made
 * under, so that a snapshot is read with the same ones from start to end. Those of deltas outlive their run: they are bound to the
 * config and model alone, for new credentials or another scope do not change where a delta starts.
 */
export class Checkpoints {
  private readonly read: string;
  private readonly delta: string;

  constructor(request: ReadRequest, key: KeyObject) {
    this.delta = bindingOf({ ...request, kind: SyncKind.DELTA }, key);
    this.read = bindingOf(request, key);
  }

  /** Resumes after a page, and carries along where the delta after this read starts. */
  encode(position: JsonValue, unidentified: number, next: JsonValue | undefined): Buffer {
    return bounded({ read: this.read, unidentified, position, ...(next === undefined ? {} : { next }) });
  }

  /** Starts the next delta. */
  encodeStart(position: JsonValue): Buffer {
    return bounded({ read: this.delta, unidentified: 0, position, start: true });
  }

  /** Throws SOURCE_CHANGED for a checkpoint made under other settings, REQUEST_INVALID for what is none. */
  decode(bytes: Uint8Array): ResumePoint {
    if (bytes.length === 0) return { position: undefined, unidentified: 0, isStart: true, next: undefined };
    const parsed = checkpointSchema.safeParse(parseCheckpoint(bytes));
    if (!parsed.success) throw notACheckpoint();
    const { read, position, unidentified, start, next } = parsed.data;
    if (read !== this.read) {
      throw new TidemarkError(
        'SOURCE_CHANGED',
        'the settings, model or scope changed since this read began; it must start over',
      );
    }
    return { position, unidentified, isStart: start === true, next };
  }
}

/** Keyed, so that nobody who sees a checkpoint can confirm a guess of the credentials. */
function bindingOf({ settings, model, kind, fields }: ReadRequest, key: KeyObject): string {
  const hmac = createHmac('sha256', key);
  const isDelta = kind === SyncKind.DELTA;
  for (const part of [settings?.config, isDelta ? undefined : settings?.credentials]) {
    hmac.update(`${part?.length ?? 0}:`).update(part ?? '');
  }
  hmac.update(JSON.stringify([model, kind, isDelta ? [] : [...fields].sort()]));
  return hmac.digest('base64url').slice(0, 22);
}

function bounded(checkpoint: object): Buffer {
  const bytes = Buffer.from(JSON.stringify(checkpoint));
  if (bytes.length > MAX_CHECKPOINT_BYTES) {
    throw new Error(`a checkpoint of ${bytes.length} bytes exceeds the bound of ${MAX_CHECKPOINT_BYTES}`);
  }
  return bytes;
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

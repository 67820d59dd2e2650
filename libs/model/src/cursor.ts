import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';
import { TidemarkError } from './errors.js';

/** A position in a connection's changes. */
export interface Position {
  /** The connection's generation; changes when it is made anew or restored. */
  readonly generation: string;
  /** Everything up to this sequence has been delivered. */
  readonly sequence: number;
  /**
   * The connection's sequence when the read began that this position is of, or the position itself where that is later: what
   * was deleted before is nothing that the reader holds.
   */
  readonly since: number;
}

/** Whom a cursor belongs to. It is signed, not stored in it. */
export interface CursorOwner {
  readonly tenantId: string;
  readonly connectionId: string;
}

const FORMAT = 2;
const HEADER_BYTES = 17;
const MAC_BYTES = 16;
const MAX_CURSOR_LENGTH = 256;

/**
 * Opaque text of a position: base64url of format, sequence, since, generation and the first 16 bytes of HMAC-SHA-256 over them
 * and the owner, so that it cannot be forged, nor used by another tenant or for another connection.
 */
export function encodeCursor(position: Position, owner: CursorOwner, key: KeyObject): string {
  const body = Buffer.alloc(HEADER_BYTES + Buffer.byteLength(position.generation));
  body.writeUInt8(FORMAT, 0);
  body.writeBigUInt64BE(BigInt(position.sequence), 1);
  body.writeBigUInt64BE(BigInt(Math.max(position.since, position.sequence)), 9);
  body.write(position.generation, HEADER_BYTES);
  return Buffer.concat([body, mac(body, owner, key)]).toString('base64url');
}

/** The position of a cursor. Throws CURSOR_INVALID for one that is malformed, forged or somebody else's. */
export function decodeCursor(cursor: string, owner: CursorOwner, key: KeyObject): Position {
  const bytes = Buffer.from(cursor.length <= MAX_CURSOR_LENGTH ? cursor : '', 'base64url');
  const body = bytes.subarray(0, Math.max(0, bytes.length - MAC_BYTES));
  const signature = bytes.subarray(body.length);
  // Only the one spelling that was given: base64 decoders pass over stray bits and characters.
  const genuine =
    bytes.toString('base64url') === cursor &&
    body.length > HEADER_BYTES &&
    body[0] === FORMAT &&
    signature.length === MAC_BYTES;
  if (!genuine || !timingSafeEqual(signature, mac(body, owner, key))) throw invalidCursor();
  return {
    generation: body.toString('utf8', HEADER_BYTES),
    sequence: Number(body.readBigUInt64BE(1)),
    since: Number(body.readBigUInt64BE(9)),
  };
}

/** Throws MUST_RESYNC for a position of another generation, CURSOR_INVALID for one that lies ahead of the connection. */
export function checkPosition(position: Position, generation: string, head: number): void {
  if (position.generation !== generation) {
    throw new TidemarkError(
      'MUST_RESYNC',
      'the connection was made anew since this cursor was given; read in full',
    );
  }
  if (position.sequence > head) throw invalidCursor();
}

function mac(body: Buffer, owner: CursorOwner, key: KeyObject): Buffer {
  const hmac = createHmac('sha256', key);
  return hmac
    .update(JSON.stringify([owner.tenantId, owner.connectionId]))
    .update(body)
    .digest()
    .subarray(0, MAC_BYTES);
}

function invalidCursor(): TidemarkError {
  const message =
    'the cursor is not one that was given for this connection; use a cursor as returned, or read in full';
  return new TidemarkError('CURSOR_INVALID', message, {
    violations: [{ field: 'cursor', description: message }],
  });
}

/** Why a record cannot be stored; names of `tidemark.v1.RejectReason`. */
export type RejectReasonName =
  | 'MALFORMED'
  | 'ID_MISSING'
  | 'ID_DUPLICATE'
  | 'TYPE_MISMATCH'
  | 'TOO_LARGE'
  | 'TOO_DEEP'
  | 'ENCODING'
  | 'TRUNCATED';

/** A record that goes to quarantine. The message is public: it names fields and bounds, never values. */
export class RejectedRecordError extends Error {
  override readonly name = 'RejectedRecordError';

  constructor(
    readonly reason: RejectReasonName,
    message: string,
  ) {
    super(message);
  }
}

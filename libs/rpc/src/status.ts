import { randomUUID } from 'node:crypto';
import { isTidemarkError, TidemarkError } from '@tidemark/model';
import { ClientError, Metadata, Status } from 'nice-grpc-common';
import { DETAILS_TRAILER, packDetails, unpackDetails } from './details.js';
import { codeOf, reasonOf } from './reason.js';

/** Bound of a public message in characters; it travels twice in the trailers. */
const MAX_MESSAGE_LENGTH = 1000;

/** What gRPC says of a call that a server reset without a status: how ours end those that nobody reads. */
const RESET_AS_TOO_SLOW = 'Bandwidth exhausted or memory limit exceeded';

/** How a failure goes over the wire. */
export interface WireStatus {
  /** The gRPC code. */
  readonly code: Status;
  /** The public message. */
  readonly details: string;
  /** Holds `grpc-status-details-bin`. */
  readonly trailer: Metadata;
  /** What is sent; for an unknown failure an INTERNAL error whose `metadata.reference` finds the cause in the log. */
  readonly error: TidemarkError;
}

/** Turns any failure into a status. What is not a TidemarkError becomes INTERNAL with a reference and nothing else. */
export function toStatus(failure: unknown): WireStatus {
  const error = withReference(failure);
  const details = wellFormed(error.message);
  const trailer = Metadata().set(DETAILS_TRAILER, packDetails(error, details));
  return { code: codeOf(error.reason), details, trailer, error };
}

/** Turns what a nice-grpc client threw, with the trailer it got, into a TidemarkError whose cause is that error. */
export function fromClientError(failure: unknown, trailer: Metadata | undefined): TidemarkError {
  if (isTidemarkError(failure)) {
    return failure;
  }
  if (isAbortError(failure)) {
    return new TidemarkError('CANCELLED', 'the call was cancelled', { cause: failure });
  }
  if (!(failure instanceof ClientError)) {
    return new TidemarkError('INTERNAL', 'the call failed in the client', { cause: failure });
  }
  const details = trailer?.get(DETAILS_TRAILER);
  const error = details instanceof Uint8Array ? unpackDetails(details, failure) : undefined;
  return error ?? withoutDetails(failure);
}

function withoutDetails(failure: ClientError): TidemarkError {
  if (failure.code === Status.RESOURCE_EXHAUSTED && failure.details === RESET_AS_TOO_SLOW) {
    const message = 'the answer was not read for too long; go on from the last cursor';
    return new TidemarkError('WATCHER_TOO_SLOW', message, { cause: failure });
  }
  return new TidemarkError(reasonOf(failure.code), describe(failure), { cause: failure });
}

/** True for the error that an aborted AbortSignal leads to. */
export function isAbortError(failure: unknown): boolean {
  return (
    typeof failure === 'object' && failure !== null && 'name' in failure && failure.name === 'AbortError'
  );
}

/** What a status without details means, without the addresses that gRPC writes into its own messages. */
function describe(failure: ClientError): string {
  const service = failure.path.split('/')[1] ?? failure.path;
  switch (reasonOf(failure.code)) {
    case 'SERVICE_UNAVAILABLE':
      return `${service} cannot be reached; try again`;
    case 'DEADLINE_EXCEEDED':
      return `${service} did not answer before the deadline`;
    default:
      return `${service} answered ${Status[failure.code]} without details`;
  }
}

function withReference(failure: unknown): TidemarkError {
  if (isTidemarkError(failure)) {
    if (failure.reason !== 'INTERNAL' || failure.metadata['reference'] !== undefined) {
      return failure;
    }
    const metadata = { ...failure.metadata, reference: randomUUID() };
    return new TidemarkError('INTERNAL', failure.message, { metadata, cause: failure });
  }
  const reference = randomUUID();
  const details = { metadata: { reference }, cause: failure };
  return new TidemarkError('INTERNAL', `internal error, reference ${reference}`, details);
}

/** Bounded, and without lone surrogates, which the percent-encoding of `grpc-message` refuses. */
function wellFormed(message: string): string {
  const bounded =
    message.length > MAX_MESSAGE_LENGTH ? `${message.slice(0, MAX_MESSAGE_LENGTH - 1)}…` : message;
  return Buffer.from(bounded).toString();
}

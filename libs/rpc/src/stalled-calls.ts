import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { TidemarkError } from '@tidemark/model';
import { DETAILS_TRAILER } from './details.js';
import type { RpcLogger } from './logger.js';
import { toStatus } from './status.js';

/** How long an answer may wait for a caller that takes nothing, in milliseconds, where a server sets no bound of its own. */
export const DEFAULT_STALL_MS = 60_000;

/** How long a caller that was cut off may still come back to read why. */
const GRACE_MS = 5_000;

/** What any line must carry: a large message may take longer than the bound, but no longer than at this speed. */
const SLOWEST_BYTES_PER_MS = 64;

/**
 * Cuts off callers that take nothing while a message waits for them: the handler ends, and WATCHER_TOO_SLOW stands behind
 * what is queued. Who does not come to read it in 5 s finds the call reset (RESOURCE_EXHAUSTED), and nothing of it is kept.
 * What a caller takes shows when its flow control lets more through: ours do so each 512 KiB, so that 9 KB/s are never cut.
 */
export function cutOffStalledCalls(stallMs: number, logger: RpcLogger): ServerInterceptor {
  return (method, call) => new GuardedCall(call, { stallMs, logger, method: method.path });
}

interface Guard {
  readonly stallMs: number;
  readonly logger: RpcLogger;
  readonly method: string;
}

type Listener = Parameters<ServerInterceptingCallInterface['start']>[0];

/** One call, with a timer that runs while a message of it waits to be taken. */
class GuardedCall extends ServerInterceptingCall {
  private timer: NodeJS.Timeout | undefined;
  private listener: Listener | undefined;
  /** Nothing more can be sent: the caller went, took everything, or was cut off. */
  private isOver = false;

  constructor(
    private readonly call: ServerInterceptingCallInterface,
    private readonly guard: Guard,
  ) {
    super(call);
  }

  override start(listener: Listener): void {
    this.listener = listener;
    const onCancel = () => {
      clearTimeout(this.timer);
      this.end();
    };
    super.start({
      onReceiveMetadata: (metadata) => listener.onReceiveMetadata(metadata),
      onReceiveMessage: (message) => listener.onReceiveMessage(message),
      onReceiveHalfClose: () => listener.onReceiveHalfClose(),
      onCancel,
    });
  }

  override sendMessage(message: unknown, taken: () => void): void {
    if (this.isOver) {
      return;
    }
    // One message at a time comes here: the next one follows when this one is taken.
    super.sendMessage(message, () => {
      clearTimeout(this.timer);
      taken();
    });
    this.timer = setTimeout(
      () => this.cutOff(),
      this.guard.stallMs + this.waitingBytes() / SLOWEST_BYTES_PER_MS,
    );
  }

  override sendStatus(status: Parameters<ServerInterceptingCall['sendStatus']>[0]): void {
    if (!this.isOver) {
      super.sendStatus(status);
    }
  }

  private cutOff(): void {
    const { guard, call } = this;
    guard.logger.info({ method: guard.method }, 'a caller took nothing for too long and was cut off');
    const { code, details, trailer } = toStatus(
      new TidemarkError(
        'WATCHER_TOO_SLOW',
        'the answer was not read for too long; go on from the last cursor',
      ),
    );
    const metadata = new Metadata();
    trailer.getAll(DETAILS_TRAILER).forEach((value) => metadata.add(DETAILS_TRAILER, Buffer.from(value)));
    super.sendStatus({ code, details, metadata });
    this.end();
    this.timer = setTimeout(() => {
      streamOf(call)?.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      guard.logger.debug({ method: guard.method }, 'a call that was cut off was reset');
    }, GRACE_MS);
  }

  /** For the handler the caller is gone. */
  private end(): void {
    if (!this.isOver) {
      this.isOver = true;
      this.listener?.onCancel();
    }
  }

  private waitingBytes(): number {
    return streamOf(this.call)?.writableLength ?? 0;
  }
}

/** gRPC can end a call only behind what is queued, which a stalled caller never takes; so this reaches for what carries it. */
function streamOf(call: ServerInterceptingCallInterface): ServerHttp2Stream | undefined {
  return (call as { stream?: ServerHttp2Stream }).stream;
}

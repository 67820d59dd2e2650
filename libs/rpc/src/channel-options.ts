import type { ChannelOptions } from '@grpc/grpc-js';

/** Bound of one message, both ways, in bytes. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/**
 * What a server may send before the client has read it. With the default of 64 KiB each page of records waits for
 * several window updates, which costs a third of the throughput; every stalled stream may hold this much.
 */
const STREAM_WINDOW_BYTES = 1024 * 1024;

/** The longest timer that Node has; idle connections are kept open for it. */
const NEVER_MS = 2_147_483_647;

/** Options that servers and clients share: message bounds, and pings every 30 s that give up after 10 s. */
export function channelOptions(maxMessageBytes = MAX_MESSAGE_BYTES): ChannelOptions {
  return {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.keepalive_permit_without_calls': 1,
  };
}

/** Options of clients: never idle, and back within two seconds after a server restarts (the default waits up to two minutes). */
export function clientChannelOptions(): ChannelOptions {
  return {
    ...channelOptions(),
    'grpc-node.flow_control_window': STREAM_WINDOW_BYTES,
    'grpc.client_idle_timeout_ms': NEVER_MS,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2_000,
  };
}

import type { ServerCode } from './protocol.js';

/**
 * Why something failed: a code of the protocol (section 7), or one of the client's own.
 *
 * - `closed`: the client was closed.
 * - `outbox_full`: too many publishes are waiting to be sent.
 * - `unreachable`: no answer from a Tricast server came through: refused, cut, mute or not understood.
 */
export type Code = ServerCode | 'closed' | 'outbox_full' | 'unreachable';

/** The one class of errors that this client reports. */
export class TricastError extends Error {
  readonly code: Code;
  /** The channel that it is about. */
  readonly channel: string | undefined;
  /** Milliseconds that the server asked to wait before the next try. */
  readonly retryAfter: number | undefined;
  /** What was thrown in the first place, where something was. */
  readonly cause: unknown;

  constructor(code: Code, message: string, channel?: string, retryAfter?: number, cause?: unknown) {
    super(message);
    this.name = 'TricastError';
    this.code = code;
    this.channel = channel;
    this.retryAfter = retryAfter;
    this.cause = cause;
  }

  /** Whether the same attempt may succeed later without anything new from the application. */
  get retryable(): boolean {
    return RETRYABLE.test(this.code);
  }
}

const RETRYABLE = /^(timeout|too_many|rate_limited|slow_reader|internal|unavailable|draining|unreachable)$/;

/** An answer that did not come, or is not Tricast's. */
export function unreachable(message: string, retryAfter?: number): TricastError {
  return new TricastError('unreachable', message, undefined, retryAfter);
}

/** What was thrown while talking to the server: our own error, or a runtime's about the network or about JSON. */
export function asError(thrown: unknown): TricastError {
  return thrown instanceof TricastError ? thrown : unreachable(String(thrown));
}

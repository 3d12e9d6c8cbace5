import type { ServerCode } from './protocol.js';

/**
 * Why something failed: a code of the protocol (section 7), or one of the client's own.
 *
 * - `closed`: the client was closed.
 * - `outbox_full`: too many publishes are waiting to be sent.
 * - `token`: the application's `token` function failed; the client tries it again.
 * - `unreachable`: no answer from a Tricast server came through: refused, cut, mute or not understood.
 */
export type Code = ServerCode | 'closed' | 'outbox_full' | 'token' | 'unreachable';

/** The one class of errors that this client reports. */
export class TricastError extends Error {
  /** Whether the same attempt may succeed later without anything new from the application. */
  readonly retryable: boolean;

  constructor(
    readonly code: Code,
    message: string = code,
    /** The channel that it is about. */
    readonly channel?: string | undefined,
    /** Milliseconds that the server asked to wait before the next try. */
    readonly retryAfter: number = 0,
  ) {
    super(message);
    this.name = 'TricastError';
    this.retryable = RETRYABLE.test(code);
  }
}

/** By how they begin: timeout, too_many, rate_limited, slow_reader, internal, unavailable, draining, unreachable, token. */
const RETRYABLE = /^(ti|too_many$|ra|s|in|una[^u]|unr|d|token$)/;

/** An answer that did not come, or is not Tricast's. */
export function unreachable(message: string, retryAfter?: number): TricastError {
  return new TricastError('unreachable', message, undefined, retryAfter);
}

/** What was thrown while talking to the server: our own error, or a runtime's about the network or about JSON. */
export function asError(thrown: unknown): TricastError {
  return thrown instanceof TricastError ? thrown : unreachable(`${thrown}`);
}

/** Whether another token may help: `unauthorized`, `token_expired`. */
export function isAboutToken({ code }: TricastError): boolean {
  return /[zr]ed$/.test(code);
}

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
export declare class TricastError extends Error {
    readonly code: Code;
    /** The channel that it is about. */
    readonly channel?: string | undefined;
    /** Milliseconds that the server asked to wait before the next try. */
    readonly retryAfter: number;
    /** Whether the same attempt may succeed later without anything new from the application. */
    readonly retryable: boolean;
    constructor(code: Code, message?: string, 
    /** The channel that it is about. */
    channel?: string | undefined, 
    /** Milliseconds that the server asked to wait before the next try. */
    retryAfter?: number);
}
/** An answer that did not come, or is not Tricast's. */
export declare function unreachable(message: string, retryAfter?: number): TricastError;
/** What was thrown while talking to the server: our own error, or a runtime's about the network or about JSON. */
export declare function asError(thrown: unknown): TricastError;
/** Whether another token may help: `unauthorized`, `token_expired`. */
export declare function isAboutToken({ code }: TricastError): boolean;

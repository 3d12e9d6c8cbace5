import type { ChannelCore } from './channel.js';
import { type Environment } from './environment.js';
import { TricastError } from './errors.js';
import type { Outbox } from './outbox.js';
import type { TransportName } from './transport/link.js';
/** What the client is doing (protocol section 9). */
export type Status = 'idle' | 'connecting' | 'connected' | 'waiting' | 'closed';
/** What the client is doing, and why. */
export interface State {
    /** `connected` means proven: the server has spoken on this connection. */
    readonly status: Status;
    /** The proven transport, null while there is none. */
    readonly transport: TransportName | null;
    /** When the next try is due, in milliseconds since 1970; only while `waiting`. */
    readonly retryAt?: number;
    /** Why it is `waiting`, or why it was closed for good. */
    readonly error?: TricastError;
}
/** Where nothing is to be read. */
export declare const IDLE: State;
/** How a connection, or the try to get one, went. */
export interface Attempt {
    readonly transport: TransportName;
    /** When it began, in milliseconds since 1970. */
    readonly at: number;
    /** Milliseconds until it was proven; absent where it never was. */
    proven?: number;
    /** Milliseconds from request to answer; absent before there was one. */
    roundTrip?: number;
    /** Milliseconds until it ended; absent while it lives. */
    ended?: number;
    /** Why it ended, where it was not in order. */
    reason?: string | undefined;
}
/** Why the client is on the transport that it is on. */
export interface Report {
    readonly state: State;
    /** The newest connections and tries, oldest first. */
    readonly attempts: readonly Attempt[];
    /** Gaps that were told so far. */
    readonly gaps: number;
    /** How often a message was missing without a `gap`, so that the client had to ask again. */
    readonly faults: number;
}
/** Keeps one connection while there are channels. */
export interface Connection {
    _report(): Report;
    /** This channel left. */
    _forget(channel: ChannelCore<any>): void;
    /** The channel set changed. Changes of one turn of the event loop are taken together. */
    _update(): void;
    /** Tries other transports from now on. A living connection stays if it is on the first of them that exists here. */
    _choose(transports: readonly TransportName[]): void;
    /** A POST found no server. */
    _stuck(): void;
    /** Ends for good. */
    _close(): void;
}
/**
 * Tries transports until one has proved itself, waits when none did, and climbs back to better ones in the background.
 *
 * A transport is blamed only for what is its own: silence, refusal by strangers, a cut before the proof, a message that it
 * cannot carry, short lives in a row. When the server itself says no, the connection waits as told. A channel that is in
 * trouble alone is left out for a while of its own. Without channels there is no connection, and publishes go by POST.
 */
export declare function createConnection(env: Environment, channels: ReadonlyMap<string, ChannelCore<any>>, outbox: Outbox, changed: (state: State) => void): Connection;

import type { Channel } from './channel.js';
import type { Environment } from './environment.js';
import { TricastError } from './errors.js';
import type { Outbox } from './outbox.js';
import { type ServerEvent } from './protocol.js';
import type { Fate, Sendable, Sink, TransportClass, TransportName, Want } from './transport/transport.js';
/** What the client is doing (protocol section 9). */
export interface State {
    /** `connected` means proven: the server has spoken on this connection. */
    readonly status: 'idle' | 'connecting' | 'connected' | 'waiting' | 'closed';
    /** The proven transport, null while there is none. */
    readonly transport: TransportName | null;
    /** When the next try is due, in milliseconds since 1970; only while `waiting`. */
    readonly retryAt?: number;
    /** Why it is `waiting`, or why the server closed it for good. */
    readonly error?: TricastError;
}
/** What a connection works for, and with. */
export interface ConnectionHost {
    readonly transports: Readonly<Record<TransportName, TransportClass>>;
    /** The channels to read, by name. */
    readonly channels: ReadonlyMap<string, Channel>;
    readonly outbox: Outbox;
    changed(state: State): void;
}
/**
 * Keeps one connection while there are channels: tries transports until one has proved itself, waits when none did, and
 * begins with the best again when the connection was lost.
 *
 * The choice blames a transport only for what is its own: silence, refusal by strangers, a cut before the proof, a
 * message that it cannot carry. When the server itself says no, it waits as told. A channel that is in trouble alone is
 * left out for a while of its own.
 *
 * Without channels there is no connection, and publishes go by POST.
 */
export declare class Connection implements Sink {
    #private;
    /** Changed by the connection alone. */
    state: State;
    constructor(env: Environment, host: ConnectionHost);
    /** This channel left. */
    forget(channel: Channel): void;
    /** The channel set changed. Changes of one turn of the event loop are taken together. */
    update(): void;
    /** Tries other transports from now on. A living connection stays if it is on the first of them that exists here. */
    choose(transports: readonly TransportName[]): void;
    /** Ends for good. */
    close(error?: TricastError): void;
    wants(): Want[];
    event(event: ServerEvent): void;
    answered(channels: readonly Want[]): void;
    refused({ code, message, channel: culprit, retryAfter }: TricastError, names: readonly string[]): void;
    unsent(batch: readonly Sendable[], error: TricastError): void;
    ended(error: TricastError, fate?: Fate): void;
}

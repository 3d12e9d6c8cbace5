import { type BackoffOptions } from './backoff.js';
import type { Channel } from './channel.js';
import type { Environment } from './environment.js';
import { type TricastError } from './errors.js';
import type { Outbox } from './outbox.js';
import { type ServerEvent } from './protocol.js';
import type { Sink, TransportFactory, TransportName, Want } from './transport/transport.js';
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
/** What a connection works for. */
export interface ConnectionHost {
    /** The channels to read, by name. */
    readonly channels: ReadonlyMap<string, Channel>;
    readonly outbox: Outbox;
    changed(state: State): void;
}
/** How long to be patient, and how to open each transport. */
export interface ConnectionOptions {
    readonly open: Readonly<Record<TransportName, TransportFactory>>;
    readonly transports: readonly TransportName[];
    readonly connectTimeout?: number | undefined;
    readonly backoff?: BackoffOptions | undefined;
}
/**
 * Keeps one connection while there are channels: tries transports until one has proved itself, waits when none did, and
 * begins with the best again when the connection was lost.
 *
 * The choice blames a transport only for what is its own: silence, refusal by strangers, a cut before the proof. When the
 * server itself says no, it waits as told.
 */
export declare class Connection implements Sink {
    #private;
    constructor(env: Environment, host: ConnectionHost, options: ConnectionOptions);
    get state(): State;
    /** The channel set changed: this one left, or one came. Changes of one turn of the event loop are taken together. */
    update(left?: string): void;
    /** Tries other transports from now on. A living connection stays if it is on the first of them. */
    choose(transports: readonly TransportName[]): void;
    /** Ends for good. */
    close(error?: TricastError): void;
    wants(): Want[];
    event(event: ServerEvent): void;
    answered(channels: readonly Want[]): void;
    refused(error: TricastError): void;
    ended(error: TricastError, final?: boolean): void;
}

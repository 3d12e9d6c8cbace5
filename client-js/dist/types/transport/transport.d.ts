import type { Environment } from '../environment.js';
import type { TricastError } from '../errors.js';
import type { ServerEvent } from '../protocol.js';
/** The three ways to carry the same events. */
export type TransportName = 'ws' | 'sse' | 'poll';
/** A channel to read, and where from. */
export interface Want {
    readonly name: string;
    readonly from?: string | undefined;
}
/** A publish command, encoded once, and the `ref` that its answer bears. */
export interface Sendable {
    readonly ref: number;
    readonly text: string;
}
/** What the end of a connection means: `final`: the server wants no other one; `blamed`: another transport may do better. */
export type Fate = 'final' | 'blamed';
/** To whom a transport reports. After `close` or `ended` it reports nothing. */
export interface Sink {
    /** The channels to read and their positions at this moment. */
    wants(): Want[];
    /** An event arrived. A `welcome` is the proof that the transport delivers. */
    event(event: ServerEvent): void;
    /** A request that asked for these channels was answered: proof where there is no `welcome`. */
    answered(channels: readonly Want[]): void;
    /** The server refused to let these channels be read; the transport does not count them as asked for any more. */
    refused(error: TricastError, channels: readonly string[]): void;
    /** These publishes were not answered. */
    unsent(batch: readonly Sendable[], error: TricastError): void;
    /** The connection is over. */
    ended(error: TricastError, fate?: Fate): void;
}
/** One connection to the server. It holds no position: it asks the sink whenever it asks the server. */
export interface Transport {
    /** How many batches may be under way at once. */
    readonly parallel: number;
    /** Brings the connection in line with `sink.wants()`; the first call opens it. */
    update(): void;
    /** Does not count this channel as asked for any more: it left, or the next `update` asks for it anew. */
    forget(channel: string): void;
    /**
     * Sends publishes, in order; the answers go to `sink.event`, each with its `ref`. It works without `update`, where
     * commands need no connection.
     *
     * @returns what gives up: afterwards nothing is reported of them.
     */
    send(batch: readonly Sendable[]): () => void;
    /** Ends the connection without a report. Publishes under way are given up by whoever sent them. */
    close(): void;
}
/** Makes a transport that has `patience` milliseconds to prove that it delivers. */
export type TransportClass = new (env: Environment, sink: Sink, patience: number) => Transport;

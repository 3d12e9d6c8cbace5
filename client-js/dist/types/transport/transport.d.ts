import type { Environment } from '../environment.js';
import type { TricastError } from '../errors.js';
import type { ServerEvent } from '../protocol.js';
/** The three ways to carry the same events. */
export type TransportName = 'ws' | 'sse' | 'poll';
/** A channel to read, and where from. */
export interface Want {
    readonly name: string;
    readonly from?: string;
}
/** A publish command, encoded once, and the `ref` that its answer bears. */
export interface Sendable {
    readonly ref: number;
    readonly text: string;
}
/** To whom a transport reports. After `close` or `ended` it reports nothing. */
export interface Sink {
    /** The channels to read and their positions at this moment. */
    wants(): Want[];
    /** An event arrived. A `welcome` is the proof that the transport delivers. */
    event(event: ServerEvent): void;
    /** A request that asked for these channels was answered: proof where there is no `welcome`. */
    answered(channels: readonly Want[]): void;
    /** The server refused to let `error.channel` be read. */
    refused(error: TricastError): void;
    /** The connection is over. `final`: the server wants no other one. */
    ended(error: TricastError, final?: boolean): void;
}
/** One connection to the server. It holds no position: it asks the sink whenever it asks the server. */
export interface Transport {
    /** Brings the connection in line with `sink.wants()`; the first call opens it. */
    update(): void;
    /** Asks for one channel again, at its present position. */
    again(channel: string): void;
    /**
     * Sends publishes, in order, and resolves with the answers that came, each with its `ref`.
     *
     * An answer that is missing, or a rejection, means that the outcome is unknown. `signal` tells that nobody waits any more.
     */
    send(batch: readonly Sendable[], signal: AbortSignal): Promise<ServerEvent[]>;
    /** Ends the connection without a report. */
    close(): void;
}
/** Makes a transport that has `patience` milliseconds to prove that it delivers. */
export type TransportFactory = (env: Environment, sink: Sink, patience: number) => Transport;

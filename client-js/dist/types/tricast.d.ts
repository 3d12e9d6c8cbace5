import { type Channel, type ChannelOptions } from './channel.js';
import { type Report, type State } from './connection.js';
import { type Options } from './environment.js';
import { type PublishOptions, type Published } from './outbox.js';
import type { TransportName } from './transport/link.js';
/** What `rt.on` listens to. */
export interface TricastEvents {
    state: State;
}
/** Options of one call. */
export interface CallOptions {
    /** Stops waiting for the answer; the call may have taken effect. */
    readonly signal?: AbortSignal;
}
/**
 * A client: channels over one connection, which is a WebSocket where that works, an SSE stream where it does not, and
 * long-polling where nothing else does.
 *
 * It connects while it has channels, and is `idle` without: then publishes go by POST.
 */
export declare class Tricast {
    /** The id under which the server knows this client. */
    readonly client: string;
    /** What the connection is doing. It is the client's to change. */
    state: State;
    /** Adds a handler and returns what removes it. */
    readonly on: <Name extends keyof TricastEvents>(name: Name, handler: (value: TricastEvents[Name]) => void) => () => void;
    /**
     * Reads a channel. While it is open, the same name answers the same `Channel`, shared by all who asked: the options of
     * the first count, those of later callers are ignored, and whoever closes it closes it for all.
     *
     * @throws TricastError `closed` on a closed client, `bad_request` for a name that cannot be one.
     */
    readonly channel: <T = unknown>(name: string, options?: ChannelOptions) => Channel<T>;
    /**
     * Publishes what has a JSON form; the channel need not be read. Resolves once the message is in the log; until then it
     * is repeated with the same id over whatever transport lives. Publishes to one channel keep their order.
     *
     * Rejects with a `TricastError`, or with the reason of `options.signal`.
     */
    readonly publish: (channel: string, data: unknown, options?: PublishOptions) => Promise<Published>;
    /** Calls a method of the application. It is sent once at most: if no answer comes, nobody knows whether it took effect. */
    readonly call: <T = unknown>(method: string, data?: unknown, options?: CallOptions) => Promise<T>;
    /** Tells what was tried, and what came of it. */
    readonly report: () => Report;
    /** Uses these transports from now on, best first; channels go on where they are. */
    readonly setTransports: (transports: readonly TransportName[]) => void;
    /** Ends the connection and all channels for good, and forgets the token. What is not acknowledged rejects with `closed`. */
    readonly close: () => void;
    /** @param url The server's mount point, absolute or relative to the page: `'/rt'`. */
    constructor(url: string, options?: Options);
}

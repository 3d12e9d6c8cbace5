import { Channel, type ChannelOptions } from './channel.js';
import { type State } from './connection.js';
import { type Options } from './environment.js';
import { type PublishOptions, type Published } from './outbox.js';
import type { TransportName } from './transport/transport.js';
/** What `rt.on` listens to. */
export interface TricastEvents {
    state: State;
}
/**
 * A client: channels over one connection, which is a WebSocket where that works, an SSE stream where it does not, and
 * long-polling where nothing else does.
 *
 * It connects while it has channels, and is `idle` without: then publishes go by POST.
 */
export declare class Tricast {
    #private;
    /** The id under which the server knows this client. */
    readonly client: string;
    /** @param url The server's mount point, absolute or relative to the page: `'/rt'`. */
    constructor(url: string, options?: Options);
    /** What the connection is doing. */
    get state(): State;
    /** Adds a handler and returns what removes it. */
    on<Name extends keyof TricastEvents>(name: Name, handler: (value: TricastEvents[Name]) => void): () => void;
    /**
     * Reads a channel. While it is open, the same name answers the same `Channel`, shared by all who asked: the `from` of
     * the first counts, another one of later callers is ignored, and whoever closes it closes it for all.
     *
     * @throws TricastError `closed` on a closed client, `bad_request` for a name or a `from` that cannot be one.
     */
    channel(name: string, { from }?: ChannelOptions): Channel;
    /**
     * Publishes what has a JSON form; the channel need not be read. Resolves once the message is in the log; until then it
     * is repeated with the same id over whatever transport lives. Publishes to one channel keep their order.
     *
     * Rejects with a `TricastError`, or with the reason of `options.signal`.
     */
    publish(channel: string, data: unknown, options?: PublishOptions): Promise<Published>;
    /** Uses these transports from now on, best first; channels go on where they are. */
    setTransports(transports: readonly TransportName[]): void;
    /** Ends the connection and all channels for good. Publishes that are not acknowledged reject with `closed`. */
    close(): void;
}

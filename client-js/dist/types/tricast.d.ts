import { Channel, type ChannelOptions } from './channel.js';
import { type State } from './connection.js';
import { type Options } from './environment.js';
import type { TransportName } from './transport/transport.js';
/** What `rt.on` listens to. */
export interface TricastEvents {
    state: State;
}
/**
 * A client: channels over one connection, which is a WebSocket where that works, an SSE stream where it does not, and
 * long-polling where nothing else does.
 *
 * It connects while it has channels, and is `idle` without.
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
     * Reads a channel. While it is open, the same name answers the same `Channel`, whatever the options.
     *
     * @throws TricastError `closed` on a closed client.
     */
    channel(name: string, options?: ChannelOptions): Channel;
    /** Uses these transports from now on, best first; channels go on where they are. */
    setTransports(transports: readonly TransportName[]): void;
    /** Ends the connection and all channels for good. Publishes that are not acknowledged reject with `closed`. */
    close(): void;
}

import type { TricastError } from './errors.js';
import type { PublishOptions, Published } from './outbox.js';
import type { From, GapReason, ServerCode } from './protocol.js';
/** How a channel is read. */
export interface ChannelOptions {
    /**
     * Where to start: `latest`, `earliest`, `last:N`, or a position `<epoch>-<seq>` as `channel.position` tells it. From
     * then on the client goes on at its own position. Default `latest`.
     */
    readonly from?: From;
}
/** A message as handlers get it. */
export interface Message {
    readonly channel: string;
    /** The payload: parsed JSON, or a `Uint8Array` where the publisher sent bytes. */
    readonly data: unknown;
    readonly epoch: string;
    readonly seq: number;
    /** `<epoch>-<seq>`. */
    readonly position: string;
    /** Milliseconds since 1970 by the log's clock. */
    readonly at: number;
    readonly event?: string;
    readonly id?: string;
    readonly user?: string;
}
/** Messages between the old position and this one are gone, or their number is unknown. */
export interface Gap {
    readonly channel: string;
    readonly position: string;
    readonly head: string;
    readonly reason: GapReason;
}
/** Delivery has started, or goes on, after `position`. */
export interface Subscribed {
    readonly channel: string;
    readonly position: string;
    readonly head: string;
    /** Present where the client had a position: whether reading continued without loss. */
    readonly recovered?: boolean;
}
/** The server ended the subscription; the client does not ask again. */
export interface Unsubscribed {
    readonly channel: string;
    readonly code?: ServerCode | undefined;
}
/** What `channel.on` listens to. */
export interface ChannelEvents {
    message: Message;
    gap: Gap;
    subscribed: Subscribed;
    unsubscribed: Unsubscribed;
    /** A subscription failed. Where `error.retryable`, the client goes on trying. */
    error: TricastError;
}
/** One channel, read from a position of its own over whatever connection lives. */
export declare class Channel {
    #private;
    readonly name: string;
    /** The last position that was handled; before the first, the one to start from, or null. */
    get position(): string | null;
    /** How often a message was missing without a `gap`, so that the client had to ask again. */
    get faults(): number;
    /** Adds a handler and returns what removes it. */
    on<Name extends keyof ChannelEvents>(name: Name, handler: (value: ChannelEvents[Name]) => void): () => void;
    /** The same as `rt.publish` with this channel's name: whether it is read, or may be, makes no difference. */
    publish(data: unknown, options?: PublishOptions): Promise<Published>;
    /** Stops reading, without an event. Publishes go on. */
    close(): void;
}

import type { ChannelOptions, Member, Message, PublishOptions, Published } from './index.js';
import type { State, Tricast } from './index.js';
import type { TricastError } from './errors.js';
/** How a component reads a channel. */
export interface UseChannelOptions<T> extends Omit<ChannelOptions, 'signal'> {
    /** How many of the newest messages are kept in `messages`. Default 100. */
    readonly keep?: number;
    /** Hears each message once, also those that are not kept. The newest function counts. */
    readonly onMessage?: (message: Message<T>) => void;
}
/** A channel as a component sees it. Another object whenever something changed. */
export interface ChannelView<T> {
    /** The newest messages since the component came, oldest first. */
    readonly messages: readonly Message<T>[];
    /** On a state: the newest message of each key. */
    readonly state: ReadonlyMap<string, Message<T>>;
    /** Delivery has started; on a state: it is known whole. */
    readonly ready: boolean;
    /** Why the channel is not read, or not yet. */
    readonly error: TricastError | null;
    readonly publish: (data: T, options?: PublishOptions) => Promise<Published>;
}
/** What the client is doing. Renders again when that changes. */
export declare function useConnection(rt: Tricast): State;
/**
 * Reads a channel while the component is there. Components that name the same channel share it; the options of the first
 * count. No name: nothing is read.
 */
export declare function useChannel<T = unknown>(rt: Tricast, name: string | null, options?: UseChannelOptions<T>): ChannelView<T>;
/** Who is on a channel, where it keeps presence. Renders again when somebody comes, leaves, or shows something else. */
export declare function useMembers<T = unknown>(rt: Tricast, name: string | null): readonly Member<T>[];

import { type Environment } from './environment.js';
import { TricastError } from './errors.js';
import { type AnswerEvent, type ServerEvent } from './protocol.js';
/** Options of one publish. */
export interface PublishOptions {
    /** The message's event name: 1 to 64 of `[A-Za-z0-9_.:/-]`; not `error`, `open`, nor beginning with `tricast:`. */
    readonly event?: string;
    /** Makes the publish idempotent: 1 to 64 visible ASCII characters. Default: random. */
    readonly id?: string;
    /** On a state: what is set. */
    readonly key?: string;
    /** On a state: removes the key; there is no data then. */
    readonly deleted?: boolean;
    /** On a state: seconds after which the key is removed. */
    readonly ttl?: number;
    /** On a state: the seq of the key's present message, 0 where there is none; else it is refused as a `conflict`. */
    readonly if?: number;
    /** Stops waiting, and repeating, for this publish; it may have taken effect. */
    readonly signal?: AbortSignal;
}
/** The message is in the log. */
export interface Published {
    readonly id: string;
    readonly position: string;
    /** It was there already under this id. */
    readonly duplicate: boolean;
}
/** What sends a text of commands; the answers come to `_outcome`. */
export type Send = (text: string) => void;
/** Commands that are not answered yet. */
export interface Outbox {
    /** Bytes of payload that the server takes, as far as it has said so. */
    _limit: number;
    /**
     * Sends a command until it is answered. It is encoded at once: what changes later is not sent. Rejects with a TricastError,
     * with the signal's reason, or with the TypeError that tells that there is no JSON form.
     *
     * @param lane Those of one lane keep their order; undefined: on its own, and sent once at most.
     */
    _ask(command: object, signal: AbortSignal | undefined, lane?: string): Promise<AnswerEvent>;
    /** From now on this carries, or POST where it is undefined; null: nothing does. What is not answered is sent again. */
    _attach(send: Send | null | undefined): void;
    /** What became of a command. */
    _outcome(event: ServerEvent): void;
    /** Rejects everything, also what comes later. */
    _close(error: TricastError): void;
}
/**
 * Commands until they are answered, oldest first. A channel has at most one batch of publishes under way, so a retry never
 * reorders; it keeps its ids, so a retry never doubles. Where nothing carries, everything waits.
 *
 * @param stuck Called when there was no answer.
 */
export declare function createOutbox(env: Environment, stuck: () => void): Outbox;

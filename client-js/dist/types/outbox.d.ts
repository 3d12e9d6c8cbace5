import { type Environment } from './environment.js';
import { TricastError } from './errors.js';
import type { PublishedEvent, Ref } from './protocol.js';
import type { Transport } from './transport/transport.js';
/** Options of one publish. */
export interface PublishOptions {
    /** The message's event name: 1 to 64 of `[A-Za-z0-9_.:/-]`; not `error`, `open`, nor beginning with `tricast:`. */
    readonly event?: string;
    /** Makes the publish idempotent: 1 to 64 visible ASCII characters. Default: random. */
    readonly id?: string;
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
/** The connection over which publishes go. */
export type Carrier = Pick<Transport, 'send' | 'parallel'>;
/**
 * Publishes that are not acknowledged yet. A channel has at most one batch under way, so a retry never reorders; it keeps
 * its ids, so a retry never doubles. Without a carrier everything waits.
 */
export declare class Outbox {
    #private;
    /** Bytes of payload that the server takes, as far as it has said so. */
    limit: number;
    constructor(env: Environment);
    /** Queues one publish. `data` is encoded at once: what changes later is not sent. */
    publish(channel: string, data: unknown, { event, id, signal }?: PublishOptions): Promise<Published>;
    /** From now on this connection carries; null: none does. What is not answered is sent again, and nothing waits. */
    attach(carrier: Carrier | null): void;
    /** What became of a publish. */
    outcome(ref: Ref | undefined, outcome: PublishedEvent | TricastError): void;
    /** Rejects everything, also what comes later. */
    close(error: TricastError): void;
}

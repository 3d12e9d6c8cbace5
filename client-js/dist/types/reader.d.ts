import { type Position } from './position.js';
import type { GapEvent, MessageEvent, SubscribedEvent } from './protocol.js';
/**
 * What becomes of an event: `deliver` it to the application, `drop` it as not new, or `fault`:
 * something before it is missing and nobody said so, hence the reader must ask again.
 */
export type Verdict = 'deliver' | 'drop' | 'fault';
/**
 * One channel's position and the rules that move it (protocol 5.1), without any I/O.
 *
 * `receive` moves the position before it answers, so whatever a handler does with a delivered event, no
 * other transport can bring the same message to it again.
 */
export declare class Reader {
    #private;
    /** @param position What the application has already, null for nothing. */
    constructor(position?: Position | null);
    /** Where reading goes on; null until the server has said where it starts. */
    get position(): string | null;
    /** Judges one event and moves the position accordingly. */
    receive(event: SubscribedEvent | GapEvent | MessageEvent): Verdict;
}

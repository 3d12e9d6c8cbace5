import { type Position } from './position.js';
import type { GapEvent, LiveEvent, MessageEvent, SubscribedEvent } from './protocol.js';
/** It goes to the application. */
export declare const DELIVER = 1;
/** It is not new. */
export declare const DROP = 0;
/** Something before it is missing and nobody said so, hence the reader must ask again. */
export declare const FAULT = -1;
/** What becomes of an event. */
export type Verdict = typeof DELIVER | typeof DROP | typeof FAULT;
/**
 * One channel's position and the rules that move it (protocol 5.1 and 5.3), without any I/O.
 *
 * `_receive` moves the position before it answers, so whatever a handler does with a delivered event, no other transport
 * can bring the same message to it again.
 */
export interface Reader {
    /** Where reading goes on; null until the server has said where it starts. With a base, a snapshot is being read. */
    _position: Position | null;
    /** Judges one event and moves the position accordingly. */
    _receive(event: SubscribedEvent | GapEvent | MessageEvent | LiveEvent): Verdict;
}
/** @param start What the application has already, null for nothing. */
export declare function createReader(start: Position | null): Reader;

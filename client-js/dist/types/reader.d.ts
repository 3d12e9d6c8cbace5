import { type Position } from './position.js';
import type { GapEvent, LiveEvent, MessageEvent, SubscribedEvent } from './protocol.js';
/** What tells of the reading of one channel. */
export type Told = SubscribedEvent | GapEvent | MessageEvent | LiveEvent;
/**
 * The rules by which a reader moves (protocol 5.1 and 5.3). To move before a handler runs is the caller's part: then,
 * whatever a handler does, no other transport can bring the same message to it again.
 *
 * @param at Where the reader stands; null until the server has said where it starts.
 * @returns where it stands after the event; undefined where that is not new or concerns nobody; null for a fault: something
 * is missing and nobody said so, hence the reader must ask again.
 */
export declare function advance(at: Position | null, isState: boolean, event: Told): Position | undefined | null;

import { parsePosition, type Position } from './position.js';
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
export function advance(at: Position | null, isState: boolean, event: Told): Position | undefined | null {
  if (event.type === 'message') {
    const { epoch, seq, key } = event;
    // Only what is on a state has a key, and states have holes.
    if (at?.epoch !== epoch || (key === undefined && seq > at.seq + 1)) return null;
    return seq > at.seq ? place(epoch, seq, at.base) : undefined;
  }
  if (!/^(live|gap|subscribed)$/.test(event.type)) return undefined;
  const told = parsePosition(event.position);
  if (!told) return null;
  const { epoch, seq } = told;
  if (event.type === 'live') return at?.epoch === epoch ? place(epoch, Math.max(at.seq, seq), at.base) : null;
  // A reader that has a position keeps it when it is subscribed: only a gap may replace it.
  if (event.type === 'subscribed' && at) return at;
  return place(epoch, seq, isState && !seq ? parsePosition(event.head)?.seq : undefined);
}

/** A base that is passed is none. */
function place(epoch: string, seq: number, base: number | undefined): Position {
  return { epoch, seq, base: base! > seq ? base : undefined };
}

import { parsePosition, type Position } from './position.js';
import type { GapEvent, LiveEvent, MessageEvent, SubscribedEvent } from './protocol.js';

/** It goes to the application. */
export const DELIVER = 1;

/** It is not new. */
export const DROP = 0;

/** Something before it is missing and nobody said so, hence the reader must ask again. */
export const FAULT = -1;

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
export function createReader(start: Position | null): Reader {
  let isState = false;
  const move = (epoch: string, seq: number, base: number | undefined): Verdict => {
    reader._position = { epoch, seq, base: base! > seq ? base : undefined };
    return DELIVER;
  };
  const reader: Reader = {
    _position: start,
    _receive(event) {
      const { _position: at } = reader;
      if (event.type === 'message') {
        const { epoch, seq, key } = event;
        if (at?.epoch !== epoch) return FAULT;
        if (seq <= at.seq) return DROP;
        // Only what is on a state has a key, and states have holes.
        return key === undefined && seq > at.seq + 1 ? FAULT : move(epoch, seq, at.base);
      }
      if (!/^(live|gap|subscribed)$/.test(event.type)) return DROP;
      const told = parsePosition(event.position);
      if (!told) return FAULT;
      const { epoch, seq } = told;
      if (event.type === 'live') return at?.epoch === epoch ? move(epoch, Math.max(at.seq, seq), at.base) : FAULT;
      if (event.type === 'subscribed') {
        isState = event.kind === 'state';
        // A reader that has a position keeps it when it is subscribed: only a gap may replace it.
        if (at) return DELIVER;
      }
      return move(epoch, seq, isState && !seq ? parsePosition(event.head)?.seq : undefined);
    },
  };
  return reader;
}

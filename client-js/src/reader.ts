import { formatPosition, parsePosition, type Position } from './position.js';
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
export class Reader {
  #position: Position | null;

  /** @param position What the application has already, null for nothing. */
  constructor(position: Position | null = null) {
    this.#position = position;
  }

  /** Where reading goes on; null until the server has said where it starts. */
  get position(): string | null {
    return this.#position && formatPosition(this.#position);
  }

  /** Judges one event and moves the position accordingly. */
  receive(event: SubscribedEvent | GapEvent | MessageEvent): Verdict {
    if (event.type === 'message') return this.#advance(event.epoch, event.seq);
    // A reader that has a position keeps it when it is subscribed: only a gap may replace it.
    return event.type === 'subscribed' && this.#position ? 'deliver' : this.#replace(event.position);
  }

  #replace(text: string): Verdict {
    const position = parsePosition(text);
    if (!position) return 'fault';
    this.#position = position;
    return 'deliver';
  }

  #advance(epoch: string, seq: number): Verdict {
    const position = this.#position;
    if (!position || position.epoch !== epoch) return 'fault';
    if (seq <= position.seq) return 'drop';
    if (seq !== position.seq + 1) return 'fault';
    this.#position = { epoch, seq };
    return 'deliver';
  }
}

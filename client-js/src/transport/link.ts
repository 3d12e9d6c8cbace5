import { createTimer, type Environment } from '../environment.js';
import { unreachable, type TricastError } from '../errors.js';
import type { ServerEvent } from '../protocol.js';

/** The three ways to carry the same events. */
export type TransportName = 'ws' | 'sse' | 'poll';

/** A channel to read, and where from. */
export interface Want {
  readonly name: string;
  readonly from?: string | undefined;
  readonly presence?: unknown;
}

/** To whom a link reports. After `_close` it reports nothing. */
export interface Sink {
  /** The channels to read and their positions at this moment. */
  _wants(): Want[];
  /** An event arrived. */
  _event(event: ServerEvent): void;
  /** The link delivers in both directions; it took so many milliseconds. */
  _proven(roundTrip: number): void;
  /**
   * The server refused to let a channel be read; where it named none, the newest made them too many. (If it was another one,
   * its turn comes.) The link does not count it as asked for any more, and updates.
   */
  _refused(error: TricastError, channel: string): void;
  /** The connection is over: it is to be closed. */
  _ended(error: TricastError): void;
}

/** One connection to the server. It holds no position: it asks the sink whenever it asks the server. */
export interface Link {
  /** Brings the connection in line with `_wants()`; the first call opens it. */
  _update(): void;
  /** Does not count this channel as asked for any more: it left, or the next `_update` asks for it anew. */
  _forget(channel: string): void;
  /** Does all that shows whether it lives, with the token at hand now; begins to read in earnest after having been a probe. */
  _renew(): void;
  /** Sends a command, or an array of them; the answers go to `_event`. Without it commands go by POST. */
  _send?(text: string): void;
  /** Ends the connection without a report. */
  _close(): void;
}

/** Makes a link that has `patience` milliseconds to prove that it delivers. */
export type OpenLink = (env: Environment, sink: Sink, patience: number) => Link;

/** The next sign of life is due within so many milliseconds; undefined: none is. */
export type Expect = (ms?: number) => void;

/** Makes a deadline that is the end of the connection. */
export function createDeadline(env: Environment, sink: Sink): Expect {
  const timer = createTimer(env);
  return (ms) => timer(ms, () => sink._ended(unreachable('no answer')));
}

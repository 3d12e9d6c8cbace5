import type { Environment } from '../environment.js';
import { asError, type TricastError } from '../errors.js';
import { createDeadline, type Expect, type Link, type Sink } from './link.js';
import { post } from './post.js';

/**
 * What reads in one transport's way, until it throws or `signal` says stop. What it still brings after that does not count.
 *
 * @param ask Asks for all channels at their positions.
 */
export type Read = (
  ask: (endpoint: string, wait?: number) => Promise<Response>,
  signal: AbortSignal,
  expect: Expect,
) => Promise<void>;

/**
 * What SSE and long-polling share: a request asks for a whole channel set, so another set is another request, which goes
 * on where this one stopped; and commands go by `POST send`.
 */
export function openRequests(env: Environment, sink: Sink, patience: number, read: Read): Link {
  const expect = createDeadline(env, sink);
  /** What the newest request asked for. */
  let asked: string[] = [];
  /** Of the go that counts. */
  let abort: AbortController | null = null;

  const close = (): void => {
    expect();
    abort?.abort();
    abort = null;
  };

  const restart = (): void => {
    close();
    // Where all channels have left or rest there is nothing to ask for: a later update asks.
    if (!sink._wants()[0]) return;
    const { signal } = (abort = new AbortController());
    const ask = (endpoint: string, wait?: number): Promise<Response> => {
      const channels = sink._wants();
      asked = channels.map(({ name }) => name);
      return post(env, endpoint, JSON.stringify({ client: env.client, channels, wait }), signal);
    };
    expect(patience);
    read(ask, signal, expect).catch((thrown) => {
      if (!signal.aborted) lost(asError(thrown));
    });
  };

  /** Refused channels leave, and the set without them is asked for next; whatever else went wrong is the end. */
  const lost = (error: TricastError): void => {
    const { channel, code, retryable } = error;
    const names = asked;
    if (retryable || !(code === 'too_many_channels' || names.includes(channel!))) return sink._ended(error);
    close();
    sink._refused(error, channel ? [channel] : names);
    restart();
  };

  return {
    _update() {
      if (!abort || `${sink._wants().map(({ name }) => name)}` !== `${asked}`) restart();
    },
    _forget(channel) {
      if (asked.includes(channel)) close();
    },
    _renew: restart,
    _close: close,
  };
}

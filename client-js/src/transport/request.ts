import { asError, unreachable, type TricastError } from '../errors.js';
import { MIN_PACE, WAIT } from '../limits.js';
import { asEvent, type ServerEvent } from '../protocol.js';
import { createSseParser } from '../sse-parser.js';
import { createDeadline, type OpenLink } from './link.js';
import { post } from './post.js';

/**
 * SSE and long-polling: a request asks for a whole channel set, so another set is another request, which goes on where this
 * one stopped; and commands go by `POST send`.
 *
 * SSE is read from a `fetch` stream: unlike an `EventSource` it can POST, set headers, see comments and tell why it failed.
 * Of polling, each batch is a request: what was handled is in the next one's positions, so nothing is lost.
 */
export const openRequests =
  (name: 'sse' | 'poll'): OpenLink =>
  (env, sink, patience) => {
    const { clock, _tokens: tokens, _locks: shared } = env;
    const expect = createDeadline(env, sink);
    /** What the newest request asked for. */
    let asked: string[] = [];
    /** Of the reading that counts; what an older one still brings does not. */
    let abort: AbortController | null = null;

    const close = (): void => {
      expect();
      abort?.abort();
      abort = null;
    };

    /** Asks for all channels at their positions. */
    const ask = (signal: AbortSignal, wait?: number): Promise<Response> => {
      const channels = sink._wants();
      asked = channels.map(({ name }) => name);
      return post(env, name, JSON.stringify({ client: shared ? undefined : env.client, channels, wait }), signal);
    };

    const stream = async (signal: AbortSignal): Promise<void> => {
      const since = clock.now();
      let heartbeat = 0;
      // A runtime without such streams throws here, and polls.
      const reader = (await ask(signal)).body!.getReader();
      const decoder = new TextDecoder();
      const parse = createSseParser();
      for (;;) {
        const { value } = await reader.read();
        if (signal.aborted) return;
        if (!value) throw unreachable('ended');
        for (const data of parse(decoder.decode(value, { stream: true }))) {
          const event = asEvent(JSON.parse(data));
          sink._event(event);
          if (event.type === 'welcome') {
            heartbeat = 1000 * event.heartbeat;
            tokens._accepted(event.expires_in);
            sink._proven(clock.now() - since);
          }
          if (signal.aborted) return;
        }
        // Comments alone prove nothing: until the welcome, the first deadline stands.
        if (heartbeat) expect(2 * heartbeat);
      }
    };

    const poll = async (signal: AbortSignal): Promise<void> => {
      // The first request is not held, for an answer is the proof that polling works.
      for (let wait = 0; !signal.aborted && sink._wants()[0]; wait = shared ? 0 : WAIT) {
        expect(wait * 1000 + patience);
        const since = clock.now();
        const answer = await (await ask(signal, wait)).json();
        if (signal.aborted) return;
        const events: ServerEvent[] = answer.events.map(asEvent);
        const took = clock.now() - since;
        tokens._accepted(answer.expires_in);
        // An answer that only says goodbye proves nothing.
        if (!wait && events[0]?.type !== 'bye') sink._proven(took);
        for (const event of events) {
          sink._event(event);
          if (signal.aborted) return;
        }
        if (shared && !events[0]) {
          expect();
          await (await import('../share.js')).follow(env, sink, signal);
        }
        if (wait && !events[0] && took < MIN_PACE) {
          await new Promise<void>((resolve) => signal.addEventListener('abort', clock.timer(MIN_PACE, resolve)));
        }
      }
    };

    const restart = (): void => {
      close();
      // Where all channels have left or rest there is nothing to ask for: a later update asks.
      if (!sink._wants()[0]) return;
      const { signal } = (abort = new AbortController());
      expect(patience);
      (name === 'sse' ? stream : poll)(signal).catch((thrown) => {
        if (!signal.aborted) lost(asError(thrown));
      });
    };

    /** Refused channels leave, and the set without them is asked for next; whatever else went wrong is the end. */
    const lost = (error: TricastError): void => {
      const { channel, code, retryable } = error;
      // `too_many_channels` is the only code of several.
      if (retryable || !(/s$/.test(code) || asked.includes(channel!))) return sink._ended(error);
      close();
      sink._refused(error, channel ?? asked.pop()!);
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
  };

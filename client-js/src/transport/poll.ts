import { MIN_PACE, WAIT } from '../limits.js';
import { asEvent, type ServerEvent } from '../protocol.js';
import type { OpenLink } from './link.js';
import { openRequests } from './request.js';

/** Long-polling: one request a batch. What was handled is in the next request's positions, so nothing is lost. */
export const openPoll: OpenLink = (env, sink, patience) =>
  openRequests(env, sink, patience, async (ask, signal, expect) => {
    const { clock, _tokens: tokens } = env;
    // The first request is not held, for an answer is the proof that polling works.
    for (let wait = 0; !signal.aborted && sink._wants()[0]; wait = WAIT) {
      expect(wait * 1000 + patience);
      const since = clock.now();
      const { events: told, expires_in: expiresIn } = await (await ask('poll', wait)).json();
      if (signal.aborted) return;
      const events: ServerEvent[] = told.map(asEvent);
      const took = clock.now() - since;
      tokens._accepted(expiresIn);
      // An answer that only says goodbye proves nothing.
      if (!wait && events[0]?.type !== 'bye') sink._proven(took);
      for (const event of events) {
        sink._event(event);
        if (signal.aborted) return;
      }
      if (wait && !events[0] && took < MIN_PACE) {
        await new Promise<void>((resolve) => signal.addEventListener('abort', clock.timer(MIN_PACE, resolve)));
      }
    }
  });

import { asEvents, type ServerEvent } from '../protocol.js';
import { RequestTransport } from './request.js';
import type { Want } from './transport.js';

/** Seconds for which the server may hold a request. */
const WAIT = 25;

/** Milliseconds between requests while something on the way answers them empty without holding them. */
const MIN_PACE = 1000;

/** Long-polling: one request a batch. What was handled is in the next request's positions, so nothing is lost. */
export class PollTransport extends RequestTransport {
  #proven = false;

  protected async read(wants: Want[], signal: AbortSignal): Promise<void> {
    const { clock } = this.env;
    for (;;) {
      // The first request is not held, for an answer is the proof that polling works.
      const wait = this.#proven ? WAIT : 0;
      const asked = clock.now();
      this.expect(wait * 1000 + this.patience);
      const response = await this.ask('poll', this.sink.wants(), signal, wait);
      const { events } = (await response.json()) as { events: unknown };
      if (signal.aborted) return;
      this.#take(asEvents(events), wants, signal);
      if (wait && !(events as ServerEvent[]).length && clock.now() - asked < MIN_PACE) {
        await new Promise<void>((resolve) => void clock.timer(MIN_PACE, resolve));
      }
      if (signal.aborted) return;
    }
  }

  #take(events: ServerEvent[], wants: Want[], signal: AbortSignal): void {
    // An answer that only says goodbye proves nothing.
    if (events[0]?.type !== 'bye') {
      this.#proven = true;
      this.sink.answered(wants);
    }
    for (const event of events) {
      if (signal.aborted) return;
      this.sink.event(event);
    }
  }
}

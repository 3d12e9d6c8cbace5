import { MIN_PACE, WAIT } from '../limits.js';
import { asEvents, type ServerEvent } from '../protocol.js';
import { RequestTransport } from './request.js';

/** Long-polling: one request a batch. What was handled is in the next request's positions, so nothing is lost. */
export class PollTransport extends RequestTransport {
  #proven = false;
  #cancelPace = (): void => {};

  override close(): void {
    this.#cancelPace();
    super.close();
  }

  protected async read(signal: AbortSignal): Promise<void> {
    const { clock } = this.env;
    // Where all channels have left or rest there is nothing to ask for.
    while (!signal.aborted && this.sink.wants().length > 0) {
      // The first request is not held, for an answer is the proof that polling works.
      const wait = this.#proven ? WAIT : 0;
      const asked = clock.now();
      this.expect(wait * 1000 + this.patience);
      const response = await this.ask('poll', signal, wait);
      const { events } = (await response.json()) as { events: unknown };
      if (signal.aborted) return;
      this.#take(asEvents(events), signal);
      if (!signal.aborted && wait && !(events as ServerEvent[]).length && clock.now() - asked < MIN_PACE) {
        await new Promise<void>((resolve) => (this.#cancelPace = clock.timer(MIN_PACE, resolve)));
      }
    }
  }

  #take(events: ServerEvent[], signal: AbortSignal): void {
    // An answer that only says goodbye proves nothing.
    if (events[0]?.type !== 'bye') {
      this.#proven = true;
      this.sink.answered(this.wants);
    }
    for (const event of events) {
      if (signal.aborted) return;
      this.sink.event(event);
    }
  }
}

import type { Environment } from '../environment.js';
import { unreachable, type TricastError } from '../errors.js';
import { DEFAULT_HEARTBEAT } from '../limits.js';
import type { WelcomeEvent } from '../protocol.js';
import type { Fate, Sink } from './transport.js';

/** What all transports share: the deadline of the next sign of life. */
export abstract class Link {
  /** Milliseconds between heartbeats; 0 before the welcome. */
  protected heartbeat = 0;
  #cancelDeadline = (): void => {};

  constructor(
    protected readonly env: Environment,
    protected readonly sink: Sink,
    protected readonly patience: number,
  ) {}

  /** Ends the connection without a report. */
  close(): void {
    this.#cancelDeadline();
  }

  /** Ends the connection with a report. */
  protected fail(error: TricastError, fate?: Fate): void {
    this.close();
    this.sink.ended(error, fate);
  }

  /** Takes the welcome: from now on two heartbeats of silence are the end. */
  protected welcome({ heartbeat }: WelcomeEvent): void {
    this.heartbeat = 1000 * (heartbeat || DEFAULT_HEARTBEAT);
    this.heard();
  }

  /** Something arrived. Alone it proves nothing: until the welcome, the first deadline stands. */
  protected heard(): void {
    if (this.heartbeat) this.expect(2 * this.heartbeat);
  }

  /** The next sign of life is due within `ms`. */
  protected expect(ms: number): void {
    this.#cancelDeadline();
    this.#cancelDeadline = this.env.clock.timer(ms, () => this.fail(unreachable('the server is silent')));
  }
}

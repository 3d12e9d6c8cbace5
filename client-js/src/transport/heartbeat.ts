import type { Clock } from '../environment.js';

/** Seconds, where `welcome` names none. */
const DEFAULT_HEARTBEAT = 25;

/** What a heartbeat asks its transport to do. */
export interface HeartbeatActions {
  ping(): void;
  silent(): void;
}

/**
 * The heartbeat of protocol section 6: `ping` after a heartbeat of having sent nothing or received nothing,
 * `silent` after two heartbeats of having received nothing, or once the first patience is over.
 */
export class Heartbeat {
  readonly #clock: Clock;
  readonly #actions: HeartbeatActions;
  #cancel: () => void;
  #interval = 0;
  #sent = 0;
  #received = 0;
  #pinged = 0;

  constructor(clock: Clock, patience: number, actions: HeartbeatActions) {
    this.#clock = clock;
    this.#actions = actions;
    this.#cancel = clock.timer(patience, () => actions.silent());
  }

  /** The server said welcome: from now on its heartbeat counts. */
  start(seconds = DEFAULT_HEARTBEAT): void {
    this.#interval = seconds * 1000;
    this.#sent = this.#received = this.#pinged = this.#clock.now();
    this.#arm();
  }

  /** Something was sent. */
  sent(): void {
    this.#sent = this.#clock.now();
  }

  /** Something was received, whatever it was. */
  received(): void {
    this.#received = this.#clock.now();
  }

  /** Nothing is called from now on. */
  stop(): void {
    this.#cancel();
  }

  #arm(): void {
    this.#cancel();
    const due = this.#pingDue() - this.#clock.now();
    // A clock that was set back must not put the next look far away.
    this.#cancel = this.#clock.timer(Math.max(0, Math.min(due, this.#interval)), () => this.#look());
  }

  #look(): void {
    const now = this.#clock.now();
    if (now - this.#received >= 2 * this.#interval) return this.#actions.silent();
    if (now >= this.#pingDue()) {
      this.#pinged = now;
      this.#actions.ping();
    }
    this.#arm();
  }

  #pingDue(): number {
    return Math.max(Math.min(this.#sent, this.#received), this.#pinged) + this.#interval;
  }
}

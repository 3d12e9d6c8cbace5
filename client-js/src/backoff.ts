import { MAX_TIMER } from './limits.js';

/** How long to wait between tries, in milliseconds. */
export interface BackoffOptions {
  /** Upper bound of the first wait; doubled for each further one. Default 500. */
  readonly base?: number;
  /** Upper bound of all waits. Default 30,000. */
  readonly cap?: number;
}

/** Exponential backoff with full jitter. It resets on proof only, never on a mere attempt. */
export class Backoff {
  readonly #random: () => number;
  readonly #base: number;
  readonly #cap: number;
  #failures = 0;

  constructor(random: () => number, { base = 500, cap = 30_000 }: BackoffOptions = {}) {
    this.#random = random;
    this.#base = base;
    this.#cap = cap;
  }

  /** How many waits there were since the last proof. */
  get failures(): number {
    return this.#failures;
  }

  /** The next wait in milliseconds; never shorter than what the server asked for. */
  next(atLeast = 0): number {
    const bound = Math.min(this.#cap, this.#base * 2 ** this.#failures++);
    return Math.min(MAX_TIMER, Math.max(atLeast, Math.round(this.#random() * bound)));
  }

  /** The other side has proved that it serves us. */
  reset(): void {
    this.#failures = 0;
  }
}

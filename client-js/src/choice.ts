import type { Environment } from './environment.js';
import type { TransportName } from './transport/transport.js';

/**
 * Which transport comes next: the one place that decides it. Within a round each candidate gets its turn, best first;
 * every round, and every reconnect, begins with the best again, so nobody is on a worse one for ever.
 */
export class Choice {
  readonly #candidates: readonly TransportName[];
  #index = 0;

  /** Takes those of `transports` that exist in this runtime, best first. */
  constructor(transports: readonly TransportName[], env: Environment) {
    this.#candidates = transports.filter((name) => name !== 'ws' || env.WebSocket);
  }

  /** The one to try; null where all failed in this round. */
  get current(): TransportName | null {
    return this.#candidates[this.#index] ?? null;
  }

  /** The current one did not deliver. */
  failed(): void {
    this.#index++;
  }

  /** Begins a round. */
  restart(): void {
    this.#index = 0;
  }
}

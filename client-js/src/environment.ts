import { Backoff, type BackoffOptions } from './backoff.js';
import type { TransportName } from './transport/transport.js';

/** Time as the client sees it. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls `callback` once after `ms` milliseconds, unless the answered function is called before. */
  timer(ms: number, callback: () => void): () => void;
}

/** Options of `new Tricast(url, options)`. What is not given comes from the globals of the runtime. */
export interface Options {
  /** The transports to try, best first. Default `['ws', 'sse', 'poll']`. */
  readonly transports?: readonly TransportName[];
  /** 8 to 64 of `[A-Za-z0-9_-]`, kept across reconnects and transports. Default: random. */
  readonly client?: string;
  /** Milliseconds that a transport has to prove that it delivers; doubled in each failed round. Default 5,000. */
  readonly connectTimeout?: number;
  /** How long to wait between rounds of tries. */
  readonly backoff?: BackoffOptions;
  /** Publishes that may wait for their acknowledgement; one more rejects with `outbox_full`. Default 1,000. */
  readonly outbox?: number;
  readonly fetch?: typeof fetch;
  /** null where the runtime's must not be used. Without one, the transport `ws` is skipped. */
  readonly WebSocket?: typeof WebSocket | null;
  readonly clock?: Clock;
  /** In [0, 1), for jitter. */
  readonly random?: () => number;
}

/** What the client uses of the world around it. */
export class Environment {
  readonly client: string;
  readonly fetch: typeof fetch;
  readonly WebSocket: typeof WebSocket | null;
  readonly clock: Clock;
  readonly random: () => number;
  /** What else was given; who uses it has the default. */
  readonly options: Options;
  readonly #base: string;

  constructor(url: string, options: Options) {
    this.options = options;
    const page = globalThis.location as Location | undefined;
    this.#base = new URL(url, page?.href).href.replace(/\/*$/, '/');
    const fetcher = options.fetch ?? globalThis.fetch;
    // Browsers refuse a `fetch` that is called as a method of another object.
    this.fetch = (input, init) => fetcher(input, init);
    this.WebSocket = options.WebSocket === undefined ? (globalThis.WebSocket ?? null) : options.WebSocket;
    this.clock = options.clock ?? systemClock;
    this.random = options.random ?? Math.random;
    this.client = options.client ?? randomId();
  }

  /** A backoff as the options want it. */
  backoff(): Backoff {
    return new Backoff(this.random, this.options.backoff);
  }

  /** The absolute address of an endpoint. */
  url(endpoint: string): string {
    return this.#base + endpoint;
  }
}

const systemClock: Clock = {
  now: () => Date.now(),
  timer(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** 128 random bits: publish ids must not be guessable, since all anonymous callers share one namespace. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(36)).join('');
}

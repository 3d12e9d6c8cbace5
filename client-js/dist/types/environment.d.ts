import { type Tokens } from './tokens.js';
import type { TransportName } from './transport/link.js';
/** Time as the client sees it. */
export interface Clock {
    /** Milliseconds since 1970. */
    now(): number;
    /** Calls `callback` once after `ms` milliseconds, unless the answered function is called before. */
    timer(ms: number, callback: () => void): () => void;
}
/** How long to wait between tries, in milliseconds. */
export interface BackoffOptions {
    /** Upper bound of the first wait; doubled for each further one. Default 500. */
    readonly base?: number;
    /** Upper bound of all waits. Default 30,000. */
    readonly cap?: number;
}
/** Options of `new Tricast(url, options)`. What is not given comes from the globals of the runtime. */
export interface Options {
    /** The transports to try, best first. Default `['ws', 'sse', 'poll']`. */
    readonly transports?: readonly TransportName[];
    /** 8 to 64 of `[A-Za-z0-9_-]`, kept across reconnects and transports. Default: random. */
    readonly client?: string;
    /**
     * Gives the token that says who the caller is, or an empty one for an anonymous caller. Called when one is needed and
     * ahead of its expiry, one call at a time.
     */
    readonly token?: () => Promise<string> | string;
    /** Milliseconds that a transport has to prove that it delivers; doubled in each failed round. Default 5,000. */
    readonly connectTimeout?: number;
    /** How long to wait between rounds of tries. */
    readonly backoff?: BackoffOptions;
    /** Publishes that may wait for their acknowledgement; one more rejects with `outbox_full`. Default 1,000. */
    readonly outbox?: number;
    /**
     * Shares one connection with the other tabs of this browser that do so. `share.js` is loaded from beside the client. Where
     * a browser has no Web Locks, which pages without TLS have not, each tab has its own.
     */
    readonly share?: boolean;
    /** Closes the client when it aborts. */
    readonly signal?: AbortSignal;
    readonly fetch?: typeof fetch;
    /** null where the runtime's must not be used. Without one, the transport `ws` is skipped. */
    readonly WebSocket?: typeof WebSocket | null;
    readonly clock?: Clock;
    /** In [0, 1), for jitter. */
    readonly random?: () => number;
}
/** What the client uses of the world around it: the options, or the defaults, and what is made of them. */
export interface Environment extends Required<Omit<Options, 'token' | 'signal' | 'transports' | 'share'>>, Pick<Options, 'token' | 'transports' | 'share'> {
    /** Not to be called as a method, which browsers refuse. */
    readonly fetch: typeof fetch;
    readonly _tokens: Tokens;
    /** By which tabs elect the one that keeps the connection; absent where each has its own. */
    readonly _locks?: LockManager | undefined;
    /** Gives up what is shared with other tabs. */
    _leave?(): void;
    /** The absolute address of an endpoint. */
    _url(endpoint: string): string;
    /** Full jitter: how long to wait after so many failures, but no less than what the server asked for. */
    _wait(failures: number, atLeast?: number): number;
}
/** Makes the environment of a client. */
export declare function createEnvironment(url: string, options: Options): Environment;
/** Calls back once after so many milliseconds, unless it is called again before; without a number it only cancels. */
export type Timer = (ms?: number, callback?: () => void) => void;
/** Makes a timer that does not run. */
export declare function createTimer({ clock }: Pick<Environment, 'clock'>): Timer;
/** 128 random bits: publish ids must not be guessable, since all anonymous callers share one namespace. */
export declare function randomId(): string;
/** Reads what outlives the page, or writes it; nothing where there is no such storage, or none that is open to us. */
export declare function stored(storage: 'localStorage' | 'sessionStorage', key: string, value?: string): string | null | void;
/** Calls `end` when the signal aborts, at once where it has. */
export declare function onAbort(signal: AbortSignal | undefined, end: () => void): void;

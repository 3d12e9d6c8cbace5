/** Commands in one array (protocol section 2). */
export declare const MAX_BATCH = 64;
/** Characters that a command has besides its payload, generously. */
export declare const MAX_ENVELOPE = 2048;
/** Publishes that wait by default; one more rejects with `outbox_full`. */
export declare const DEFAULT_CAPACITY = 1000;
/** Milliseconds after which a batch without an answer is sent again. */
export declare const ANSWER_TIMEOUT = 15000;
/** Milliseconds for which a retry is safe: servers remember an id for five minutes, and clocks differ a little. */
export declare const ID_MEMORY = 270000;
/** Milliseconds that a transport has to prove itself by default. */
export declare const DEFAULT_CONNECT_TIMEOUT = 5000;
/** However many rounds failed, a transport gets no more milliseconds than this. */
export declare const MAX_CONNECT_TIMEOUT = 30000;
/** Milliseconds that a connection has to live to count as a long one. */
export declare const SHORT_LIFE = 5000;
/** Short lives of proven connections in a row, after which their transport is left for the next. */
export declare const MAX_SHORT_LIVES = 3;
/** Milliseconds before a better transport is probed for the first time; doubled after each probe. */
export declare const FIRST_PROBE = 10000;
/** The longest time between probes, in milliseconds. */
export declare const LAST_PROBE = 600000;
/** Milliseconds for which the transport that worked is remembered across page loads. */
export declare const MEMORY = 3600000;
/** Attempts that a report tells of. */
export declare const REPORTED = 20;
/** Milliseconds between two looks at the clock. */
export declare const TICK = 5000;
/** Milliseconds after which a look at the clock is too late for a machine that was awake. */
export declare const LATE = 15000;
/** Milliseconds until the application's `token` is called again, where it failed ahead of the old one's expiry. */
export declare const TOKEN_RETRY = 5000;
/** Seconds for which the server may hold a poll. */
export declare const WAIT = 25;
/** Milliseconds between polls while something on the way answers them empty without holding them. */
export declare const MIN_PACE = 1000;
/** Seconds: a proxy may ask for a longer wait, but does not know what for. */
export declare const MAX_FOREIGN_WAIT = 30;
/** Characters that an SSE line may have: more than the largest message, however it is written. */
export declare const MAX_BLOCK = 30000000;
/** Milliseconds that a timer can surely hold; beyond 2^31 runtimes fire at once. */
export declare const MAX_TIMER = 2000000000;

// Every number that bounds or paces the client.

/** Commands in one array (protocol section 2). */
export const MAX_BATCH = 64;

/** Characters that a command has besides its payload, generously. */
export const MAX_ENVELOPE = 2048;

/** Publishes that wait by default; one more rejects with `outbox_full`. */
export const DEFAULT_CAPACITY = 1000;

/** Milliseconds after which a batch without an answer is sent again. */
export const ANSWER_TIMEOUT = 15_000;

/** Milliseconds for which a retry is safe: servers remember an id for five minutes, and clocks differ a little. */
export const ID_MEMORY = 270_000;


/** Milliseconds that a transport has to prove itself by default. */
export const DEFAULT_CONNECT_TIMEOUT = 5000;

/** However many rounds failed, a transport gets no more milliseconds than this. */
export const MAX_CONNECT_TIMEOUT = 30_000;

/** Milliseconds that a connection has to live to count as a long one. */
export const SHORT_LIFE = 5000;

/** Short lives of proven connections in a row, after which their transport is left for the next. */
export const MAX_SHORT_LIVES = 3;

/** Milliseconds before a better transport is probed for the first time; doubled after each probe. */
export const FIRST_PROBE = 10_000;

/** The longest time between probes, in milliseconds. */
export const LAST_PROBE = 600_000;

/** Milliseconds for which the transport that worked is remembered across page loads. */
export const MEMORY = 3_600_000;

/** Attempts that a report tells of. */
export const REPORTED = 20;

/** Milliseconds between two looks at the clock. */
export const TICK = 5000;

/** Milliseconds after which a look at the clock is too late for a machine that was awake. */
export const LATE = 15_000;

/** Milliseconds until the application's `token` is called again, where it failed ahead of the old one's expiry. */
export const TOKEN_RETRY = 5000;

/** Seconds for which the server may hold a poll. */
export const WAIT = 25;

/** Milliseconds between polls while something on the way answers them empty without holding them. */
export const MIN_PACE = 1000;

/** Seconds: a proxy may ask for a longer wait, but does not know what for. */
export const MAX_FOREIGN_WAIT = 30;

/** Characters that an SSE line may have: more than the largest message, however it is written. */
export const MAX_BLOCK = 3e7;

/** Milliseconds that a timer can surely hold; beyond 2^31 runtimes fire at once. */
export const MAX_TIMER = 2e9;

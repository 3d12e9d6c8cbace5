/** Commands in one array (protocol section 2). */
export declare const MAX_BATCH = 64;
/** Bytes that an array of several commands may have; where the server's limit for one payload is lower, that counts. */
export declare const MAX_ARRAY = 65536;
/** Publishes that wait by default; one more rejects with `outbox_full`. */
export declare const DEFAULT_CAPACITY = 1000;
/** Milliseconds after which a batch without an answer is sent again. */
export declare const ANSWER_TIMEOUT = 15000;
/** Milliseconds for which a retry is safe: servers remember an id for five minutes, and clocks differ a little. */
export declare const ID_MEMORY = 270000;
/** POSTs under way at once: a browser opens six connections to a host, and some must be left to the reading. */
export declare const MAX_POSTS = 2;
/** Channels that a server lets a connection have by default; `welcome` may say otherwise. */
export declare const DEFAULT_MAX_CHANNELS = 128;
/** Milliseconds that a transport has to prove itself by default. */
export declare const DEFAULT_CONNECT_TIMEOUT = 5000;
/** However many rounds failed, a transport gets no more milliseconds than this. */
export declare const MAX_CONNECT_TIMEOUT = 30000;
/** Seconds, where `welcome` names none. */
export declare const DEFAULT_HEARTBEAT = 25;
/** Seconds for which the server may hold a poll. */
export declare const WAIT = 25;
/** Milliseconds between polls while something on the way answers them empty without holding them. */
export declare const MIN_PACE = 1000;
/** Seconds: a proxy may ask for a longer wait, but does not know what for. */
export declare const MAX_FOREIGN_WAIT = 30;
/** Characters that an SSE line, or the data of one block, may have at least: eight times the default batch. */
export declare const MAX_BLOCK = 2097152;
/** Characters that an event has besides its payload, generously. */
export declare const MAX_ENVELOPE = 16384;
/** What a timer can hold; beyond it, runtimes fire at once. */
export declare const MAX_TIMER = 2147483647;

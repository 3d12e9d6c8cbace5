/**
 * Cuts decoded text into the events of an envelope stream, wherever the chunks end. There each event is one line of `data`
 * (protocol section 6), so nothing has to be joined and no empty line waited for; whatever else is there is skipped.
 *
 * @returns what takes the next chunk, and answers JSON texts. It throws `too_large` once a line outgrows its bound.
 */
export declare function createSseParser(): (chunk: string) => string[];

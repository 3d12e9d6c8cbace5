/**
 * Cuts decoded text into blocks as the HTML standard says (section 9.2.6), wherever the chunks end, and answers the
 * `data` of each. The envelope mode says everything in there: `event`, `id` and `retry` are skipped.
 *
 * @returns what takes the next chunk. It throws a TricastError `too_large` once a line or a block outgrows its bound.
 */
export declare function createSseParser(): (chunk: string) => string[];

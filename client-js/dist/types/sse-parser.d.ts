/**
 * Cuts decoded text into blocks as the HTML standard says (section 9.2.6), wherever the chunks end, and answers the
 * `data` of each. The envelope mode says everything in there: `event`, `id` and `retry` are skipped.
 */
export declare class SseParser {
    #private;
    /** Characters that one line, or the data of one block, may have. */
    max: number;
    /** Takes the next chunk. @throws RangeError once a line or a block outgrows `max`. */
    push(chunk: string): string[];
}

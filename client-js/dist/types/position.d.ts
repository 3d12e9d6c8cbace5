/**
 * A place in one incarnation of one channel: "I have everything up to and including `seq`".
 *
 * Epoch and seq live in one immutable value, so no code can adopt the one without the other.
 */
export interface Position {
    readonly epoch: string;
    readonly seq: number;
}
/** Reads `<epoch>-<seq>`, or answers null where that is no position. */
export declare function parsePosition(text: string): Position | null;
/** Writes the form that `parsePosition` reads. */
export declare function formatPosition({ epoch, seq }: Position): string;

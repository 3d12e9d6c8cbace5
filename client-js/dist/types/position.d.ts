/**
 * A place in one incarnation of one channel: "I have everything up to and including `seq`". On a state that is being
 * read from its start it bears a base: the head of the snapshot, up to which no deletion was told (protocol 5.3).
 *
 * Epoch and seq live in one immutable value, so no code can adopt the one without the other.
 */
export interface Position {
    readonly epoch: string;
    readonly seq: number;
    readonly base?: number | undefined;
}
/** Reads `<epoch>-<seq>` or `<epoch>-<seq>-<base>`, or answers null where that is no position. */
export declare function parsePosition(text: string): Position | null;
/** Writes the form that `parsePosition` reads. */
export declare function formatPosition({ epoch, seq, base }: Position): string;

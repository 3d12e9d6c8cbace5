/** How long to wait between tries, in milliseconds. */
export interface BackoffOptions {
    /** Upper bound of the first wait; doubled for each further one. Default 500. */
    readonly base?: number;
    /** Upper bound of all waits. Default 30,000. */
    readonly cap?: number;
}
/** Exponential backoff with full jitter. It resets on proof only, never on a mere attempt. */
export declare class Backoff {
    #private;
    constructor(random: () => number, { base, cap }?: BackoffOptions);
    /** How many waits there were since the last proof. */
    get failures(): number;
    /** The next wait in milliseconds; never shorter than what the server asked for. */
    next(atLeast?: number): number;
    /** The other side has proved that it serves us. */
    reset(): void;
}

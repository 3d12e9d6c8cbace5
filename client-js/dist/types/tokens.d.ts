import { type Environment } from './environment.js';
/** The token at hand, and where the next one comes from. */
export interface Tokens {
    /** The token at hand; empty for an anonymous caller. */
    _token?: string | undefined;
    /** Called with a token that was asked for ahead of the old one's expiry. */
    _renewed(): void;
    /** A promise where a token has to be waited for. @throws what the application throws. */
    _ready(): Promise<void> | false | undefined;
    /** The server took the token, which ends in so many seconds where that is known. */
    _accepted(expiresIn?: number): void;
    /**
     * The server refused the token, the one that is at hand or the one that was `used`.
     *
     * @returns whether another one may help: not where none was accepted since the last refusal.
     */
    _refused(used?: string): boolean;
    /** Forgets the token. */
    _forget(): void;
}
/** Makes a store without a token. Where the application has no function for them, every caller is as cookies say. */
export declare function createTokens(env: Environment): Tokens;

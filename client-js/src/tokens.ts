import { createTimer, type Environment } from './environment.js';
import { TOKEN_RETRY } from './limits.js';

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
export function createTokens(env: Environment): Tokens {
  const { token: source } = env;
  const timer = createTimer(env);
  let pending: Promise<void> | undefined;
  let isDoubted = !source;
  const renew = async (): Promise<void> => {
    try {
      tokens._token = await source!();
    } finally {
      pending = undefined;
    }
  };
  const next = (): Promise<void> => (pending ??= renew());
  const schedule = (ms: number): void => {
    timer(ms, () => next().then(tokens._renewed, () => schedule(TOKEN_RETRY)));
  };
  const tokens: Tokens = {
    _renewed() {},
    _ready: () => source && tokens._token === undefined && next(),
    _accepted(expiresIn) {
      isDoubted = !source;
      // Ahead of its end by a quarter of its life.
      if (source && expiresIn) schedule(expiresIn * 750);
    },
    _refused(used) {
      // Another one has come meanwhile.
      if (used && used !== tokens._token) return true;
      tokens._forget();
      return !isDoubted && (isDoubted = true);
    },
    _forget() {
      timer();
      tokens._token = undefined;
    },
  };
  return tokens;
}

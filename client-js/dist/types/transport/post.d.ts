import type { Environment } from '../environment.js';
/**
 * Asks by POST, with the token at hand, and with another one where that had come to its end; reads the answer.
 *
 * @throws TricastError of the server, or anything else where nobody or somebody else answered.
 */
export declare function post(env: Environment, endpoint: string, body: string, signal: AbortSignal): Promise<Response>;

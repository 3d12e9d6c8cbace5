import type { Environment } from '../environment.js';
import { isAboutToken, unreachable, type TricastError } from '../errors.js';
import { MAX_FOREIGN_WAIT } from '../limits.js';
import { errorOf } from '../protocol.js';

/**
 * Asks by POST, with the token at hand, and with another one where that had come to its end; reads the answer.
 *
 * @throws TricastError of the server, or anything else where nobody or somebody else answered.
 */
export async function post(env: Environment, endpoint: string, body: string, signal: AbortSignal): Promise<Response> {
  const { _tokens: tokens, fetch } = env;
  for (;;) {
    const ready = tokens._ready();
    if (ready) await ready;
    const token = tokens._token;
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
    const response = await fetch(env._url(endpoint), { method: 'POST', headers, body, signal });
    if (response.ok) {
      tokens._accepted();
      return response;
    }
    const error = await refusal(response);
    if (!isAboutToken(error) || !tokens._refused(token)) throw error;
  }
}

async function refusal(response: Response): Promise<TricastError> {
  const seconds = +response.headers.get('retry-after')! || 0;
  // What has no JSON form are not Tricast's words: a proxy answered in its place.
  const event = await response.json().catch(() => response);
  if (event.type === 'error') return errorOf({ retry_after: seconds, ...event });
  return unreachable(`HTTP ${response.status}`, Math.min(seconds, MAX_FOREIGN_WAIT) * 1000);
}

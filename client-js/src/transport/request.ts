import { asError, unreachable, type TricastError } from '../errors.js';
import { MAX_FOREIGN_WAIT, MAX_POSTS } from '../limits.js';
import { asEvent, asEvents, errorOf } from '../protocol.js';
import { Link } from './link.js';
import type { Sendable, Transport, Want } from './transport.js';

/**
 * What SSE and long-polling share: a request asks for a whole channel set, so another set is another request, which goes
 * on where this one stopped; and commands go by `POST send`.
 */
export abstract class RequestTransport extends Link implements Transport {
  readonly parallel = MAX_POSTS;
  /** What the newest request asked for; empty where that must be asked anew. */
  protected wants: readonly Want[] = [];
  /** The request that counts; what an aborted one still brings is ignored. */
  #request: AbortController | null = null;

  /** Reads until `signal` says stop. What it throws ends the connection. */
  protected abstract read(signal: AbortSignal): Promise<void>;

  update(): void {
    const wanted = names(this.sink.wants());
    if (this.#request && wanted.length > 0 && names(this.wants).join() === wanted.join()) return;
    this.close();
    // All rest: a later update asks again.
    if (wanted.length === 0) return;
    const { signal } = (this.#request = new AbortController());
    this.expect(this.patience);
    this.read(signal).catch((thrown: unknown) => {
      if (!signal.aborted) this.#lost(thrown);
    });
  }

  forget(channel: string): void {
    if (names(this.wants).includes(channel)) this.wants = [];
  }

  send(batch: readonly Sendable[]): () => void {
    const abort = new AbortController();
    const unsent = (thrown: unknown): void => {
      if (!abort.signal.aborted) this.sink.unsent(batch, asError(thrown));
    };
    this.post('send', `[${batch.map(({ text }) => text).join()}]`, abort.signal)
      .then(async (response) => {
        for (const event of asEvents(await response.json())) this.sink.event(event);
        unsent(unreachable('no answer'));
      })
      .catch(unsent);
    return () => abort.abort();
  }

  override close(): void {
    super.close();
    this.#request?.abort();
    this.#request = null;
  }

  /** Asks for channels. @throws TricastError of the server, or anything else where nobody or somebody else answered. */
  protected ask(endpoint: string, signal: AbortSignal, wait?: number): Promise<Response> {
    const channels = (this.wants = this.sink.wants());
    return this.post(endpoint, JSON.stringify({ client: this.env.client, channels, wait }), signal);
  }

  protected async post(endpoint: string, body: string, signal: AbortSignal): Promise<Response> {
    const headers = { 'content-type': 'application/json' };
    const response = await this.env.fetch(this.env.url(endpoint), { method: 'POST', headers, body, signal });
    if (response.ok) return response;
    throw await refusal(response);
  }

  /** Refused channels leave, and the set without them is asked for next; whatever else went wrong is the end. */
  #lost(thrown: unknown): void {
    const error = asError(thrown);
    const { channel, code, retryable } = error;
    const asked = names(this.wants);
    if (!retryable && (code === 'too_many_channels' || asked.includes(channel ?? ''))) {
      this.close();
      this.sink.refused(error, channel ? [channel] : asked);
    } else {
      const final = !retryable && code !== 'unauthorized' && code !== 'token_expired';
      this.fail(error, thrown instanceof RangeError ? 'blamed' : final ? 'final' : undefined);
    }
  }
}

function names(wants: readonly Want[]): string[] {
  return wants.map(({ name }) => name);
}

async function refusal(response: Response): Promise<TricastError> {
  const seconds = Number(response.headers.get('retry-after')) || 0;
  try {
    const body: unknown = await response.json();
    const event = asEvent(Array.isArray(body) ? body[0] : body);
    if (event.type === 'error') return errorOf({ retry_after: seconds, ...event });
  } catch {
    // Not Tricast's words: a proxy answered in its place.
  }
  return unreachable(`HTTP ${response.status}`, Math.min(seconds, MAX_FOREIGN_WAIT) * 1000);
}

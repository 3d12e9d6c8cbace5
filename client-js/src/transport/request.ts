import type { Environment } from '../environment.js';
import { asError, TricastError, unreachable } from '../errors.js';
import { asEvent, asEvents, errorOf, type ServerEvent } from '../protocol.js';
import type { Sendable, Sink, Transport, Want } from './transport.js';

/**
 * What SSE and long-polling share: a request asks for a whole channel set, so another set is another request, which goes
 * on where this one stopped; and commands go by `POST send`.
 */
export abstract class RequestTransport implements Transport {
  /** The request that counts; what an aborted one still brings is ignored. */
  #request: AbortController | null = null;
  #names = '';
  #cancelDeadline = (): void => {};

  constructor(
    protected readonly env: Environment,
    protected readonly sink: Sink,
    protected readonly patience: number,
  ) {}

  /** Reads until `signal` says stop. What it throws ends the connection. */
  protected abstract read(wants: Want[], signal: AbortSignal): Promise<void>;

  update(): void {
    const names = this.sink.wants().map(({ name }) => name).join();
    if (this.#request && this.#names === names) return;
    this.#names = names;
    this.again();
  }

  again(): void {
    this.close();
    const { signal } = (this.#request = new AbortController());
    const wants = this.sink.wants();
    this.expect(this.patience);
    this.read(wants, signal).catch((thrown: unknown) => {
      if (!signal.aborted) this.#fail(wants, asError(thrown));
    });
  }

  async send(batch: readonly Sendable[], signal: AbortSignal): Promise<ServerEvent[]> {
    const response = await this.post('send', `[${batch.map(({ text }) => text).join()}]`, signal);
    return asEvents(await response.json());
  }

  close(): void {
    this.#cancelDeadline();
    this.#request?.abort();
    this.#request = null;
  }

  /** Asks for channels. @throws TricastError of the server, or anything else where nobody or somebody else answered. */
  protected ask(endpoint: string, channels: readonly Want[], signal: AbortSignal, wait?: number): Promise<Response> {
    return this.post(endpoint, JSON.stringify({ client: this.env.client, channels, wait }), signal);
  }

  /** The next sign of life is due within `ms`. */
  protected expect(ms: number): void {
    this.#cancelDeadline();
    this.#cancelDeadline = this.env.clock.timer(ms, () => this.#fail([], unreachable('the server is silent')));
  }

  protected async post(endpoint: string, body: string, signal: AbortSignal): Promise<Response> {
    const headers = { 'content-type': 'application/json' };
    const response = await this.env.fetch(this.env.url(endpoint), { method: 'POST', headers, body, signal });
    if (response.ok) return response;
    throw await refusal(response);
  }

  /** A refused channel leaves, and the set without it is asked for next; whatever else went wrong is the end. */
  #fail(wants: readonly Want[], error: TricastError): void {
    this.close();
    const { channel, code, retryable } = error;
    if (!retryable && wants.some(({ name }) => name === channel)) this.sink.refused(error);
    else this.sink.ended(error, !retryable && code !== 'unauthorized' && code !== 'token_expired');
  }
}

async function refusal(response: Response): Promise<TricastError> {
  const wait = Number(response.headers.get('retry-after')) * 1000 || undefined;
  try {
    const body: unknown = await response.json();
    const event = asEvent(Array.isArray(body) ? body[0] : body);
    if (event.type === 'error') {
      const { code, message, channel, retryAfter } = errorOf(event);
      return new TricastError(code, message, channel, retryAfter ?? wait);
    }
  } catch {
    // Not Tricast's words: a proxy answered in its place.
  }
  return unreachable(`HTTP ${response.status}`, wait);
}

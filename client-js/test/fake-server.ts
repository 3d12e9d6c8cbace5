import type { Channel, From, Options, ServerCode, TransportName } from '../src/index.js';
import { Tricast } from '../src/index.js';
import { FakeClock, settle } from './support.js';

export const EPOCH = '0a1b2c3d4e5f';

type Json = Record<string, unknown>;

/** A `WebSocket` whose other end is the test. */
export class FakeSocket {
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onerror: ((event: object) => void) | null = null;
  /** What the client sent, arrays taken apart. */
  readonly sent: Json[] = [];
  closed = false;

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {}

  send(text: string): void {
    const parsed = JSON.parse(text) as Json | Json[];
    this.sent.push(...(Array.isArray(parsed) ? parsed : [parsed]));
  }

  /** As the package `ws` does in Node: an error that nobody listens to is thrown. */
  error(): void {
    if (!this.onerror) throw new Error('unhandled error event');
    this.onerror({});
  }

  close(): void {
    // As there, too: closing a socket that still connects is an error of that socket.
    if (this.readyState === 0) this.error();
    this.closed = true;
    this.readyState = 3;
  }

  /** The newest command of that type. */
  last(type: string): Json {
    const found = this.sent.filter((command) => command.type === type).pop();
    if (!found) throw new Error(`no ${type} was sent`);
    return found;
  }

  count(type: string): number {
    return this.sent.filter((command) => command.type === type).length;
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  /** As a server: with the `ref` of what an event answers, and an answer to the ping that was sent ahead of the welcome. */
  push(...events: object[]): void {
    for (const event of events as Json[]) {
      const asking = this.sent.filter(({ type, channels }) => type === 'subscribe' && (channels as Json[]).some(({ name }) => name === event.channel));
      const { ref } = asking.pop() ?? {};
      this.onmessage?.({ data: JSON.stringify(event.type === 'subscribed' && ref ? { ref, ...event } : event) });
      if (event.type === 'welcome') this.onmessage?.({ data: '{"type":"pong"}' });
    }
  }

  /** Opens and says welcome. */
  async welcome(fields: object = {}): Promise<void> {
    this.open();
    this.push(welcome(fields));
    await settle();
  }

  async drop(code = 1006): Promise<void> {
    if (this.readyState === 0) this.error();
    this.readyState = 3;
    this.onclose?.({ code });
    await settle();
  }
}

/** One request that `fetch` made, to be answered by the test. */
export class FakeRequest {
  readonly endpoint: string;
  readonly headers: Headers;
  readonly body: Json & { channels?: { name: string; from?: string }[]; wait?: number };
  aborted = false;
  #respond!: (response: unknown) => void;
  #reject!: (error: Error) => void;
  readonly response: Promise<Response>;
  #chunks: (Uint8Array | null)[] = [];
  #wake: (() => void) | null = null;

  constructor(url: string, init: RequestInit) {
    this.endpoint = url.split('/').pop() ?? '';
    this.headers = new Headers(init.headers);
    this.body = JSON.parse(String(init.body)) as FakeRequest['body'];
    this.response = new Promise((resolve, reject) => {
      this.#respond = resolve as (response: unknown) => void;
      this.#reject = reject;
    });
    this.response.catch(() => {});
    init.signal?.addEventListener('abort', () => {
      this.aborted = true;
      this.#reject(new Error('aborted'));
      this.#wake?.();
    });
  }

  /** Answers with a status and a JSON body; a string is sent as it is. */
  async answer(status: number, body: unknown, headers: Record<string, string> = {}): Promise<void> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    this.#respond(new Response(text, { status, headers }));
    await settle();
  }

  async fail(): Promise<void> {
    this.#reject(new TypeError('fetch failed'));
    await settle();
  }

  /** Starts an event stream. */
  async stream(...events: object[]): Promise<void> {
    const read = async (): Promise<{ done: boolean; value?: Uint8Array }> => {
      while (this.#chunks.length === 0 && !this.aborted) await new Promise<void>((wake) => (this.#wake = wake));
      // What had arrived before the abort may still be handed out, as in a real stream.
      if (this.#chunks.length === 0) throw new Error('aborted');
      const value = this.#chunks.shift() ?? undefined;
      return value ? { done: false, value } : { done: true };
    };
    const headers = new Headers({ 'content-type': 'text/event-stream; charset=utf-8' });
    this.#respond({ ok: true, status: 200, headers, body: { getReader: () => ({ read }) } });
    await this.push(...events);
  }

  async push(...events: object[]): Promise<void> {
    await this.raw(new TextEncoder().encode(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')));
  }

  async raw(bytes: Uint8Array | null): Promise<void> {
    if (bytes === null || bytes.length > 0) this.#chunks.push(bytes);
    this.#wake?.();
    await settle();
  }

  /** Ends the stream. */
  end(): Promise<void> {
    return this.raw(null);
  }

  /** Answers every publish of a `send`, from this seq on. */
  published(seq: number): Promise<void> {
    const commands = this.body as unknown as Json[];
    return this.answer(200, commands.map(({ ref }, index) => published(ref, seq + index)));
  }
}

/** A client whose network is the test. */
export class World {
  readonly clock = new FakeClock();
  readonly sockets: FakeSocket[] = [];
  readonly requests: FakeRequest[] = [];
  readonly rt: Tricast;
  /** `status` or `status transport`, one for each change. */
  readonly states: string[] = [];

  constructor(transports: readonly TransportName[] = ['ws', 'sse', 'poll'], options: Options = {}) {
    const { sockets, requests } = this;
    class Socket extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    }
    this.rt = new Tricast('http://server.test/rt', {
      transports,
      client: 'client-1',
      clock: this.clock,
      random: () => 0.5,
      WebSocket: Socket as unknown as typeof WebSocket,
      fetch: ((url: string, init: RequestInit) => {
        const request = new FakeRequest(url, init);
        requests.push(request);
        return request.response;
      }) as typeof fetch,
      ...options,
    });
    this.rt.on('state', ({ status, transport }) => this.states.push(transport ? `${status} ${transport}` : status));
  }

  get socket(): FakeSocket {
    return newest(this.sockets, 'socket');
  }

  /** The newest request to an endpoint. */
  request(endpoint: string): FakeRequest {
    return newest(this.to(endpoint), endpoint);
  }

  to(endpoint: string): FakeRequest[] {
    return this.requests.filter((request) => request.endpoint === endpoint);
  }
}

function newest<T>(list: T[], what: string): T {
  const last = list[list.length - 1];
  if (!last) throw new Error(`there is no ${what}`);
  return last;
}

/** A channel, and what its handlers saw. */
export interface Log {
  channel: Channel;
  seen: string[];
}

/** Opens a channel and writes down what its handlers see. */
export function listen(world: World, name: string, from?: From): Log {
  const channel = world.rt.channel(name, from ? { from } : {});
  const seen: string[] = [];
  channel.on('message', ({ seq }) => seen.push(`${seq}`));
  channel.on('gap', ({ position, reason }) => seen.push(`gap ${position} ${reason}`));
  channel.on('subscribed', ({ position }) => seen.push(`from ${position}`));
  channel.on('unsubscribed', ({ code }) => seen.push(`left ${code}`));
  channel.on('error', ({ code }) => seen.push(`error ${code}`));
  return { channel, seen };
}

export function welcome(fields: object = {}): object {
  const limits = { message: 65536, channels: 128, batch: 512 };
  return { type: 'welcome', version: 1, client: 'client-1', heartbeat: 25, time: 1, limits, ...fields };
}

export function subscribed(channel: string, seq: number, fields: object = {}): object {
  const position = `${EPOCH}-${seq}`;
  return { type: 'subscribed', channel, kind: 'stream', position, head: position, ...fields };
}

export function message(channel: string, seq: number, fields: object = {}): object {
  return { type: 'message', channel, epoch: EPOCH, seq, at: 1, data: { n: seq }, ...fields };
}

export function published(ref: unknown, seq: number, duplicate = false): object {
  return { type: 'published', ref, channel: 'a', position: `${EPOCH}-${seq}`, duplicate };
}

export function failed(code: ServerCode, fields: object = {}): object {
  return { type: 'error', code, message: code, ...fields };
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { createContext, runInContext } from 'node:vm';
import { afterEach, describe, expect, test } from 'vitest';
import type { Message, TransportName } from '../src/index.js';
import { Tricast } from '../src/index.js';
import * as built from '../dist/tricast.js';
import { EPOCH, message, subscribed, welcome } from './fake-server.js';

type Json = Record<string, unknown>;

/** A log of one channel over the runtime's own HTTP: enough of the protocol for `fetch` and its streams to be real. */
class TinyServer {
  readonly #log: Json[] = [];
  readonly #streams = new Set<ServerResponse>();
  readonly #server: Server = createServer((request, response) => void this.#serve(request, response));

  async listen(): Promise<string> {
    await new Promise<void>((ready) => this.#server.listen(0, '127.0.0.1', ready));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/rt`;
  }

  /** Cuts all streams, as a dying proxy does. */
  cut(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const body = JSON.parse(text) as Json[] & { channels?: { name: string; from?: string }[] };
    const from = body.channels?.[0]?.from;
    const seq = from?.startsWith(EPOCH) ? Number(from.split('-')[1]) : 0;
    const start = from?.startsWith(EPOCH) ? [] : [subscribed('a', 0)];
    if (request.url === '/rt/send') {
      this.#json(response, body.map((command) => this.#publish(command)));
    } else if (request.url === '/rt/poll') {
      this.#json(response, { cursor: '', events: [...start, ...this.#log.slice(seq)] });
    } else {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      this.#streams.add(response);
      response.on('close', () => this.#streams.delete(response));
      const resumed = subscribed('a', seq, start.length > 0 ? {} : { recovered: true });
      for (const event of [welcome(), resumed, ...this.#log.slice(seq)]) this.#write(response, event);
    }
  }

  #publish({ ref, id, data }: Json): Json {
    const stored = this.#log.find((event) => event.id === id);
    const event = stored ?? (message('a', this.#log.length + 1, { data, id }) as Json);
    if (!stored) {
      this.#log.push(event);
      for (const stream of this.#streams) this.#write(stream, event);
    }
    return { type: 'published', ref, channel: 'a', position: `${EPOCH}-${String(event.seq)}`, duplicate: !!stored };
  }

  #write(stream: ServerResponse, event: object): void {
    stream.write(`data: ${JSON.stringify(event)}\n\n`);
  }

  #json(response: ServerResponse, body: unknown): void {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }
}

function globalScript(): typeof Tricast {
  const context = createContext({ ...globalThis, fetch, AbortController, TextDecoder, TextEncoder, URL, crypto, setTimeout, clearTimeout, queueMicrotask });
  runInContext(readFileSync(new URL('../dist/tricast.global.js', import.meta.url), 'utf8'), context);
  return runInContext('tricast.Tricast', context) as typeof Tricast;
}

const builds: [string, () => typeof Tricast][] = [
  ['the sources', () => Tricast],
  ['the built module', () => built.Tricast as unknown as typeof Tricast],
  ['the built global script', globalScript],
];

describe.each(builds)('over the runtime\'s own fetch, %s', (_, client) => {
  const stops: (() => void)[] = [];
  afterEach(() => stops.splice(0).forEach((stop) => stop()));

  test.each(['sse', 'poll'] as const)('%s publishes, reads, survives a cut, and repeats nothing', async (transport: TransportName) => {
    const server = new TinyServer();
    const rt = new (client())(await server.listen(), { transports: [transport], backoff: { base: 1 } });
    stops.push(() => (rt.close(), server.stop()));
    const channel = rt.channel('a');
    const seen: unknown[] = [];
    let wake = (): void => {};
    channel.on('message', ({ data }: Message) => {
      seen.push(data);
      wake();
    });
    const has = async (count: number): Promise<void> => {
      while (seen.length < count) await new Promise<void>((next) => (wake = next));
    };
    expect(await channel.publish('grüße 😀')).toMatchObject({ position: `${EPOCH}-1`, duplicate: false });
    await has(1);
    server.cut();
    await Promise.all([2, 3, 4].map((n) => channel.publish(n)));
    await has(4);
    expect(seen).toEqual(['grüße 😀', 2, 3, 4]);
    expect(channel.position).toBe(`${EPOCH}-4`);
    expect(rt.report().faults).toBe(0);
  });
});

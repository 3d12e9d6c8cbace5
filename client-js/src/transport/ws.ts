import { Backoff } from '../backoff.js';
import type { Environment } from '../environment.js';
import { asError, TricastError, unreachable } from '../errors.js';
import { asEvent, errorOf, type ErrorEvent, type Ref, type ServerEvent } from '../protocol.js';
import { Heartbeat } from './heartbeat.js';
import type { Sendable, Sink, Transport } from './transport.js';

/** WebSocket: commands in, one event a frame out, channels added and removed on the living connection. */
export class WsTransport implements Transport {
  readonly #env: Environment;
  readonly #sink: Sink;
  readonly #heartbeat: Heartbeat;
  readonly #backoff: Backoff;
  /** The `ref` of the newest `subscribe` of each channel that was asked for. */
  readonly #asked = new Map<string, Ref>();
  readonly #answers = new Map<Ref | undefined, (event: ServerEvent | void) => void>();
  #socket: WebSocket | null = null;
  #refs = 0;
  #cancelRetry = (): void => {};

  constructor(env: Environment, sink: Sink, patience: number) {
    this.#env = env;
    this.#sink = sink;
    this.#backoff = new Backoff(env.random);
    this.#heartbeat = new Heartbeat(env.clock, patience, {
      ping: () => this.#write('{"type":"ping"}'),
      silent: () => this.#end(unreachable('the server is silent')),
    });
  }

  update(): void {
    if (!this.#socket) return this.#open();
    if (this.#socket.readyState !== OPEN) return;
    const wants = this.#sink.wants();
    for (const name of this.#asked.keys()) {
      if (!wants.some((want) => want.name === name)) this.#forget(name);
    }
    const channels = wants.filter(({ name }) => !this.#asked.has(name));
    if (channels.length === 0) return;
    const ref = `s${++this.#refs}`;
    for (const { name } of channels) this.#asked.set(name, ref);
    this.#write(JSON.stringify({ type: 'subscribe', channels, ref }));
  }

  again(channel: string): void {
    this.#forget(channel);
    this.update();
  }

  async send(batch: readonly Sendable[], signal: AbortSignal): Promise<ServerEvent[]> {
    const answers = batch.map(({ ref }) => new Promise<ServerEvent | void>((answer) => this.#answers.set(ref, answer)));
    signal.addEventListener('abort', () => {
      for (const { ref } of batch) this.#answers.get(ref)?.();
    });
    this.#write(`[${batch.map(({ text }) => text).join()}]`);
    return (await Promise.all(answers)).filter((event): event is ServerEvent => !!event);
  }

  close(): void {
    this.#heartbeat.stop();
    this.#cancelRetry();
    if (this.#socket) this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket?.close();
    for (const giveUp of this.#answers.values()) giveUp();
  }

  #open(): void {
    const url = this.#env.url(`ws?client=${this.#env.client}`).replace(/^http/, 'ws');
    try {
      // Where there is none, this throws, and the next transport has its turn.
      const socket = (this.#socket = new this.#env.WebSocket!(url, ['tricast.v1']));
      socket.onopen = () => this.update();
      socket.onmessage = ({ data }) => this.#receive(data as string);
      socket.onclose = ({ code }) => this.#end(unreachable(`closed with ${code}`));
    } catch (thrown) {
      this.#end(asError(thrown));
    }
  }

  #receive(data: string): void {
    this.#heartbeat.received();
    try {
      this.#take(asEvent(JSON.parse(data)));
    } catch (thrown) {
      this.#end(asError(thrown));
    }
  }

  #take(event: ServerEvent): void {
    switch (event.type) {
      case 'ping':
        return this.#write('{"type":"pong"}');
      case 'welcome':
        this.#heartbeat.start(event.heartbeat);
        break;
      case 'error':
      case 'published': {
        const answer = this.#answers.get(event.ref);
        this.#answers.delete(event.ref);
        if (answer) answer(event);
        else if (event.type === 'error') this.#refused(event);
        return;
      }
      case 'subscribed':
        // Not the answer to a subscription that was ended and asked for again since.
        if (event.ref !== undefined && event.ref !== this.#asked.get(event.channel)) return;
        this.#backoff.reset();
        break;
      case 'unsubscribed':
        // With a `ref` it was asked for.
        if (event.ref !== undefined) return;
        this.#asked.delete(event.channel);
    }
    this.#sink.event(event);
  }

  #refused(event: ErrorEvent): void {
    const error = errorOf(event);
    // One that names no channel speaks of all that its command asked for, one without `ref` of its channel.
    const refused = [...this.#asked].flatMap(([name, ref]) =>
      (event.channel ?? name) === name && (event.ref ?? ref) === ref && (event.channel || event.ref) ? [name] : [],
    );
    for (const channel of refused) {
      this.#asked.delete(channel);
      this.#sink.refused(new TricastError(error.code, error.message, channel, error.retryAfter));
    }
    if (refused.length === 0 || !error.retryable) return;
    this.#cancelRetry();
    this.#cancelRetry = this.#env.clock.timer(this.#backoff.next(error.retryAfter), () => this.update());
  }

  #forget(channel: string): void {
    this.#asked.delete(channel);
    this.#write(JSON.stringify({ type: 'unsubscribe', channel, ref: `u${++this.#refs}` }));
  }

  #write(frame: string): void {
    if (this.#socket?.readyState !== OPEN) return;
    this.#heartbeat.sent();
    this.#socket.send(frame);
  }

  #end(error: TricastError): void {
    this.close();
    this.#sink.ended(error);
  }
}

/** `WebSocket.OPEN`, which a class that was passed in may not bear. */
const OPEN = 1;

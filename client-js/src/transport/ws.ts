import { asError, unreachable } from '../errors.js';
import { asEvent, errorOf, type ErrorEvent, type Ref, type ServerEvent } from '../protocol.js';
import { Link } from './link.js';
import type { Sendable, Transport } from './transport.js';

/** `WebSocket.OPEN`, which a class that was passed in may not bear. */
const OPEN = 1;

/** WebSocket: commands in, one event a frame out, channels added and removed on the living connection. */
export class WsTransport extends Link implements Transport {
  readonly parallel = Infinity;
  /** The `ref` of the newest `subscribe` of each channel that was asked for. */
  readonly #asked = new Map<string, Ref>();
  #socket: WebSocket | null = null;
  #refs = 0;
  #cancelPing = (): void => {};

  update(): void {
    if (!this.#socket) return this.#open();
    if (this.#socket.readyState !== OPEN) return;
    const channels = this.sink.wants().filter(({ name }) => !this.#asked.has(name));
    if (channels.length === 0) return;
    const ref = `s${++this.#refs}`;
    for (const { name } of channels) this.#asked.set(name, ref);
    this.#write(JSON.stringify({ type: 'subscribe', channels, ref }));
  }

  forget(channel: string): void {
    if (this.#asked.delete(channel)) this.#write(JSON.stringify({ type: 'unsubscribe', channel, ref: `u${++this.#refs}` }));
  }

  send(batch: readonly Sendable[]): () => void {
    this.#write(`[${batch.map(({ text }) => text).join()}]`);
    return () => {};
  }

  override close(): void {
    super.close();
    this.#cancelPing();
    // `onerror` stays: a socket that is closed while it connects reports that as an error.
    if (this.#socket) this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket?.close();
  }

  #open(): void {
    this.expect(this.patience);
    const url = this.env.url(`ws?client=${encodeURIComponent(this.env.client)}`).replace(/^http/, 'ws');
    try {
      // Where there is none, this throws, and the next transport has its turn.
      const socket = (this.#socket = new this.env.WebSocket!(url, ['tricast.v1']));
      socket.onopen = () => this.update();
      socket.onmessage = ({ data }) => this.#receive(data as string);
      socket.onclose = ({ code }) => this.fail(unreachable(`closed with ${code}`));
      // It tells nothing that `onclose` does not, but in Node an error that nobody listens to ends the process.
      socket.onerror = () => {};
    } catch (thrown) {
      this.fail(asError(thrown));
    }
  }

  #receive(data: string): void {
    this.heard();
    try {
      this.#take(asEvent(JSON.parse(data)));
    } catch (thrown) {
      this.fail(asError(thrown));
    }
  }

  #take(event: ServerEvent): void {
    switch (event.type) {
      case 'ping':
        return this.#write('{"type":"pong"}');
      case 'welcome':
        this.welcome(event);
        this.#beat();
        break;
      case 'error':
        // The `ref` of a publish is a number.
        if (typeof event.ref === 'number') break;
        return this.#refused(event);
      case 'subscribed':
        // Not the answer to a subscription that was ended and asked for again since.
        if (event.ref !== undefined && event.ref !== this.#asked.get(event.channel)) return;
        break;
      case 'unsubscribed':
        // With a `ref` it was asked for.
        if (event.ref !== undefined) return;
        this.#asked.delete(event.channel);
    }
    this.sink.event(event);
  }

  #refused(event: ErrorEvent): void {
    // One that names no channel speaks of all that its command asked for, one without `ref` of its channel.
    const { ref, channel } = event;
    const refused = [...this.#asked.keys()].filter((name) =>
      ref === undefined ? channel === name : ref === this.#asked.get(name) && (channel ?? name) === name,
    );
    for (const name of refused) this.#asked.delete(name);
    if (refused.length > 0) this.sink.refused(errorOf(event), refused);
  }

  /** Asks for a sign of life after every heartbeat, which gives the server one as well. */
  #beat(): void {
    this.#cancelPing();
    this.#cancelPing = this.env.clock.timer(this.heartbeat, () => {
      this.#write('{"type":"ping"}');
      this.#beat();
    });
  }

  #write(frame: string): void {
    if (this.#socket?.readyState === OPEN) this.#socket.send(frame);
  }
}

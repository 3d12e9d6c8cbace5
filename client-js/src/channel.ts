import type { Backoff } from './backoff.js';
import { fromBase64 } from './base64.js';
import { Emitter } from './emitter.js';
import type { TricastError } from './errors.js';
import type { Outbox, PublishOptions, Published } from './outbox.js';
import { parsePosition } from './position.js';
import type { ChannelEvent, From, GapReason, MessageEvent, ServerCode } from './protocol.js';
import { Reader } from './reader.js';

/** How a channel is read. */
export interface ChannelOptions {
  /**
   * Where to start: `latest`, `earliest`, `last:N`, or a position `<epoch>-<seq>` as `channel.position` tells it. From
   * then on the client goes on at its own position. Default `latest`.
   */
  readonly from?: From;
}

/** A message as handlers get it. */
export interface Message {
  readonly channel: string;
  /** The payload: parsed JSON, or a `Uint8Array` where the publisher sent bytes. */
  readonly data: unknown;
  readonly epoch: string;
  readonly seq: number;
  /** `<epoch>-<seq>`. */
  readonly position: string;
  /** Milliseconds since 1970 by the log's clock. */
  readonly at: number;
  readonly event?: string;
  readonly id?: string;
  readonly user?: string;
}

/** Messages between the old position and this one are gone, or their number is unknown. */
export interface Gap {
  readonly channel: string;
  readonly position: string;
  readonly head: string;
  readonly reason: GapReason;
}

/** Delivery has started, or goes on, after `position`. */
export interface Subscribed {
  readonly channel: string;
  readonly position: string;
  readonly head: string;
  /** Present where the client had a position: whether reading continued without loss. */
  readonly recovered?: boolean;
}

/** The server ended the subscription; the client does not ask again. */
export interface Unsubscribed {
  readonly channel: string;
  readonly code?: ServerCode | undefined;
}

/** What `channel.on` listens to. */
export interface ChannelEvents {
  message: Message;
  gap: Gap;
  subscribed: Subscribed;
  unsubscribed: Unsubscribed;
  /** A subscription failed. Where `error.retryable`, the client goes on trying. */
  error: TricastError;
}

/** One channel, read from a position of its own over whatever connection lives. */
export class Channel {
  readonly name: string;
  /** @internal How long it is left alone after trouble of its own. */
  readonly backoff: Backoff;
  /** @internal While it is not to be asked for: cancels the wait. */
  wake: (() => void) | null = null;
  readonly #events = new Emitter<ChannelEvents>();
  readonly #reader: Reader;
  readonly #outbox: Outbox;
  readonly #left: (channel: Channel) => void;
  readonly #from: From | undefined;
  /** The one connection whose messages count. */
  #owner: object | null = null;
  #closed = false;
  #faults = 0;
  /** Faults since a message was delivered. */
  #stuck = 0;

  /** @internal */
  constructor(name: string, from: From | undefined, backoff: Backoff, outbox: Outbox, left: (channel: Channel) => void) {
    this.name = name;
    this.backoff = backoff;
    this.#reader = new Reader(parsePosition(from ?? ''));
    this.#outbox = outbox;
    this.#left = left;
    this.#from = from;
  }

  /** The last position that was handled; before the first, the one to start from, or null. */
  get position(): string | null {
    return this.#reader.position;
  }

  /** How often a message was missing without a `gap`, so that the client had to ask again. */
  get faults(): number {
    return this.#faults;
  }

  /** Adds a handler and returns what removes it. */
  on<Name extends keyof ChannelEvents>(name: Name, handler: (value: ChannelEvents[Name]) => void): () => void {
    return this.#events.on(name, handler);
  }

  /** The same as `rt.publish` with this channel's name: whether it is read, or may be, makes no difference. */
  publish(data: unknown, options?: PublishOptions): Promise<Published> {
    return this.#outbox.publish(this.name, data, options);
  }

  /** Stops reading, without an event. Publishes go on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#left(this);
  }

  /** @internal The `from` of the next request for this channel. */
  get from(): string | undefined {
    return this.position ?? this.#from;
  }

  /** @internal Only what this connection brings is taken from now on. */
  own(connection: object): void {
    this.#owner = connection;
  }

  /**
   * @internal Takes an event that `connection` brought.
   *
   * @returns 0, or how many faults there were without a message between: it is necessary to ask again.
   */
  receive(event: ChannelEvent, connection: object): number {
    if (event.type === 'unsubscribed') {
      this.#end(event.code);
      return 0;
    }
    if (event.type === 'subscribed') this.#owner = connection;
    if (this.#owner !== connection) return 0;
    const verdict = this.#reader.receive(event);
    if (verdict === 'fault') {
      this.#owner = null;
      this.#faults++;
      return ++this.#stuck;
    }
    if (verdict === 'drop') return 0;
    if (event.type === 'message') this.#stuck = 0;
    if (!this.#stuck) this.backoff.reset();
    if (event.type === 'message') this.#events.emit('message', messageOf(event));
    else if (event.type === 'gap') this.#events.emit('gap', event);
    else this.#events.emit('subscribed', event);
    return 0;
  }

  /** @internal The server refused the subscription. @returns whether to try again. */
  refuse(error: TricastError): boolean {
    this.#events.emit('error', error);
    if (!error.retryable) this.#end(error.code as ServerCode);
    return !this.#closed;
  }

  #end(code?: ServerCode): void {
    if (this.#closed) return;
    this.close();
    this.#events.emit('unsubscribed', { channel: this.name, code });
  }
}

function messageOf(event: MessageEvent): Message {
  const { data, data64, epoch, seq } = event;
  return { ...event, position: `${epoch}-${seq}`, data: data64 === undefined ? data : fromBase64(data64) };
}

import { fromBase64 } from './base64.js';
import { Emitter } from './emitter.js';
import { TricastError } from './errors.js';
import type { Outbox, PublishOptions, Published } from './outbox.js';
import type { ChannelEvent, From, GapReason, MessageEvent, ServerCode } from './protocol.js';
import { Reader } from './reader.js';

/** How a channel is read. */
export interface ChannelOptions {
  /** Where to start; from then on the client goes on at its own position. Default `latest`. */
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
  readonly code?: ServerCode;
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
  readonly #events = new Emitter<ChannelEvents>();
  readonly #reader = new Reader();
  readonly #outbox: Outbox;
  readonly #left: (channel: Channel, why: TricastError) => void;
  readonly #from: From | undefined;
  /** The one connection whose messages count. */
  #owner: object | null = null;
  #closed = false;
  #faults = 0;
  /** Faults since a message was delivered. */
  #stuck = 0;

  /** @internal */
  constructor(
    name: string,
    options: ChannelOptions,
    outbox: Outbox,
    left: (channel: Channel, why: TricastError) => void,
  ) {
    this.name = name;
    this.#from = options.from;
    this.#outbox = outbox;
    this.#left = left;
  }

  /** The last position that was handled, null before the first. */
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

  /**
   * Publishes what has a JSON form. Resolves once the message is in the log; until then it is
   * repeated with the same id over whatever transport lives. Publishes to one channel keep their order.
   *
   * Rejects with a `TricastError`, or with the reason of `options.signal`.
   */
  publish(data: unknown, options: PublishOptions = {}): Promise<Published> {
    return this.#closed ? Promise.reject(this.#error('closed')) : this.#outbox.publish(this.name, data, options);
  }

  /** Stops reading. Publishes that are not acknowledged yet reject with `closed`. */
  close(): void {
    this.shut(this.#error('closed'));
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
   * @returns 0, or how many faults in a row make it necessary to ask again.
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
    if (verdict === 'deliver') {
      if (event.type === 'message') {
        this.#stuck = 0;
        this.#events.emit('message', this.#message(event));
      } else if (event.type === 'gap') {
        this.#events.emit('gap', event);
      } else {
        this.#events.emit('subscribed', event);
      }
    }
    return 0;
  }

  /** @internal The server refused the subscription. */
  refuse(error: TricastError): void {
    this.#events.emit('error', error);
    if (!error.retryable) this.#end(error.code as ServerCode);
  }

  /** @internal Ends without an event. */
  shut(why: TricastError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#left(this, why);
  }

  #end(code?: ServerCode): void {
    if (this.#closed) return;
    this.shut(this.#error(code ?? 'closed'));
    this.#events.emit('unsubscribed', { channel: this.name, ...(code && { code }) });
  }

  #message(event: MessageEvent): Message {
    const { data, data64, epoch, seq } = event;
    return { ...event, position: `${epoch}-${seq}`, data: data64 === undefined ? data : fromBase64(data64) };
  }

  #error(code: ServerCode | 'closed'): TricastError {
    return new TricastError(code, `${this.name} is closed`, this.name);
  }
}

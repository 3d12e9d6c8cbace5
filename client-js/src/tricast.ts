import { Channel, type ChannelOptions } from './channel.js';
import { check } from './check.js';
import { Connection, type State } from './connection.js';
import { Emitter } from './emitter.js';
import { Environment, type Options } from './environment.js';
import { TricastError } from './errors.js';
import { Outbox, type PublishOptions, type Published } from './outbox.js';
import { PollTransport } from './transport/poll.js';
import { SseTransport } from './transport/sse.js';
import type { TransportName } from './transport/transport.js';
import { WsTransport } from './transport/ws.js';

/** What `rt.on` listens to. */
export interface TricastEvents {
  state: State;
}

/**
 * A client: channels over one connection, which is a WebSocket where that works, an SSE stream where it does not, and
 * long-polling where nothing else does.
 *
 * It connects while it has channels, and is `idle` without: then publishes go by POST.
 */
export class Tricast {
  /** The id under which the server knows this client. */
  readonly client: string;
  readonly #channels = new Map<string, Channel>();
  readonly #events = new Emitter<TricastEvents>();
  readonly #outbox: Outbox;
  readonly #connection: Connection;
  readonly #env: Environment;

  /** @param url The server's mount point, absolute or relative to the page: `'/rt'`. */
  constructor(url: string, options: Options = {}) {
    const env = (this.#env = new Environment(url, options));
    this.client = env.client;
    this.#outbox = new Outbox(env);
    this.#connection = new Connection(env, {
      transports: TRANSPORTS,
      channels: this.#channels,
      outbox: this.#outbox,
      changed: (state) => this.#changed(state),
    });
  }

  /** What the connection is doing. */
  get state(): State {
    return this.#connection.state;
  }

  /** Adds a handler and returns what removes it. */
  on<Name extends keyof TricastEvents>(name: Name, handler: (value: TricastEvents[Name]) => void): () => void {
    return this.#events.on(name, handler);
  }

  /**
   * Reads a channel. While it is open, the same name answers the same `Channel`, shared by all who asked: the `from` of
   * the first counts, another one of later callers is ignored, and whoever closes it closes it for all.
   *
   * @throws TricastError `closed` on a closed client, `bad_request` for a name or a `from` that cannot be one.
   */
  channel(name: string, { from }: ChannelOptions = {}): Channel {
    if (this.state.status === 'closed') throw closedError();
    let channel = this.#channels.get(name);
    if (!channel) {
      check('name', name, name);
      if (from !== undefined) check('from', from, name);
      channel = new Channel(name, from, this.#env.backoff(), this.#outbox, (left) => this.#leave(left));
      this.#channels.set(name, channel);
      this.#connection.update();
    }
    return channel;
  }

  /**
   * Publishes what has a JSON form; the channel need not be read. Resolves once the message is in the log; until then it
   * is repeated with the same id over whatever transport lives. Publishes to one channel keep their order.
   *
   * Rejects with a `TricastError`, or with the reason of `options.signal`.
   */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<Published> {
    return this.#outbox.publish(channel, data, options);
  }

  /** Uses these transports from now on, best first; channels go on where they are. */
  setTransports(transports: readonly TransportName[]): void {
    this.#connection.choose(transports);
  }

  /** Ends the connection and all channels for good. Publishes that are not acknowledged reject with `closed`. */
  close(): void {
    if (this.state.status !== 'closed') this.#connection.close();
  }

  #leave(channel: Channel): void {
    this.#channels.delete(channel.name);
    this.#connection.forget(channel);
  }

  #changed(state: State): void {
    if (state.status === 'closed') {
      for (const channel of [...this.#channels.values()]) channel.close();
      this.#outbox.close(state.error ?? closedError());
    }
    this.#events.emit('state', state);
  }
}

const TRANSPORTS = { ws: WsTransport, sse: SseTransport, poll: PollTransport };

function closedError(): TricastError {
  return new TricastError('closed', 'the client is closed');
}

import { Channel, type ChannelOptions } from './channel.js';
import { Connection, type State } from './connection.js';
import { Emitter } from './emitter.js';
import { Environment, type Options } from './environment.js';
import { TricastError } from './errors.js';
import { Outbox } from './outbox.js';
import { PollTransport } from './transport/poll.js';
import { SseTransport } from './transport/sse.js';
import type { TransportFactory, TransportName } from './transport/transport.js';
import { WsTransport } from './transport/ws.js';

/** What `rt.on` listens to. */
export interface TricastEvents {
  state: State;
}

/**
 * A client: channels over one connection, which is a WebSocket where that works, an SSE stream where it does not, and
 * long-polling where nothing else does.
 *
 * It connects while it has channels, and is `idle` without.
 */
export class Tricast {
  /** The id under which the server knows this client. */
  readonly client: string;
  readonly #channels = new Map<string, Channel>();
  readonly #events = new Emitter<TricastEvents>();
  readonly #outbox: Outbox;
  readonly #connection: Connection;

  /** @param url The server's mount point, absolute or relative to the page: `'/rt'`. */
  constructor(url: string, options: Options = {}) {
    const env = new Environment(url, options);
    this.client = env.client;
    const { transports = BEST_FIRST, connectTimeout, backoff } = options;
    this.#outbox = new Outbox(env, options.outbox, backoff);
    this.#connection = new Connection(
      env,
      { channels: this.#channels, outbox: this.#outbox, changed: (state) => this.#changed(state) },
      { open: OPEN, transports, connectTimeout, backoff },
    );
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
   * Reads a channel. While it is open, the same name answers the same `Channel`, whatever the options.
   *
   * @throws TricastError `closed` on a closed client.
   */
  channel(name: string, options: ChannelOptions = {}): Channel {
    if (this.state.status === 'closed') throw closedError();
    let channel = this.#channels.get(name);
    if (!channel) {
      channel = new Channel(name, options, this.#outbox, (left, why) => this.#leave(left, why));
      this.#channels.set(name, channel);
      this.#connection.update();
    }
    return channel;
  }

  /** Uses these transports from now on, best first; channels go on where they are. */
  setTransports(transports: readonly TransportName[]): void {
    this.#connection.choose(transports);
  }

  /** Ends the connection and all channels for good. Publishes that are not acknowledged reject with `closed`. */
  close(): void {
    if (this.state.status !== 'closed') this.#connection.close();
  }

  #leave({ name }: Channel, why: TricastError): void {
    this.#channels.delete(name);
    this.#outbox.drop(name, why);
    this.#connection.update(name);
  }

  #changed(state: State): void {
    if (state.status === 'closed') {
      for (const channel of [...this.#channels.values()]) channel.shut(state.error ?? closedError());
    }
    this.#events.emit('state', state);
  }
}

const BEST_FIRST: readonly TransportName[] = ['ws', 'sse', 'poll'];

const OPEN: Record<TransportName, TransportFactory> = {
  ws: (env, sink, patience) => new WsTransport(env, sink, patience),
  sse: (env, sink, patience) => new SseTransport(env, sink, patience),
  poll: (env, sink, patience) => new PollTransport(env, sink, patience),
};

function closedError(): TricastError {
  return new TricastError('closed', 'the client is closed');
}

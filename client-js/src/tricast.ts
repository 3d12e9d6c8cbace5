import { createChannel, type Channel, type ChannelCore, type ChannelOptions } from './channel.js';
import { createConnection, IDLE, type Report, type State } from './connection.js';
import { createEmitter } from './emitter.js';
import { createEnvironment, onAbort, randomId, type Options } from './environment.js';
import { TricastError } from './errors.js';
import { createOutbox, type PublishOptions, type Published } from './outbox.js';
import type { PublishedEvent, ResultEvent } from './protocol.js';
import type { TransportName } from './transport/link.js';

/** What `rt.on` listens to. */
export interface TricastEvents {
  state: State;
}

/** Options of one call. */
export interface CallOptions {
  /** Stops waiting for the answer; the call may have taken effect. */
  readonly signal?: AbortSignal;
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

  /** What the connection is doing. It is the client's to change. */
  state: State = IDLE;

  /** Adds a handler and returns what removes it. */
  readonly on: <Name extends keyof TricastEvents>(name: Name, handler: (value: TricastEvents[Name]) => void) => () => void;

  /**
   * Reads a channel. While it is open, the same name answers the same `Channel`, shared by all who asked: the options of
   * the first count, those of later callers are ignored, and whoever closes it closes it for all.
   *
   * @throws TricastError `closed` on a closed client, `bad_request` for a name that cannot be one.
   */
  readonly channel: <T = unknown>(name: string, options?: ChannelOptions) => Channel<T>;

  /**
   * Publishes what has a JSON form; the channel need not be read. Resolves once the message is in the log; until then it
   * is repeated with the same id over whatever transport lives. Publishes to one channel keep their order.
   *
   * Rejects with a `TricastError`, or with the reason of `options.signal`.
   */
  readonly publish: (channel: string, data: unknown, options?: PublishOptions) => Promise<Published>;

  /** Calls a method of the application. It is sent once at most: if no answer comes, nobody knows whether it took effect. */
  readonly call: <T = unknown>(method: string, data?: unknown, options?: CallOptions) => Promise<T>;

  /** Tells what was tried, and what came of it. */
  readonly report: () => Report;

  /** Uses these transports from now on, best first; channels go on where they are. */
  readonly setTransports: (transports: readonly TransportName[]) => void;

  /** Ends the connection and all channels for good, and forgets the token. What is not acknowledged rejects with `closed`. */
  readonly close: () => void;

  /** @param url The server's mount point, absolute or relative to the page: `'/rt'`. */
  constructor(url: string, options: Options = {}) {
    const env = createEnvironment(url, options);
    const channels = new Map<string, ChannelCore<any>>();
    const { on, emit } = createEmitter<TricastEvents>();
    const outbox = createOutbox(env, () => connection._stuck());
    const connection = createConnection(env, channels, outbox, (state) => {
      this.state = state;
      emit('state', state);
    });
    const leave = (channel: ChannelCore<any>): void => {
      channels.delete(channel.name);
      connection._forget(channel);
    };

    this.client = env.client;
    this.on = on;
    this.channel = (name, options = {}) => {
      const { state } = this;
      if (state.status === 'closed') throw state.error;
      let channel = channels.get(name);
      if (!channel) {
        // The server would refuse a whole request for it, and with it what else is in there.
        if (!NAME.test(name)) throw new TricastError('bad_request', undefined, name);
        channel = createChannel(name, options, this, outbox._ask, leave, options.resume && `tricast ${env._url(name)}`);
        channels.set(name, channel);
        connection._update();
      }
      return channel;
    };
    this.publish = async (channel, data, { signal, id = randomId(), ...options } = {}) => {
      const message = { channel, data, id, ...options };
      const answer = outbox._ask({ type: 'publish', ...message }, signal, channel);
      channels.get(channel)?._emit('echo', message);
      return { ...((await answer) as PublishedEvent), id };
    };
    this.call = async <T>(method: string, data?: unknown, { signal }: CallOptions = {}) =>
      ((await outbox._ask({ type: 'call', method, data }, signal)) as ResultEvent).data as T;
    this.report = connection._report;
    this.setTransports = connection._choose;
    this.close = connection._close;
    onAbort(options.signal, this.close);
  }
}

const NAME = /^[\w.:@/-]{1,266}$/;

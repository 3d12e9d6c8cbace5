import type { Backoff } from './backoff.js';
import type { Channel } from './channel.js';
import { Choice } from './choice.js';
import type { Environment } from './environment.js';
import { TricastError, unreachable } from './errors.js';
import { DEFAULT_CONNECT_TIMEOUT, DEFAULT_MAX_CHANNELS, MAX_CONNECT_TIMEOUT } from './limits.js';
import type { Carrier, Outbox } from './outbox.js';
import { errorOf, type ServerEvent } from './protocol.js';
import type { Fate, Sendable, Sink, Transport, TransportClass, TransportName, Want } from './transport/transport.js';

/** What the client is doing (protocol section 9). */
export interface State {
  /** `connected` means proven: the server has spoken on this connection. */
  readonly status: 'idle' | 'connecting' | 'connected' | 'waiting' | 'closed';
  /** The proven transport, null while there is none. */
  readonly transport: TransportName | null;
  /** When the next try is due, in milliseconds since 1970; only while `waiting`. */
  readonly retryAt?: number;
  /** Why it is `waiting`, or why the server closed it for good. */
  readonly error?: TricastError;
}

/** What a connection works for, and with. */
export interface ConnectionHost {
  readonly transports: Readonly<Record<TransportName, TransportClass>>;
  /** The channels to read, by name. */
  readonly channels: ReadonlyMap<string, Channel>;
  readonly outbox: Outbox;
  changed(state: State): void;
}

const BEST_FIRST: readonly TransportName[] = ['ws', 'sse', 'poll'];

/**
 * Keeps one connection while there are channels: tries transports until one has proved itself, waits when none did, and
 * begins with the best again when the connection was lost.
 *
 * The choice blames a transport only for what is its own: silence, refusal by strangers, a cut before the proof, a
 * message that it cannot carry. When the server itself says no, it waits as told. A channel that is in trouble alone is
 * left out for a while of its own.
 *
 * Without channels there is no connection, and publishes go by POST.
 */
export class Connection implements Sink {
  /** Changed by the connection alone. */
  state: State = { status: 'idle', transport: null };
  readonly #env: Environment;
  readonly #host: ConnectionHost;
  readonly #backoff: Backoff;
  #choice: Choice;
  #link: Transport | null = null;
  #updating = false;
  /** Carries publishes while there is no connection. */
  readonly #poster: Carrier;
  #maxChannels = DEFAULT_MAX_CHANNELS;
  #cancelWait = (): void => {};

  constructor(env: Environment, host: ConnectionHost) {
    this.#env = env;
    this.#host = host;
    this.#backoff = env.backoff();
    this.#choice = new Choice(env.options.transports ?? BEST_FIRST, env);
    this.#poster = new host.transports.poll(env, this, 0);
    host.outbox.attach(this.#poster);
  }

  /** This channel left. */
  forget(channel: Channel): void {
    channel.wake?.();
    this.#link?.forget(channel.name);
    this.update();
  }

  /** The channel set changed. Changes of one turn of the event loop are taken together. */
  update(): void {
    // From now on publishes wait for the connection.
    if (this.state.status === 'idle') this.#host.outbox.attach(null);
    if (this.#updating) return;
    this.#updating = true;
    queueMicrotask(() => {
      this.#updating = false;
      this.#apply();
    });
  }

  /** Tries other transports from now on. A living connection stays if it is on the first of them that exists here. */
  choose(transports: readonly TransportName[]): void {
    this.#choice = new Choice(transports, this.#env);
    const { status, transport } = this.state;
    if (status === 'idle' || status === 'closed' || (transport && transport === this.#choice.current)) return;
    this.#drop();
    this.#connect();
  }

  /** Ends for good. */
  close(error?: TricastError): void {
    this.#drop();
    this.#set('closed', error && { error });
  }

  wants(): Want[] {
    const awake = [...this.#host.channels.values()].filter(({ wake }) => !wake);
    return awake.map(({ name, from }) => ({ name, from }));
  }

  event(event: ServerEvent): void {
    const { channels, outbox } = this.#host;
    if (event.type === 'published') return outbox.outcome(event.ref, event);
    if (event.type === 'error') return outbox.outcome(event.ref, errorOf(event));
    const link = this.#link;
    if (!link) return;
    switch (event.type) {
      case 'welcome':
        this.#maxChannels = event.limits?.channels ?? DEFAULT_MAX_CHANNELS;
        outbox.limit = event.limits?.message ?? Infinity;
        return this.#proven(link);
      case 'bye':
        // Said to channels that have left within this turn; those of now are asked for at its end.
        if (!event.reconnect && this.#updating) return;
        return this.ended(errorOf(event), event.reconnect ? undefined : 'final');
      case 'subscribed':
      case 'gap':
      case 'message':
      case 'unsubscribed': {
        const channel = channels.get(event.channel);
        const faults = channel?.receive(event, link);
        if (channel && faults) {
          link.forget(channel.name);
          if (faults > 1) this.#rest(channel);
          link.update();
        }
      }
    }
  }

  answered(channels: readonly Want[]): void {
    const link = this.#link;
    if (!link) return;
    for (const { name } of channels) this.#host.channels.get(name)?.own(link);
    this.#proven(link);
  }

  refused({ code, message, channel: culprit, retryAfter }: TricastError, names: readonly string[]): void {
    const { channels } = this.#host;
    // Where nobody is named there were too many at once, and the newest are surplus.
    const surplus = code === 'too_many_channels' && !culprit;
    for (const name of surplus ? names.slice(names.length > this.#maxChannels ? this.#maxChannels : -1) : names) {
      const channel = channels.get(name);
      if (channel?.refuse(new TricastError(code, message, name, retryAfter))) this.#rest(channel, retryAfter);
    }
  }

  unsent(batch: readonly Sendable[], error: TricastError): void {
    for (const { ref } of batch) this.#host.outbox.outcome(ref, error);
  }

  ended(error: TricastError, fate?: Fate): void {
    const proven = this.state.status === 'connected';
    this.#drop();
    if (fate === 'final') return this.close(error);
    if (fate === 'blamed' || (!proven && error.code === 'unreachable')) {
      this.#choice.failed();
      if (this.#choice.current) return this.#connect();
    }
    this.#wait(error);
  }

  #apply(): void {
    const { status } = this.state;
    if (status === 'closed') return;
    if (this.#host.channels.size === 0) {
      this.#drop();
      this.#choice.restart();
      this.#host.outbox.attach(this.#poster);
      if (status !== 'idle') this.#set('idle');
    } else if (status === 'idle') {
      this.#connect();
    } else {
      this.#link?.update();
    }
  }

  #connect(): void {
    const name = this.#choice.current;
    if (!name) return this.#wait(unreachable('no transport'));
    const { connectTimeout = DEFAULT_CONNECT_TIMEOUT } = this.#env.options;
    const patience = Math.min(MAX_CONNECT_TIMEOUT, connectTimeout * 2 ** this.#backoff.failures);
    const link = new this.#host.transports[name](this.#env, this, patience);
    this.#link = link;
    if (this.state.status !== 'connecting') this.#set('connecting');
    // A handler of the state may have closed it again.
    if (link === this.#link) link.update();
  }

  #proven(link: Transport): void {
    const transport = this.#choice.current;
    if (this.state.status === 'connected') return;
    this.#backoff.reset();
    this.#set('connected', { transport });
    if (link === this.#link) this.#host.outbox.attach(link);
  }

  #wait(error: TricastError): void {
    this.#choice.restart();
    const ms = this.#backoff.next(error.retryAfter);
    this.#cancelWait = this.#env.clock.timer(ms, () => this.#connect());
    this.#set('waiting', { retryAt: this.#env.clock.now() + ms, error });
  }

  /** Leaves a channel out of what is asked for, until its own backoff or the server's wish is over. */
  #rest(channel: Channel, atLeast?: number): void {
    channel.wake = this.#env.clock.timer(channel.backoff.next(atLeast), () => {
      channel.wake = null;
      this.update();
    });
  }

  #drop(): void {
    this.#cancelWait();
    const link = this.#link;
    this.#link = null;
    this.#host.outbox.attach(null);
    link?.close();
  }

  #set(status: State['status'], details?: Partial<State>): void {
    this.state = { status, transport: null, ...details };
    this.#host.changed(this.state);
  }
}

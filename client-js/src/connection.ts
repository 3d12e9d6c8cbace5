import { Backoff, type BackoffOptions } from './backoff.js';
import type { Channel } from './channel.js';
import { Choice } from './choice.js';
import type { Environment } from './environment.js';
import { unreachable, type TricastError } from './errors.js';
import type { Outbox } from './outbox.js';
import { errorOf, type ServerEvent } from './protocol.js';
import type { Sink, Transport, TransportFactory, TransportName, Want } from './transport/transport.js';

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

/** What a connection works for. */
export interface ConnectionHost {
  /** The channels to read, by name. */
  readonly channels: ReadonlyMap<string, Channel>;
  readonly outbox: Outbox;
  changed(state: State): void;
}

/** How long to be patient, and how to open each transport. */
export interface ConnectionOptions {
  readonly open: Readonly<Record<TransportName, TransportFactory>>;
  readonly transports: readonly TransportName[];
  readonly connectTimeout?: number | undefined;
  readonly backoff?: BackoffOptions | undefined;
}

const DEFAULT_CONNECT_TIMEOUT = 5000;

/** However many rounds failed, a transport gets no more patience than this. */
const MAX_CONNECT_TIMEOUT = 30_000;

/**
 * Keeps one connection while there are channels: tries transports until one has proved itself, waits when none did, and
 * begins with the best again when the connection was lost.
 *
 * The choice blames a transport only for what is its own: silence, refusal by strangers, a cut before the proof. When the
 * server itself says no, it waits as told.
 */
export class Connection implements Sink {
  readonly #env: Environment;
  readonly #host: ConnectionHost;
  readonly #options: ConnectionOptions;
  readonly #backoff: Backoff;
  #choice: Choice;
  #link: Transport | null = null;
  #state: State = { status: 'idle', transport: null };
  #updating = false;
  readonly #left = new Set<string>();
  #cancelWait = (): void => {};

  constructor(env: Environment, host: ConnectionHost, options: ConnectionOptions) {
    this.#env = env;
    this.#host = host;
    this.#options = options;
    this.#backoff = new Backoff(env.random, options.backoff);
    this.#choice = new Choice(options.transports, env);
  }

  get state(): State {
    return this.#state;
  }

  /** The channel set changed: this one left, or one came. Changes of one turn of the event loop are taken together. */
  update(left?: string): void {
    if (left) this.#left.add(left);
    if (this.#updating) return;
    this.#updating = true;
    queueMicrotask(() => {
      this.#updating = false;
      this.#apply();
    });
  }

  /** Tries other transports from now on. A living connection stays if it is on the first of them. */
  choose(transports: readonly TransportName[]): void {
    this.#choice = new Choice(transports, this.#env);
    const { status, transport } = this.#state;
    if (status === 'idle' || status === 'closed' || (transport && transport === transports[0])) return;
    this.#drop();
    this.#connect();
  }

  /** Ends for good. */
  close(error?: TricastError): void {
    this.#drop();
    this.#set('closed', error && { error });
  }

  wants(): Want[] {
    return [...this.#host.channels.values()].map(({ name, from }) => (from === undefined ? { name } : { name, from }));
  }

  event(event: ServerEvent): void {
    const link = this.#link;
    if (!link) return;
    switch (event.type) {
      case 'welcome':
        this.#host.outbox.welcome(event);
        return this.#proven(link);
      case 'bye':
        return this.ended(errorOf(event), !event.reconnect);
      case 'subscribed':
      case 'gap':
      case 'message':
      case 'unsubscribed': {
        const faults = this.#host.channels.get(event.channel)?.receive(event, link);
        if (faults === 1) link.again(event.channel);
        else if (faults) this.ended(unreachable(`messages of ${event.channel} are missing again`));
      }
    }
  }

  answered(channels: readonly Want[]): void {
    const link = this.#link;
    if (!link) return;
    for (const { name } of channels) this.#host.channels.get(name)?.own(link);
    this.#proven(link);
  }

  refused(error: TricastError): void {
    this.#host.channels.get(error.channel ?? '')?.refuse(error);
  }

  ended(error: TricastError, final = false): void {
    const proven = this.#state.status === 'connected';
    this.#drop();
    if (final) return this.close(error);
    if (!proven && error.code === 'unreachable') {
      this.#choice.failed();
      if (this.#choice.current) return this.#connect();
    }
    this.#wait(error);
  }

  #apply(): void {
    const { status } = this.#state;
    if (status === 'closed') return;
    if (this.#host.channels.size === 0) {
      this.#drop();
      if (status !== 'idle') this.#set('idle');
    } else if (status === 'idle') {
      this.#connect();
    } else {
      this.#link?.update();
      // One that left and came back in the same turn is not the one that was asked for.
      for (const name of this.#left) if (this.#host.channels.has(name)) this.#link?.again(name);
    }
    this.#left.clear();
  }

  #connect(): void {
    const name = this.#choice.current;
    if (!name) return this.#wait(unreachable('no transport is available here'));
    const { open, connectTimeout = DEFAULT_CONNECT_TIMEOUT } = this.#options;
    const patience = Math.min(MAX_CONNECT_TIMEOUT, connectTimeout * 2 ** this.#backoff.failures);
    const link = open[name](this.#env, this, patience);
    this.#link = link;
    if (this.#state.status !== 'connecting') this.#set('connecting');
    // A handler of the state may have closed it again.
    if (link === this.#link) link.update();
  }

  #proven(link: Transport): void {
    const transport = this.#choice.current;
    if (this.#state.status === 'connected') return;
    this.#backoff.reset();
    this.#choice.restart();
    this.#set('connected', { transport });
    if (link === this.#link) this.#host.outbox.attach(link);
  }

  #wait(error: TricastError): void {
    this.#choice.restart();
    const ms = this.#backoff.next(error.retryAfter);
    this.#cancelWait = this.#env.clock.timer(ms, () => this.#connect());
    this.#set('waiting', { retryAt: this.#env.clock.now() + ms, error });
  }

  #drop(): void {
    this.#cancelWait();
    const link = this.#link;
    this.#link = null;
    this.#host.outbox.attach(null);
    link?.close();
  }

  #set(status: State['status'], details?: Partial<State>): void {
    this.#state = { status, transport: null, ...details };
    this.#host.changed(this.#state);
  }
}

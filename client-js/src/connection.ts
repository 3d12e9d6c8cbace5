import type { ChannelCore } from './channel.js';
import { createTimer, stored, type Environment } from './environment.js';
import { isAboutToken, TricastError, unreachable } from './errors.js';
import {
  FIRST_PROBE,
  LATE,
  LAST_PROBE,
  MAX_CONNECT_TIMEOUT,
  MAX_SHORT_LIVES,
  MEMORY,
  REPORTED,
  SHORT_LIFE,
  TICK,
} from './limits.js';
import { watchPage } from './page.js';
import type { Outbox } from './outbox.js';
import { errorOf, type ChannelEvent, type Ref, type ServerCode, type ServerEvent, type WelcomeEvent } from './protocol.js';
import type { Link, OpenLink, Sink, TransportName, Want } from './transport/link.js';
import { openRequests } from './transport/request.js';
import { openSocket } from './transport/ws.js';

/** What the client is doing (protocol section 9). */
export type Status = 'idle' | 'connecting' | 'connected' | 'waiting' | 'closed';

/** What the client is doing, and why. */
export interface State {
  /** `connected` means proven: the server has spoken on this connection. */
  readonly status: Status;
  /** The proven transport, null while there is none. */
  readonly transport: TransportName | null;
  /** When the next try is due, in milliseconds since 1970; only while `waiting`. */
  readonly retryAt?: number;
  /** Why it is `waiting`, or why it was closed for good. */
  readonly error?: TricastError;
}

/** Where nothing is to be read. */
export const IDLE: State = { status: 'idle', transport: null };

/** How a connection, or the try to get one, went. */
export interface Attempt {
  readonly transport: TransportName;
  /** When it began, in milliseconds since 1970. */
  readonly at: number;
  /** Milliseconds until it was proven; absent where it never was. */
  proven?: number;
  /** Milliseconds from request to answer; absent before there was one. */
  roundTrip?: number;
  /** Milliseconds until it ended; absent while it lives. */
  ended?: number;
  /** Why it ended, where it was not in order. */
  reason?: string | undefined;
}

/** Why the client is on the transport that it is on. */
export interface Report {
  readonly state: State;
  /** The newest connections and tries, oldest first. */
  readonly attempts: readonly Attempt[];
  /** Gaps that were told so far. */
  readonly gaps: number;
  /** How often a message was missing without a `gap`, so that the client had to ask again. */
  readonly faults: number;
}

/** Keeps one connection while there are channels. */
export interface Connection {
  _report(): Report;
  /** This channel left. */
  _forget(channel: ChannelCore<any>): void;
  /** The channel set changed. Changes of one turn of the event loop are taken together. */
  _update(): void;
  /** Tries other transports from now on. A living connection stays if it is on the first of them that exists here. */
  _choose(transports: readonly TransportName[]): void;
  /** A POST found no server. */
  _stuck(): void;
  /** Ends for good. */
  _close(): void;
}

/** A connection on the way, or alive. */
interface Line extends Attempt {
  _link: Link;
}

const LINKS: Record<TransportName, OpenLink> = { ws: openSocket, sse: openRequests('sse'), poll: openRequests('poll') };

/** What a tab that shares does by itself. */
const SHARED: readonly TransportName[] = ['poll'];

const noop = (): void => {};

/**
 * Tries transports until one has proved itself, waits when none did, and climbs back to better ones in the background.
 *
 * A transport is blamed only for what is its own: silence, refusal by strangers, a cut before the proof, a message that it
 * cannot carry, short lives in a row. When the server itself says no, the connection waits as told. A channel that is in
 * trouble alone is left out for a while of its own. Without channels there is no connection, and publishes go by POST.
 */
export function createConnection(
  env: Environment,
  channels: ReadonlyMap<string, ChannelCore<any>>,
  outbox: Outbox,
  changed: (state: State) => void,
): Connection {
  const { clock, connectTimeout, _tokens: tokens } = env;
  const attempts: Line[] = [];
  let state = IDLE;
  /** Best first. */
  let order = env._locks ? SHARED : (env.transports ?? (Object.keys(LINKS) as TransportName[]));
  /** What is remembered is what worked of these. */
  const memory = `tricast ${order} ${env._url('')}`;
  /** What worked last. */
  let worked: TransportName | undefined;
  /** What is left to try in this round. */
  let round: TransportName[] = [];
  let line: Line | null = null;
  /** A better one, on trial. */
  let probe: Line | null = null;
  /** Counts the lines, so that what waited for a token knows whether it still has its turn. */
  let turn = 0;
  let failures = 0;
  /** Lives in a row that were cut soon after they had been proven. */
  let shortLives = 0;
  /** Probes since there was a reason to begin anew. */
  let probes = 0;
  /** The server wants no try before, or there just was a look. */
  let notBefore = 0;
  let gaps = 0;
  let faults = 0;
  let isUpdating = false;
  const waitTimer = createTimer(env);
  const probeTimer = createTimer(env);
  let unwatch = noop;

  let set = (status: Status, details?: Partial<State>): void => {
    if (state.status === status && !details) return;
    state = { status, transport: null, ...details };
    changed(state);
  };

  const wants = (): Want[] => [...channels.values()].flatMap(({ _want }) => _want());

  const open = (transport: TransportName): Line => {
    const own = { transport, at: clock.now() } as Line;
    attempts.push(own);
    attempts.splice(0, attempts.length - REPORTED);
    const sink: Sink = {
      // A WebSocket on trial reads nothing.
      _wants: () => (own === line || transport !== 'ws' ? wants() : []),
      _event(event) {
        // A bye is also said to channels that have left within this turn; those of now are asked for at its end.
        if (event.type === 'bye') return event.reconnect || !isUpdating ? lost(own, errorOf(event)) : undefined;
        if (own === line) take(event, own._link);
      },
      _proven: (roundTrip) => proven(own, roundTrip),
      _refused: refused,
      _ended: (error) => lost(own, error),
    };
    own._link = LINKS[transport](env, sink, Math.min(MAX_CONNECT_TIMEOUT, connectTimeout * 2 ** failures));
    return own;
  };

  const end = (own: Line, reason?: string): void => {
    own._link._close();
    own.ended = clock.now() - own.at;
    own.reason = reason;
  };

  const drop = (): void => {
    const lines = [line, probe];
    line = probe = null;
    turn++;
    waitTimer();
    probeTimer();
    outbox._attach(null);
    for (const one of lines) if (one) end(one);
  };

  /** Begins a round: what worked, then the others, best first. */
  const begin = (): void => {
    watch();
    round = order.filter((other) => other !== worked);
    if (worked) round.unshift(worked);
    next();
  };

  const next = (): void => {
    drop();
    const mine = turn;
    const name = round.shift()!;
    set('connecting');
    const go = (): void => {
      if (mine === turn) (line = open(name))._link._update();
    };
    const ready = tokens._ready();
    if (ready) ready.then(go, (error) => mine === turn && wait(new TricastError('token', `${error}`)));
    else go();
  };

  const proven = (own: Line, roundTrip: number): void => {
    const { transport } = own;
    const isPromoted = own === probe;
    own.proven ??= clock.now() - own.at;
    own.roundTrip = roundTrip;
    if (isPromoted) {
      if (line) end(line);
      line = own;
      probe = null;
      round = order.filter((other) => other !== transport);
    }
    if (own !== line) return;
    failures = 0;
    if (state.transport === transport) return;
    worked = transport;
    stored('localStorage', memory, `${transport} ${clock.now() + MEMORY}`);
    set('connected', { transport });
    if (own !== line) return;
    outbox._attach(own._link._send);
    climb();
    if (isPromoted) own._link._renew();
  };

  const lost = (own: Line, error: TricastError): void => {
    end(own, error.message);
    if (own === probe) {
      probe = null;
      return climb();
    }
    if (own !== line) return;
    line = null;
    drop();
    const isCut = error.code === 'unreachable';
    // A message that it cannot carry.
    const isUnfit = error.code === 'too_large';
    // Not a number where it never was proven.
    const life = own.ended! - own.proven!;
    if (life >= SHORT_LIFE) shortLives = probes = 0;
    else if (life >= 0 && isCut) shortLives++;
    if (round[0] && (isUnfit || (isCut && (!(life >= 0) || shortLives >= MAX_SHORT_LIVES)))) next();
    else if (isAboutToken(error) ? env.token && !tokens._refused() : !error.retryable) close(error);
    else wait(error);
  };

  const wait = (error: TricastError): void => {
    const ms = env._wait(failures++ + (shortLives >> 1), error.retryAfter);
    const now = clock.now();
    notBefore = now + error.retryAfter;
    waitTimer(ms, begin);
    set('waiting', { retryAt: now + ms, error });
  };

  /** Plans the next look at a better transport. */
  const climb = (): void => {
    const ms = Math.min(LAST_PROBE, FIRST_PROBE * 2 ** probes) * (1 + env.random());
    probeTimer(line && state.transport !== order[0] ? ms : undefined, tryBetter);
  };

  const tryBetter = (): void => {
    probeTimer();
    const better = order.slice(0, line ? order.indexOf(state.transport!) : 1);
    if (probe || !better[0]) return;
    probe = open(better[probes++ % better.length]!);
    probe._link._update();
  };

  const wake = (): void => {
    const now = clock.now();
    // A page that nobody sees waits for its time.
    if (globalThis.document?.hidden || now < notBefore) return;
    if (state.status === 'waiting') return begin();
    if (!state.transport) return;
    notBefore = now + FIRST_PROBE;
    probes = 0;
    tryBetter();
    line!._link._renew();
  };

  const suspend = (): void => {
    if (!line) return;
    drop();
    wait(unreachable('suspended'));
  };

  /** Notices what happens to the page and to the machine, as long as there is something to keep. */
  const watch = (): void => {
    unwatch();
    const stop = watchPage(wake, suspend);
    const timer = createTimer(env);
    const tick = (): void => {
      const late = clock.now() + LATE;
      timer(TICK, () => {
        if (clock.now() > late) wake();
        tick();
      });
    };
    tick();
    unwatch = () => {
      stop();
      timer();
    };
  };

  const take = (event: ServerEvent, link: Link): void => {
    const { type, ref, channel: name, limits } = event as { type: string; ref?: Ref; channel: string } & Pick<WelcomeEvent, 'limits'>;
    if (typeof ref === 'number') return outbox._outcome(event);
    if (type === 'welcome') outbox._limit = limits.message;
    if (type === 'gap') gaps++;
    const channel = channels.get(name);
    if (channel?._receive(event as ChannelEvent)) {
      faults++;
      link._forget(name);
      rest(channel);
      link._update();
    }
  };

  const refused = (error: TricastError, name: string): void => {
    const channel = channels.get(name);
    channel?._emit('error', error);
    if (!error.retryable) channel?._end(error.code as ServerCode);
    // A handler may have closed it.
    else if (channels.has(name)) rest(channel!, error.retryAfter);
  };

  /** Leaves a channel out of what is asked for, until its own backoff or the server's wish is over. */
  const rest = (channel: ChannelCore<any>, atLeast?: number): void => {
    channel._wake = clock.timer(env._wait(channel._rests++, atLeast), () => {
      channel._wake = undefined;
      update();
    });
  };

  const apply = (): void => {
    isUpdating = false;
    if (!channels.size) {
      drop();
      unwatch();
      outbox._attach(undefined);
      set('idle');
    } else if (state.status === 'idle') {
      begin();
    } else {
      line?._link._update();
    }
  };

  const update = (): void => {
    // From now on publishes wait for the connection.
    if (state.status === 'idle') outbox._attach(null);
    if (!isUpdating) queueMicrotask(apply);
    isUpdating = true;
  };

  const close = (error = new TricastError('closed')): void => {
    for (const { close } of [...channels.values()]) close();
    drop();
    unwatch();
    tokens._forget();
    env._leave?.();
    outbox._close(error);
    set('closed', { error });
    // Nothing leads out of the end.
    set = noop;
  };

  const [name, until] = stored('localStorage', memory)?.split(' ') ?? [];
  if (+until! > clock.now()) worked = name as TransportName;
  tokens._renewed = () => line?._link._renew();

  return {
    _report: () => ({ state, attempts: attempts.map(({ _link, ...attempt }) => attempt), gaps, faults }),
    _forget(channel) {
      channel._wake?.();
      line?._link._forget(channel.name);
      update();
    },
    _update: update,
    _choose(names) {
      worked = undefined;
      order = names;
      if (channels.size && state.transport !== order[0]) begin();
    },
    _stuck: tryBetter,
    _close: () => close(),
  };
}

import { createEmitter, type Emitter } from './emitter.js';
import { onAbort, stored } from './environment.js';
import type { TricastError } from './errors.js';
import type { Outbox, PublishOptions, Published } from './outbox.js';
import { formatPosition, parsePosition, type Position } from './position.js';
import type { ChannelEvent, From, GapReason, HistoryEvent, MessageEvent, ServerCode } from './protocol.js';
import { advance, type Told } from './reader.js';
import type { Want } from './transport/link.js';
import type { Tricast } from './tricast.js';

/** How a channel is read. */
export interface ChannelOptions {
  /**
   * Where to start: `latest`, `earliest`, `last:N`, or a position `<epoch>-<seq>` as `channel.position` tells it. From
   * then on the client goes on at its own position. Default: `latest` on streams, `earliest` on states.
   */
  readonly from?: From;
  /** What the member that this client is shows to the others, where the channel keeps presence. */
  readonly presence?: unknown;
  /** Keeps the position of a stream in `sessionStorage`: after a reload reading goes on there, whatever `from` says. */
  readonly resume?: boolean;
  /** Closes the channel when it aborts. */
  readonly signal?: AbortSignal;
}

/** A message as handlers get it. */
export interface Message<T = unknown> {
  readonly channel: string;
  /** The payload: parsed JSON, or a `Uint8Array` where the publisher sent bytes. */
  readonly data: T;
  readonly epoch: string;
  readonly seq: number;
  /** `<epoch>-<seq>`. */
  readonly position: string;
  /** Milliseconds since 1970 by the log's clock. */
  readonly at: number;
  readonly event?: string;
  readonly id?: string;
  readonly user?: string;
  /** On a state: what was set or removed. */
  readonly key?: string;
  /** On a state: the key was removed; there is no data. */
  readonly deleted?: boolean;
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
  readonly kind?: 'stream' | 'state';
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

/** A key of a state has another message: none before where it is new, none now where it was removed. */
export interface Change<T = unknown> {
  readonly key: string;
  readonly message: Message<T> | undefined;
  readonly previous: Message<T> | undefined;
}

/** A state is known whole, up to `position`. */
export interface Live {
  readonly channel: string;
  readonly position: string;
}

/** A publish that was just made here; the message that bears its `id` confirms it. */
export interface Echo<T = unknown> extends PublishOptions {
  readonly channel: string;
  readonly id: string;
  readonly data: T;
}

/** Somebody on the channel. */
export interface Member<T = unknown> {
  readonly client: string;
  readonly user?: string;
  /** What the member shows. */
  readonly data?: T;
  /** When the member came, in milliseconds since 1970. */
  readonly since: number;
}

/** What a log retains of the past. */
export interface History<T = unknown> {
  /** Oldest first. */
  readonly messages: readonly Message<T>[];
  /** That of the last message; the next page is before or after it. */
  readonly position: string;
  /** More is retained in that direction. */
  readonly more: boolean;
  /** Messages after the position that was asked for are gone. */
  readonly gap?: boolean;
}

/** Which part of the past to read; without a position the newest messages. */
export interface HistoryOptions {
  /** Exclusive. */
  readonly before?: string;
  /** Exclusive. */
  readonly after?: string;
  /** 1 to 1000, default 100. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/** What `channel.on` listens to. */
export interface ChannelEvents<T = unknown> {
  message: Message<T>;
  change: Change<T>;
  live: Live;
  join: Member;
  leave: Member;
  echo: Echo<T>;
  gap: Gap;
  subscribed: Subscribed;
  unsubscribed: Unsubscribed;
  /** A subscription failed. Where `error.retryable`, the client goes on trying. */
  error: TricastError;
}

/** One channel, read from a position of its own over whatever connection lives. */
export interface Channel<T = unknown> {
  readonly name: string;
  /** On a state: the newest message of each key, kept up to date. It is complete from the first `live` on. */
  readonly state: ReadonlyMap<string, Message<T>>;
  /** The last position that was handled; before the first, the one to start from, or null. */
  readonly position: string | null;
  /** Who is on the channel now, where it keeps presence. The first look, or handler of `join` or `leave`, begins to read that. */
  readonly members: Member[];
  /** Adds a handler and returns what removes it. */
  on<Name extends keyof ChannelEvents<T>>(name: Name, handler: (value: ChannelEvents<T>[Name]) => void): () => void;
  /** The same as `rt.publish` with this channel's name: whether it is read, or may be, makes no difference. */
  publish(data: T, options?: PublishOptions): Promise<Published>;
  /** Reads a page of what the log retains, without moving the position. */
  history(options?: HistoryOptions): Promise<History<T>>;
  /** Stops reading, without an event. Publishes go on. */
  close(): void;
}

/** A channel as the client's own parts see it. */
export interface ChannelCore<T = unknown> extends Channel<T> {
  /** How often it was left alone since a message was delivered. */
  _rests: number;
  /** While it is not to be asked for: cancels the wait. */
  _wake?: (() => void) | undefined;
  /** What to ask for: nothing while it rests. */
  _want(): Want[];
  /** Tells handlers. */
  _emit: Emitter<ChannelEvents<T>>['emit'];
  /** Ends it, on behalf of the server. */
  _end(code?: ServerCode): void;
  /**
   * Takes an event of the connection.
   *
   * @returns whether something is missing: it is necessary to ask again.
   */
  _receive(event: ChannelEvent): boolean | void;
}

/**
 * Makes a channel.
 *
 * @param left Called when it is closed.
 * @param key Under which its position outlives the page.
 */
export function createChannel<T>(
  name: string,
  options: ChannelOptions,
  rt: Pick<Tricast, 'channel' | 'publish'>,
  ask: Outbox['_ask'],
  left: (channel: ChannelCore<any>) => void,
  key: string | false | undefined,
): ChannelCore<T> {
  const { on, emit } = createEmitter<ChannelEvents<T>>();
  const { from, presence, signal } = options;
  let at = parsePosition((key && stored('sessionStorage', key)) || from || '');
  let isState = false;
  const state = new Map<string, Message<T>>();
  /** A snapshot that is being read. */
  let snapshot: Map<string, Message<T>> | null = null;
  let members: Channel<Member> | undefined;
  let isClosed = false;

  const put = (map: Map<string, Message<T>>, key: string, message?: Message<T>): void => {
    const previous = map.get(key);
    if (message && !message.deleted) map.set(key, message);
    else map.delete(key);
    if (map === state) emit('change', { key, message: map.get(key), previous });
  };

  /** Puts a snapshot that is complete in the place of what there was. */
  const swap = (complete: Map<string, Message<T>>): void => {
    snapshot = null;
    for (const key of [...state.keys()]) if (!complete.has(key)) put(state, key);
    for (const [key, message] of complete) if (state.get(key)?.position !== message.position) put(state, key, message);
    emit('live', { channel: name, position: channel.position! });
  };

  const deliver = (event: Told, { seq, base }: Position): void => {
    if (event.type === 'message') {
      const message = messageOf<T>(event);
      channel._rests = 0;
      if (event.key !== undefined) put(snapshot ?? state, event.key, message);
      else if (key) stored('sessionStorage', key, message.position);
      emit('message', message);
    } else if (event.type !== 'live') {
      if (!seq) snapshot = new Map();
      emit(event.type, event);
    }
    if (snapshot && !base) swap(snapshot);
  };

  const end = (code?: ServerCode): void => {
    if (isClosed) return;
    channel.close();
    emit('unsubscribed', { channel: name, code });
  };

  const presenceOf = (): Channel<Member> => {
    if (!members) {
      members = rt.channel<Member>(`@presence/${name}`);
      members.on('change', ({ message, previous }) => {
        if (message && !previous) emit('join', message.data);
        if (previous && !message) emit('leave', previous.data);
      });
    }
    return members;
  };

  const channel: ChannelCore<T> = {
    name,
    state,
    get position() {
      return at && formatPosition(at);
    },
    get members() {
      return [...presenceOf().state.values()].map(({ data }) => data);
    },
    on(event, handler) {
      if (/^(join|leave)$/.test(event)) presenceOf();
      return on(event, handler);
    },
    publish: (data, options) => rt.publish(name, data, options),
    async history({ signal, ...options } = {}) {
      const answer = (await ask({ type: 'history', channel: name, ...options }, signal, `?${name}`)) as HistoryEvent;
      return { ...answer, messages: answer.messages.map(messageOf<T>) };
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      members?.close();
      left(channel);
    },
    _rests: 0,
    _want: () => (channel._wake ? [] : [{ name, from: channel.position ?? from, presence }]),
    _emit: emit,
    _end: end,
    _receive(event) {
      if (event.type === 'unsubscribed') return end(event.code);
      if (event.type === 'subscribed') isState = event.kind === 'state';
      const next = advance(at, isState, event);
      if (next) deliver(event, (at = next));
      return next === null;
    },
  };
  onAbort(signal, channel.close);
  return channel;
}

function messageOf<T>(event: MessageEvent): Message<T> {
  const { data, data64, epoch, seq } = event;
  const bytes = data64 === undefined ? data : Uint8Array.from(atob(data64), (char) => char.charCodeAt(0));
  return { ...event, position: `${epoch}-${seq}`, data: bytes as T };
}

// Hooks for React: `tricast/react`. They are safe in StrictMode and during concurrent rendering, and leave nothing behind
// when the last component that uses a channel is gone.

import { useEffect, useMemo, useRef, useSyncExternalStore } from 'react';
import type { Channel, ChannelOptions, Member, Message, PublishOptions, Published } from './index.js';
import type { State, Tricast } from './index.js';
import type { TricastError } from './errors.js';

/** How a component reads a channel. */
export interface UseChannelOptions<T> extends Omit<ChannelOptions, 'signal'> {
  /** How many of the newest messages are kept in `messages`. Default 100. */
  readonly keep?: number;
  /** Hears each message once, also those that are not kept. The newest function counts. */
  readonly onMessage?: (message: Message<T>) => void;
}

/** A channel as a component sees it. Another object whenever something changed. */
export interface ChannelView<T> {
  /** The newest messages since the component came, oldest first. */
  readonly messages: readonly Message<T>[];
  /** On a state: the newest message of each key. */
  readonly state: ReadonlyMap<string, Message<T>>;
  /** Delivery has started; on a state: it is known whole. */
  readonly ready: boolean;
  /** Why the channel is not read, or not yet. */
  readonly error: TricastError | null;
  readonly publish: (data: T, options?: PublishOptions) => Promise<Published>;
}

/** What the client is doing. Renders again when that changes. */
export function useConnection(rt: Tricast): State {
  return useSyncExternalStore(
    (changed) => rt.on('state', changed),
    () => rt.state,
    () => rt.state,
  );
}

/**
 * Reads a channel while the component is there. Components that name the same channel share it; the options of the first
 * count. No name: nothing is read.
 */
export function useChannel<T = unknown>(rt: Tricast, name: string | null, options: UseChannelOptions<T> = {}): ChannelView<T> {
  const newest = useRef(options);
  useEffect(() => {
    newest.current = options;
  });
  const store = useMemo(() => channelStore<T>(rt, name, newest), [rt, name]);
  return useSyncExternalStore(store.subscribe, store.view, store.view);
}

/** Who is on a channel, where it keeps presence. Renders again when somebody comes, leaves, or shows something else. */
export function useMembers<T = unknown>(rt: Tricast, name: string | null): readonly Member<T>[] {
  const { state } = useChannel<Member<T>>(rt, name && `@presence/${name}`, NOTHING_KEPT);
  return useMemo(() => [...state.values()].map(({ data }) => data), [state]);
}

interface Store<View> {
  subscribe(changed: () => void): () => void;
  view(): View;
}

const NOTHING_KEPT = { keep: 0 };

const DEFAULT_KEEP = 100;

function channelStore<T>(rt: Tricast, name: string | null, newest: { readonly current: UseChannelOptions<T> }): Store<ChannelView<T>> {
  let view: ChannelView<T> = {
    messages: [],
    state: new Map(),
    ready: false,
    error: null,
    publish: (data, options) => rt.publish(name!, data, options),
  };
  const listen = (channel: Channel<T>, changed: () => void): (() => void)[] => {
    const set = (fields: Partial<ChannelView<T>>): void => {
      view = { ...view, ...fields };
      changed();
    };
    set({ state: new Map(channel.state) });
    return [
      channel.on('message', (message) => {
        const { keep = DEFAULT_KEEP, onMessage } = newest.current;
        onMessage?.(message);
        if (keep > 0) set({ messages: [...view.messages, message].slice(-keep) });
      }),
      channel.on('change', () => set({ state: new Map(channel.state) })),
      channel.on('subscribed', ({ kind }) => set({ ready: kind !== 'state' || view.ready, error: null })),
      channel.on('live', () => set({ ready: true })),
      channel.on('error', (error) => set({ error })),
    ];
  };
  return {
    view: () => view,
    subscribe(changed) {
      if (name === null) return () => {};
      const { keep, onMessage, ...options } = newest.current;
      let release = (): void => {};
      let stops: (() => void)[] = [];
      try {
        const held = hold<T>(rt, name, options);
        release = held.release;
        stops = listen(held.channel, changed);
      } catch (error) {
        // The client is closed, or this is no name.
        view = { ...view, error: error as TricastError };
        changed();
      }
      return () => {
        for (const stop of stops) stop();
        release();
      };
    },
  };
}

interface Held {
  readonly channel: Channel<any>;
  users: number;
}

const held = new WeakMap<Tricast, Map<string, Held>>();

/** Opens a channel, or joins those who use it. It is closed after the last one, unless another comes within this turn. */
function hold<T>(rt: Tricast, name: string, options: ChannelOptions): { channel: Channel<T>; release: () => void } {
  const ours = held.get(rt) ?? new Map<string, Held>();
  held.set(rt, ours);
  const known = ours.get(name);
  const channel = rt.channel<T>(name, options);
  // One that has ended, because the server refused it, is replaced.
  const entry = known?.channel === channel ? known : { channel, users: 0 };
  ours.set(name, entry);
  entry.users++;
  return {
    channel,
    release() {
      entry.users--;
      // StrictMode, and a list that is sorted anew, take away what they bring back at once.
      setTimeout(() => {
        if (entry.users > 0 || ours.get(name) !== entry) return;
        ours.delete(name);
        channel.close();
      });
    },
  };
}

// One connection for all tabs of a browser: the add-on that `share: true` loads from beside the client.
//
// Every tab reads as a poller that is not held: it asks for what it misses from positions of its own, and then listens to
// the tab that leads. That one keeps the only connection, for the channels of all tabs, and broadcasts what it brings, each
// message with the position before it. A tab that stands there, or beyond, takes it; any other asks again. So a message
// that is lost on the way, a leader that dies, and a tab that comes late are one case.

import { createTimer, type Environment } from './environment.js';
import type { MessageEvent } from './protocol.js';
import type { Sink, Want } from './transport/link.js';
import { Tricast } from './tricast.js';

/** What tabs tell each other. */
interface Note {
  /** The channels that a tab reads. */
  readonly wants?: readonly Want[];
  readonly tab?: string;
  /** Where the leader stands on a channel; a tab that does not has to ask. */
  readonly channel?: string;
  readonly position?: string | null;
  /** A message, and the position before it. */
  readonly event?: MessageEvent;
  /** There is another leader: it wants to know the channels. */
  readonly isNew?: boolean;
}

interface Tab {
  /** Its own, even where the application gives several tabs one client id. */
  readonly _id: string;
  readonly _air: BroadcastChannel;
  /** What came while nobody listened. */
  readonly _heard: Note[];
  _listen: ((note: Note) => void) | null;
  /** When it asked again last. */
  _asked: number;
}

/** Milliseconds after which a tab asks by itself, should its leader have fallen silent. */
const SILENCE = 25_000;

/** Milliseconds after which a tab that said nothing is gone; the timers of a hidden one run once a minute. */
const GONE = 180_000;

/** Milliseconds between asking again and again, where a leader stands in another epoch. */
const PACE = 1000;

/** Notes that wait for a tab that is asking; more are dropped, and it asks once more. */
const MAX_HEARD = 1000;

const tabs = new WeakMap<Environment, Tab>();

/** Hears what the leader brings, until this tab misses something, or `signal` aborts. */
export function follow(env: Environment, sink: Sink, signal: AbortSignal): Promise<void> {
  const tab = tabs.get(env) ?? join(env);
  const wants = sink._wants();
  const timer = createTimer(env);
  return new Promise((resolve) => {
    const stop = (): void => {
      timer();
      tab._listen = null;
      resolve();
    };
    const ask = (): void => {
      const now = env.clock.now();
      tab._listen = null;
      timer(Math.max(0, tab._asked + PACE - now), stop);
      tab._asked = now;
    };
    tab._listen = ({ event, channel, position, isNew }) => {
      if (isNew) return ask();
      const from = sink._wants().find(({ name }) => name === channel)?.from;
      const [own, reached] = from?.split('-') ?? [];
      const [epoch, seq] = position?.split('-') ?? [];
      if (!reached || !seq) return;
      if (epoch !== own || +seq > +reached) ask();
      else if (event) sink._event(event);
    };
    signal.addEventListener('abort', stop);
    timer(SILENCE, stop);
    for (const note of tab._heard.splice(0)) tab._listen?.(note);
    tab._air.postMessage({ wants, tab: tab._id });
  });
}

/** Makes the tab one of those that share, and lead when it is its turn. */
function join(env: Environment): Tab {
  const name = `tricast ${env._url('')}`;
  const air = new BroadcastChannel(name);
  const heard: Note[] = [];
  const tab: Tab = { _id: crypto.randomUUID(), _air: air, _heard: heard, _listen: null, _asked: 0 };
  const left = new AbortController();
  tabs.set(env, tab);
  air.onmessage = ({ data }: { data: Note }) => {
    if (tab._listen) tab._listen(data);
    else if (!data.wants && heard.push(data) > MAX_HEARD) heard.shift();
  };
  const { signal } = left;
  env
    ._locks!.request(name, { signal }, () => lead(env, name, signal))
    // A page of no origin has no lock, and nobody to share with.
    .catch(() => (signal.aborted ? undefined : lead(env, name, signal)));
  env._leave = () => {
    left.abort();
    air.close();
    tabs.delete(env);
  };
  return tab;
}

/** Keeps the connection for all tabs, until `signal` aborts. */
function lead(env: Environment, name: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const air = new BroadcastChannel(name);
    const hub = new Tricast(env._url(''), { ...env, share: false });
    const readers = new Map<string, { wants: readonly Want[]; seen: number }>();
    const open = new Map<string, ReturnType<Tricast['channel']>>();

    const read = ({ name, presence }: Want): void => {
      const channel = hub.channel(name, { from: 'latest', presence });
      let before: string | null = null;
      const tell = (position: string | null, event?: object): void => {
        air.postMessage({ channel: name, position, event });
        before = channel.position;
      };
      open.set(name, channel);
      channel.on('subscribed', () => tell(channel.position));
      // Whatever is missing here, each tab is to learn from the server, up to the head.
      channel.on('gap', ({ head }) => tell(head));
      channel.on('message', (event) => tell(before, event));
      channel.on('unsubscribed', () => open.delete(name));
    };

    air.onmessage = ({ data: { wants, tab } }: { data: Note }) => {
      if (!wants || !tab) return;
      const now = env.clock.now();
      readers.set(tab, { wants, seen: now });
      for (const [id, { seen }] of readers) if (now - seen > GONE) readers.delete(id);
      const all = [...readers.values()].flatMap(({ wants }) => wants);
      for (const [key, channel] of open) if (!all.some(({ name }) => name === key)) open.delete(key) && channel.close();
      for (const want of all) {
        const { name } = want;
        const channel = open.get(name);
        if (!channel) read(want);
        else if (channel.position) air.postMessage({ channel: name, position: channel.position });
      }
    };
    air.postMessage({ isNew: true });
    signal.addEventListener('abort', () => {
      hub.close();
      air.close();
      resolve();
    });
  });
}

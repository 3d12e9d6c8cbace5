import { vi } from 'vitest';
import '../src/share.js';
import { EPOCH, message, subscribed, World, type FakeSocket } from './fake-server.js';
import type { ChannelOptions, Message } from '../src/index.js';

/** What all tabs of one browser have in common: the locks, and the air in which they call each other. */
class Browser {
  readonly #queues = new Map<string, (() => Promise<void>)[]>();
  readonly air = new Set<Air>();
  /** Locks are refused, as in a page of no origin. */
  isStrict = false;

  readonly locks = {
    request: (name: string, { signal }: { signal: AbortSignal }, hold: () => Promise<void>): Promise<void> =>
      new Promise((resolve, reject) => {
        if (this.isStrict) return reject(new DOMException('no origin', 'SecurityError'));
        const queue = this.#queues.get(name) ?? [];
        this.#queues.set(name, queue);
        const run = async (): Promise<void> => {
          await hold();
          queue.splice(queue.indexOf(run), 1);
          resolve();
          void queue[0]?.();
        };
        signal.addEventListener('abort', () => {
          if (queue.indexOf(run) > 0) queue.splice(queue.indexOf(run), 1);
          reject(signal.reason);
        });
        if (queue.push(run) === 1) queueMicrotask(() => void run());
      }),
  };
}

/** A `BroadcastChannel` that delivers within the turn, to all of its name but itself. */
class Air {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  constructor(
    readonly browser: Browser,
    readonly name: string,
  ) {
    browser.air.add(this);
  }

  postMessage(data: unknown): void {
    const copy: unknown = structuredClone(data);
    for (const other of this.browser.air) {
      if (other !== this && other.name === this.name) queueMicrotask(() => other.onmessage?.({ data: copy }));
    }
  }

  close(): void {
    this.browser.air.delete(this);
    this.onmessage = null;
  }
}

/** Tabs of one browser, and a server whose channels are empty, but for `a`. */
export class Tabs {
  readonly browser = new Browser();
  readonly worlds: World[] = [];
  /** The payloads of the log, by seq less one. */
  readonly log: unknown[] = [];
  readonly #answered = new WeakSet<object>();
  readonly #readers = new Set<FakeSocket>();

  constructor() {
    const { browser } = this;
    vi.stubGlobal('navigator', { locks: browser.locks });
    vi.stubGlobal(
      'BroadcastChannel',
      class extends Air {
        constructor(name: string) {
          super(browser, name);
        }
      },
    );
  }

  /** Opens a tab that reads `a`; gives it, and what it saw. */
  open(options: ChannelOptions = {}, client = `client-${this.worlds.length}`): { world: World; seen: unknown[]; gaps: string[] } {
    const world = new World(['ws'], { share: true, client });
    this.worlds.push(world);
    const seen: unknown[] = [];
    const gaps: string[] = [];
    const channel = world.rt.channel('a', options);
    channel.on('message', ({ data }: Message) => seen.push(data));
    channel.on('gap', ({ reason }) => gaps.push(reason));
    return { world, seen, gaps };
  }

  /** The connections that are open. */
  get sockets(): FakeSocket[] {
    return this.worlds.flatMap(({ sockets }) => sockets).filter(({ closed, readyState }) => !closed && readyState < 2);
  }

  /** The server and the tabs run until nothing is left to do. */
  async run(): Promise<void> {
    // A module that is loaded takes turns of its own.
    for (let quiet = 0; quiet < 5; quiet++) {
      for (const { clock } of this.worlds) await clock.advance(0);
      for (const socket of this.sockets) if (await this.#serve(socket)) quiet = 0;
      for (const { requests } of this.worlds) {
        for (const request of requests) {
          if (this.#answered.has(request) || request.aborted || request.endpoint !== 'poll') continue;
          this.#answered.add(request);
          quiet = 0;
          const events = request.body.channels!.flatMap(({ name, from = '' }) => (name === 'a' ? this.#after(from) : from ? [] : [subscribed(name, 0)]));
          await request.answer(200, { cursor: '', events });
        }
      }
    }
  }

  /** A message comes into the log; the connections get it, unless they are `deaf`. */
  async publish(data: unknown, isDeaf = false): Promise<void> {
    const seq = this.log.push(data);
    for (const socket of this.#readers) if (!socket.closed && !isDeaf) socket.push(message('a', seq, { data }));
    await this.run();
  }

  /** Time passes in all tabs, until those that missed something may ask again. */
  async wait(ms = 1000): Promise<void> {
    for (const { clock } of this.worlds) await clock.advance(ms);
    await this.run();
  }

  async #serve(socket: FakeSocket): Promise<boolean> {
    if (socket.readyState === 0) await socket.welcome();
    else if (!this.#readers.has(socket) && socket.count('subscribe') > 0) {
      this.#readers.add(socket);
      socket.push(subscribed('a', this.log.length));
    } else return false;
    return true;
  }

  /** As a poll that is not held. */
  #after(from: string): object[] {
    const head = this.log.length;
    if (from.startsWith('last:')) return [subscribed('a', Math.max(0, head - Number(from.slice(5)))), ...this.#messages(head - Number(from.slice(5)))];
    if (!from.includes('-')) return [subscribed('a', head)];
    const [epoch, seq] = from.split('-');
    if (epoch === EPOCH) return this.#messages(Number(seq));
    const gap = { type: 'gap', channel: 'a', position: `${EPOCH}-0`, head: `${EPOCH}-${head}`, reason: 'epoch' };
    return [gap, ...this.#messages(0)];
  }

  #messages(after: number): object[] {
    return this.log.map((data, at) => message('a', at + 1, { data })).slice(Math.max(0, after));
  }
}

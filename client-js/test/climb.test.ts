import { afterEach, describe, expect, test, vi } from 'vitest';
import { EPOCH, message, subscribed, welcome, World } from './fake-server.js';
import { settle } from './support.js';

afterEach(() => vi.unstubAllGlobals());

const FIRST_PROBE = 15_000;

/** On SSE, because the WebSocket was refused. */
async function onSse(...args: ConstructorParameters<typeof World>): Promise<World> {
  const world = new World(...args);
  world.rt.channel('a', { from: 'latest' });
  await settle();
  await world.socket.drop();
  await world.request('sse').stream(welcome({ heartbeat: 3600 }), subscribed('a', 4));
  return world;
}

describe('climbing back', () => {
  test('a better transport is probed without reading, and taken over at the cursor once it answers', async () => {
    const world = await onSse();
    await world.clock.advance(FIRST_PROBE);
    expect(world.sockets).toHaveLength(2);
    world.socket.open();
    expect(world.socket.count('subscribe')).toBe(0);
    const stream = world.request('sse');
    await stream.push(message('a', 5));
    expect(world.states).toEqual(['connecting', 'connected sse']);
    world.socket.push(welcome());
    expect([stream.aborted, world.states.pop()]).toEqual([true, 'connected ws']);
    expect(world.socket.last('subscribe').channels).toEqual([{ name: 'a', from: `${EPOCH}-5` }]);
    expect(world.sockets).toHaveLength(2);
  });

  test('what the old connection brings after the takeover counts for nothing', async () => {
    const world = await onSse();
    const seen: number[] = [];
    world.rt.channel('a').on('message', ({ seq }) => seen.push(seq));
    await world.clock.advance(FIRST_PROBE);
    const stream = world.request('sse');
    const late = stream.push(message('a', 5), { type: 'gap', channel: 'a', position: `${EPOCH}-1`, head: `${EPOCH}-5`, reason: 'unknown' });
    await world.socket.welcome();
    await late;
    const taken = [...seen];
    world.socket.push(subscribed('a', 4, { recovered: true }), message('a', 5), message('a', 6));
    expect([...new Set(seen)]).toEqual(seen);
    expect(seen.slice(-1)).toEqual([6]);
    expect(taken.length).toBeLessThan(2);
  });

  test('publishes under way move along, with their ids', async () => {
    const world = await onSse();
    const publish = world.rt.publish('a', 1, { id: 'mine' });
    await world.clock.advance(FIRST_PROBE - 5000);
    expect(world.to('send')).toHaveLength(1);
    await world.clock.advance(5000);
    await world.socket.welcome();
    expect(world.socket.last('publish')).toMatchObject({ id: 'mine' });
    world.socket.push({ type: 'published', ref: world.socket.last('publish').ref, channel: 'a', position: `${EPOCH}-5`, duplicate: true });
    expect(await publish).toMatchObject({ duplicate: true });
  });

  test('a probe that fails leaves the connection alone; the next ones come at growing intervals', async () => {
    const world = await onSse();
    let sockets = 1;
    for (const wait of [15_000, 30_000, 60_000, 120_000, 240_000, 480_000, 900_000, 900_000]) {
      await world.clock.advance(wait - 1);
      expect(world.sockets).toHaveLength(sockets);
      await world.clock.advance(1);
      expect(world.sockets).toHaveLength(++sockets);
      await world.socket.drop();
    }
    expect(world.states).toEqual(['connecting', 'connected sse']);
    expect(world.to('sse')).toHaveLength(1);
  });

  test('a probe that opens and stays mute ends with its patience', async () => {
    const world = await onSse();
    await world.clock.advance(FIRST_PROBE);
    world.socket.open();
    await world.clock.advance(5000);
    expect(world.socket.closed).toBe(true);
    expect(world.rt.state.transport).toBe('sse');
  });

  test('from polling, the better ones have their turn one after the other', async () => {
    const world = new World();
    world.rt.channel('a');
    await settle();
    await world.socket.drop();
    await world.request('sse').fail();
    await world.request('poll').answer(200, { cursor: '', events: [subscribed('a', 4)] });
    await world.clock.advance(15_000);
    await world.socket.drop();
    await world.request('poll').answer(200, { cursor: '', events: [message('a', 5)] });
    await world.clock.advance(20_000);
    await world.request('poll').answer(200, { cursor: '', events: [] });
    await world.clock.advance(10_000);
    expect([world.sockets.length, world.to('sse').length]).toEqual([2, 2]);
    await world.request('sse').stream(welcome(), subscribed('a', 4));
    // The probe reads nothing: it is asked anew from where polling has come.
    expect(world.to('sse')).toHaveLength(3);
    expect(world.request('sse').body.channels).toEqual([{ name: 'a', from: `${EPOCH}-5` }]);
    expect(world.states).toEqual(['connecting', 'connected poll', 'connected sse']);
  });

  test('coming online probes at once', async () => {
    const page = stubPage();
    const world = await onSse();
    page.fire('online');
    expect(world.sockets).toHaveLength(2);
  });

  test('another network probes at once, and a client that is closed listens no more', async () => {
    stubPage();
    const connection = new EventTarget();
    vi.stubGlobal('navigator', { connection });
    const world = await onSse();
    connection.dispatchEvent(new Event('change'));
    expect(world.sockets).toHaveLength(2);
    world.rt.close();
    connection.dispatchEvent(new Event('change'));
    expect(world.sockets).toHaveLength(2);
  });

  test('a POST that finds nobody makes it look at once, also where nothing is read', async () => {
    const world = new World();
    const publish = world.rt.publish('log', 1, { id: 'mine' });
    await world.request('send').fail();
    expect(world.sockets).toHaveLength(1);
    await world.socket.welcome();
    expect(world.socket.last('publish')).toMatchObject({ id: 'mine' });
    world.socket.push({ type: 'published', ref: world.socket.last('publish').ref, channel: 'log', position: `${EPOCH}-1`, duplicate: false });
    await publish;
  });
});

describe('a transport that does not last', () => {
  test('a WebSocket that opens and dies soon, three times in a row, is left for the next', async () => {
    const world = new World();
    world.rt.channel('a');
    await settle();
    for (let n = 0; n < 3; n++) {
      await world.socket.welcome();
      await world.clock.advance(400);
      await world.socket.drop();
      await world.clock.advance(n < 2 ? 1000 : 0);
    }
    await world.request('sse').stream(welcome());
    expect(world.rt.state.transport).toBe('sse');
    expect(world.sockets).toHaveLength(3);
  });

  test('long lives, and short ones between them, cost nothing', async () => {
    const world = new World();
    world.rt.channel('a');
    await settle();
    for (let n = 0; n < 9; n++) {
      await world.socket.welcome();
      await world.clock.advance(n % 3 === 2 ? 5000 : 400);
      await world.socket.drop();
      await world.clock.advance(1000);
    }
    expect([world.to('sse').length, world.sockets.length]).toEqual([0, 10]);
  });

  test('a server that says goodbye is not blamed, however soon', async () => {
    const world = new World();
    world.rt.channel('a');
    await settle();
    for (let n = 0; n < 5; n++) {
      await world.socket.welcome();
      world.socket.push({ type: 'bye', code: 'draining', reason: 'restart', reconnect: true, after: 100 });
      await world.clock.advance(1000);
    }
    expect(world.to('sse')).toHaveLength(0);
  });
});

describe('memory', () => {
  function stubStorage(): Map<string, string> {
    const items = new Map<string, string>();
    const storage = { getItem: (key: string) => items.get(key) ?? null, setItem: (key: string, value: string) => void items.set(key, value) };
    vi.stubGlobal('localStorage', storage);
    vi.stubGlobal('sessionStorage', storage);
    return items;
  }

  test('what worked is begun with on the next page, until that is an hour old', async () => {
    stubStorage();
    await onSse();
    const next = new World();
    next.rt.channel('a');
    await settle();
    expect([next.sockets.length, next.to('sse').length]).toEqual([0, 1]);
    const later = new World();
    await later.clock.advance(0);
    const old = { now: () => 1_000_000 + 3_600_001, timer: () => () => {} };
    const third = new World(['ws', 'sse'], { clock: old });
    third.rt.channel('a');
    await settle();
    expect(third.sockets).toHaveLength(1);
  });

  test('a position that is kept is where the next page goes on, whatever from says', async () => {
    stubStorage();
    const first = new World(['sse']);
    first.rt.channel('a', { resume: true, from: 'last:5' });
    await settle();
    await first.request('sse').stream(welcome(), subscribed('a', 4), message('a', 5));
    const next = new World(['sse']);
    next.rt.channel('a', { resume: true, from: 'last:5' });
    next.rt.channel('b', { resume: true, from: 'last:5' });
    await settle();
    expect(next.request('sse').body.channels).toEqual([{ name: 'a', from: `${EPOCH}-5` }, { name: 'b', from: 'last:5' }]);
  });

  test('a storage that is closed to us is none', async () => {
    vi.stubGlobal('localStorage', { getItem: () => { throw new Error('denied'); }, setItem: () => { throw new Error('denied'); } });
    const world = await onSse();
    expect(world.rt.state.transport).toBe('sse');
  });
});

describe('report', () => {
  test('tells what was tried, when, why it ended, and how long an answer takes', async () => {
    const world = new World();
    world.rt.channel('a');
    await settle();
    await world.clock.advance(30);
    await world.socket.drop();
    await world.clock.advance(20);
    await world.request('sse').stream(welcome(), subscribed('a', 4));
    await world.request('sse').push({ type: 'gap', channel: 'a', position: `${EPOCH}-9`, head: `${EPOCH}-9`, reason: 'expired' });
    const { attempts, ...rest } = world.rt.report();
    expect(rest).toEqual({ state: world.rt.state, gaps: 1, faults: 0 });
    expect(attempts).toEqual([
      { transport: 'ws', at: 1_000_000, ended: 30, reason: 'closed 1006' },
      { transport: 'sse', at: 1_000_030, proven: 20, roundTrip: 20 },
    ]);
  });

  test('keeps the newest twenty', async () => {
    const world = new World(['ws']);
    world.rt.channel('a');
    await settle();
    for (let n = 0; n < 30; n++) {
      await world.socket.drop();
      await world.clock.advance(30_000);
    }
    expect(world.rt.report().attempts).toHaveLength(20);
  });
});

interface Page {
  fire(name: string): void;
  listeners: Map<string, Set<(event: { type: string }) => void>>;
  document: { hidden: boolean };
}

/** A page whose events are the test's. */
function stubPage(): Page {
  const listeners: Page['listeners'] = new Map();
  const document = { hidden: false };
  vi.stubGlobal('document', document);
  vi.stubGlobal('addEventListener', (name: string, listener: never) => listeners.set(name, (listeners.get(name) ?? new Set()).add(listener)));
  vi.stubGlobal('removeEventListener', (name: string, listener: never) => listeners.get(name)?.delete(listener));
  return { listeners, document, fire: (name) => [...(listeners.get(name) ?? [])].forEach((listener) => listener({ type: name })) };
}

describe('the page', () => {
  async function onWs(): Promise<{ world: World; page: Page }> {
    const page = stubPage();
    const world = new World(['ws']);
    world.rt.channel('a');
    await settle();
    await world.socket.welcome();
    world.socket.push(subscribed('a', 4));
    return { world, page };
  }

  test.each([
    ['freeze', 'resume'],
    ['pagehide', 'pageshow'],
    ['offline', 'online'],
  ])('%s closes the connection, %s resumes at once', async (away, back) => {
    const { world, page } = await onWs();
    page.fire(away);
    expect([world.socket.closed, world.rt.state.status]).toEqual([true, 'waiting']);
    page.fire(back);
    expect(world.sockets).toHaveLength(2);
    world.socket.open();
    expect(world.socket.last('subscribe').channels).toEqual([{ name: 'a', from: `${EPOCH}-4` }]);
  });

  test('that nobody sees waits for its time, and goes at once when somebody looks', async () => {
    const { world, page } = await onWs();
    page.document.hidden = true;
    await world.socket.drop();
    expect(world.rt.state).toMatchObject({ status: 'waiting', retryAt: world.clock.now() + 15_000 });
    page.fire('online');
    expect(world.sockets).toHaveLength(1);
    page.document.hidden = false;
    page.fire('visibilitychange');
    expect(world.sockets).toHaveLength(2);
  });

  test('that is back does not hurry what the server asked to wait for', async () => {
    const { world, page } = await onWs();
    world.socket.push({ type: 'bye', code: 'draining', reason: 'restart', reconnect: true, after: 7000 });
    page.fire('online');
    expect(world.sockets).toHaveLength(1);
    await world.clock.advance(7000);
    expect(world.sockets).toHaveLength(2);
  });

  test('a machine that slept asks for a sign of life, and does not trust what stays silent', async () => {
    const { world } = await onWs();
    const pings = world.socket.count('ping');
    await world.clock.sleep(20_000);
    expect(world.socket.count('ping')).toBe(pings + 1);
    await world.clock.advance(5000);
    expect(world.rt.state.status).toBe('waiting');
  });

  test('listens only while there is something to keep', async () => {
    const { world, page } = await onWs();
    const count = (): number => [...page.listeners.values()].reduce((sum, set) => sum + set.size, 0);
    expect(count()).toBe(7);
    world.rt.channel('a').close();
    await settle();
    expect([count(), world.clock.pending]).toEqual([0, 0]);
    world.rt.channel('a');
    await settle();
    expect(count()).toBe(7);
    world.rt.close();
    await settle();
    expect([count(), world.clock.pending]).toEqual([0, 0]);
  });
});

import { describe, expect, test } from 'vitest';
import type { Options, TransportName } from '../src/index.js';
import { failed, message, subscribed, welcome, World } from './fake-server.js';
import { settle } from './support.js';

/** Gives t1, t2, … */
class Tokens {
  calls = 0;
  fails = false;
  /** While set, the next token is not there yet. */
  held: Promise<void> | null = null;
  readonly token = async (): Promise<string> => {
    const name = `t${++this.calls}`;
    if (this.fails) throw new Error('no session');
    await this.held;
    return name;
  };
}

async function reading(transports: readonly TransportName[], tokens = new Tokens(), options: Options = {}): Promise<{ world: World; tokens: Tokens }> {
  const world = new World(transports, { token: tokens.token, ...options });
  world.rt.channel('a');
  await settle();
  return { world, tokens };
}

const expiring = { expires_in: 100 };

describe('a token', () => {
  test('opens a WebSocket as its first command, never in the address', async () => {
    const { world } = await reading(['ws']);
    world.socket.open();
    expect(world.socket.sent[0]).toMatchObject({ type: 'hello', token: 't1' });
    expect([world.socket.url, ...world.socket.protocols].join()).not.toContain('t1');
  });

  test.each(['sse', 'poll'] as const)('%s: goes in a header, with sends too', async (name) => {
    const { world } = await reading([name]);
    expect(world.request(name).headers.get('authorization')).toBe('Bearer t1');
    if (name === 'sse') await world.request(name).stream(welcome(), subscribed('a', 0));
    else await world.request(name).answer(200, { cursor: '', events: [subscribed('a', 0)] });
    void world.rt.publish('a', 1);
    await settle();
    expect(world.request('send').headers.get('authorization')).toBe('Bearer t1');
  });

  test('is asked for once, whoever needs it meanwhile', async () => {
    const tokens = new Tokens();
    let release = (): void => {};
    tokens.held = new Promise((resolve) => (release = resolve));
    const { world } = await reading(['sse'], tokens);
    void world.rt.publish('b', 1);
    await world.clock.advance(60_000);
    expect([world.requests.length, tokens.calls]).toEqual([0, 1]);
    release();
    await settle();
    expect([world.requests.length, tokens.calls]).toEqual([1, 1]);
  });

  test('that is empty is no token', async () => {
    const world = new World(['sse'], { token: () => '' });
    world.rt.channel('a');
    await settle();
    expect(world.request('sse').headers.has('authorization')).toBe(false);
  });

  test('is refreshed ahead of its end on the living WebSocket', async () => {
    const { world, tokens } = await reading(['ws']);
    world.socket.open();
    world.socket.push(welcome({ ...expiring, ref: 'auth', heartbeat: 900 }));
    world.socket.push(subscribed('a', 0));
    await world.clock.advance(74_000);
    expect(tokens.calls).toBe(1);
    await world.clock.advance(1000);
    expect([tokens.calls, world.socket.last('hello').token, world.sockets.length]).toEqual([2, 't2', 1]);
    world.socket.push(welcome({ ...expiring, ref: 'auth' }));
    world.socket.push(message('a', 1));
    expect(world.rt.channel('a').position).toMatch(/-1$/);
  });

  test.each(['sse', 'poll'] as const)('%s: is refreshed ahead of its end by another request', async (name) => {
    const { world, tokens } = await reading([name]);
    if (name === 'sse') await world.request(name).stream(welcome({ ...expiring, heartbeat: 900 }), subscribed('a', 0));
    else await world.request(name).answer(200, { cursor: '', events: [subscribed('a', 0)], ...expiring });
    for (let n = 0; n < 3; n++) {
      await world.clock.advance(25_000);
      if (name === 'poll' && n < 2) await world.request(name).answer(200, { cursor: '', events: [] });
    }
    expect([tokens.calls, world.request(name).headers.get('authorization')]).toEqual([2, 'Bearer t2']);
    expect(world.rt.state.status).toBe('connected');
  });

  test('that could not be refreshed is tried again, while the old one lives', async () => {
    const { world, tokens } = await reading(['ws']);
    world.socket.open();
    world.socket.push(welcome({ ...expiring, ref: 'auth', heartbeat: 900 }));
    tokens.fails = true;
    await world.clock.advance(80_000);
    expect([tokens.calls, world.rt.state.status]).toEqual([3, 'connected']);
    tokens.fails = false;
    await world.clock.advance(5000);
    expect(world.socket.last('hello').token).toBe('t4');
  });

  test('that the application cannot give is waited for', async () => {
    const tokens = new Tokens();
    tokens.fails = true;
    const { world } = await reading(['ws', 'sse'], tokens);
    expect(world.rt.state).toMatchObject({ status: 'waiting', error: { code: 'token', message: 'Error: no session' } });
    tokens.fails = false;
    await world.clock.advance(250);
    expect(world.sockets).toHaveLength(1);
  });

  test('that came to its end costs a reconnect with another one', async () => {
    const { world, tokens } = await reading(['ws']);
    world.socket.open();
    world.socket.push(welcome({ ref: 'auth' }));
    world.socket.push({ type: 'bye', code: 'token_expired', reason: 'expired', reconnect: true });
    await world.clock.advance(250);
    expect([tokens.calls, world.sockets.length]).toEqual([2, 2]);
  });

  test('that a send was refused for is replaced, and the publish goes through', async () => {
    const { world, tokens } = await reading(['sse']);
    await world.request('sse').stream(welcome(), subscribed('a', 0));
    const publish = world.rt.publish('a', 1);
    await settle();
    await world.request('send').answer(401, failed('token_expired'));
    expect([tokens.calls, world.request('send').headers.get('authorization')]).toEqual([2, 'Bearer t2']);
    await world.request('send').published(1);
    expect(await publish).toMatchObject({ duplicate: false });
  });
});

describe('a refused token', () => {
  const closed = { status: 'closed', transport: null, error: { code: 'unauthorized' } };

  test('ws: the second refusal in a row stops it, with a clear state', async () => {
    const { world, tokens } = await reading(['ws', 'sse']);
    for (const wait of [250, 600_000]) {
      world.socket.open();
      world.socket.push({ type: 'bye', code: 'unauthorized', reason: 'bad signature', reconnect: true });
      await world.clock.advance(wait);
    }
    expect(world.rt.state).toMatchObject(closed);
    expect([tokens.calls, world.sockets.length, world.requests.length]).toEqual([2, 2, 0]);
    await expect(world.rt.publish('a', 1)).rejects.toMatchObject({ code: 'unauthorized' });
  });

  test.each(['sse', 'poll'] as const)('%s: the second refusal in a row stops it', async (name) => {
    const { world, tokens } = await reading([name]);
    await world.request(name).answer(401, failed('unauthorized'));
    await world.request(name).answer(401, failed('unauthorized'));
    expect(world.rt.state).toMatchObject(closed);
    await world.clock.advance(600_000);
    expect([tokens.calls, world.requests.length]).toEqual([2, 2]);
  });

  test('a refresh that is refused on a living WebSocket stops it as well', async () => {
    const { world } = await reading(['ws']);
    world.socket.open();
    world.socket.push(welcome({ ...expiring, ref: 'auth', heartbeat: 900 }));
    await world.clock.advance(75_000);
    world.socket.push(failed('unauthorized', { ref: 'auth' }));
    await world.clock.advance(250);
    world.socket.open();
    world.socket.push(failed('unauthorized', { ref: 'auth' }));
    expect(world.rt.state).toMatchObject(closed);
  });
});

describe('closing', () => {
  test('forgets the token and the subscriptions', async () => {
    const { world, tokens } = await reading(['ws']);
    world.socket.open();
    world.socket.push(welcome({ ...expiring, ref: 'auth' }));
    world.rt.close();
    await world.clock.advance(600_000);
    expect([tokens.calls, world.clock.pending, world.sockets.length]).toEqual([1, 0, 1]);
    expect(() => world.rt.channel('a')).toThrow(expect.objectContaining({ code: 'closed' }));
  });

  test('while a token is awaited opens nothing when it comes', async () => {
    const tokens = new Tokens();
    let release = (): void => {};
    tokens.held = new Promise((resolve) => (release = resolve));
    const { world } = await reading(['ws'], tokens);
    world.rt.close();
    release();
    await settle();
    expect([world.sockets.length, world.rt.state.status]).toEqual([0, 'closed']);
  });

  test('is done by the signal of the client, and of a channel', async () => {
    const [client, one] = [new AbortController(), new AbortController()];
    const world = new World(['ws'], { signal: client.signal });
    world.rt.channel('a', { signal: one.signal });
    await settle();
    one.abort();
    await settle();
    expect(world.rt.state.status).toBe('idle');
    client.abort();
    expect(world.rt.state).toMatchObject({ status: 'closed', error: { code: 'closed' } });
    const aborted = new World(['ws'], { signal: AbortSignal.abort() });
    expect(aborted.rt.state.status).toBe('closed');
  });
});

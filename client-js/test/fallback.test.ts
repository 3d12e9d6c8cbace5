import { describe, expect, test } from 'vitest';
import { failed, message, subscribed, welcome, World } from './fake-server.js';
import { settle } from './support.js';

const PATIENCE = 5000;

async function reading(...args: ConstructorParameters<typeof World>): Promise<World> {
  const world = new World(...args);
  world.rt.channel('a', { from: 'latest' });
  await settle();
  return world;
}

describe('which transport is used', () => {
  test('without channels nothing is opened', async () => {
    const world = new World();
    await world.clock.advance(60_000);
    expect(world.rt.state).toEqual({ status: 'idle', transport: null });
    expect([world.sockets.length, world.requests.length]).toEqual([0, 0]);
  });

  test('a WebSocket counts once welcome arrived, not once it is open', async () => {
    const world = await reading();
    world.socket.open();
    expect(world.rt.state.status).toBe('connecting');
    world.socket.push(welcome());
    expect(world.states).toEqual(['connecting', 'connected ws']);
  });

  test('an upgrade that is refused leads to SSE at once', async () => {
    const world = await reading();
    await world.socket.drop();
    await world.request('sse').stream(welcome());
    expect(world.states).toEqual(['connecting', 'connected sse']);
  });

  test('a WebSocket that opens and stays mute is left when its patience is over', async () => {
    const world = await reading();
    world.socket.open();
    await world.clock.advance(PATIENCE - 1);
    expect(world.to('sse')).toHaveLength(0);
    await world.clock.advance(1);
    expect(world.to('sse')).toHaveLength(1);
    expect(world.socket.closed).toBe(true);
  });

  test('an SSE stream that a proxy buffers is left for polling: comments and headers prove nothing', async () => {
    const world = await reading(['sse', 'poll']);
    await world.request('sse').stream();
    await world.clock.advance(PATIENCE - 1);
    await world.request('sse').raw(new TextEncoder().encode('retry: 2000\n\n:\n\n'));
    await world.clock.advance(1);
    expect(world.request('sse').aborted).toBe(true);
    await world.request('poll').answer(200, { cursor: '', events: [subscribed('a', 0)] });
    expect(world.states).toEqual(['connecting', 'connected poll']);
  });

  test.each([
    ['an error page', 403, '<h1>Forbidden</h1>', {}],
    ['a page with status 200', 200, '<h1>Log in</h1>', { 'content-type': 'text/html' }],
  ])('%s in place of the stream is a proxy\'s, not the server\'s', async (_, status, body, headers) => {
    const world = await reading(['sse', 'poll']);
    await world.request('sse').answer(status, body, headers);
    expect(world.to('poll')).toHaveLength(1);
  });

  test('a missing WebSocket is skipped and is no error', async () => {
    const world = await reading(['ws', 'sse'], { WebSocket: null });
    await world.request('sse').stream(welcome());
    expect(world.states).toEqual(['connecting', 'connected sse']);
    const without = await reading(['ws'], { WebSocket: null });
    expect(without.rt.state).toMatchObject({ status: 'waiting', error: { code: 'unreachable' } });
  });

  test('everything down blames nobody: each round tries all, best first, with growing waits and patience', async () => {
    const world = await reading();
    for (const wait of [250, 500, 1000]) {
      await world.socket.drop();
      await world.request('sse').fail();
      await world.request('poll').fail();
      expect(world.rt.state).toMatchObject({ status: 'waiting', retryAt: world.clock.now() + wait });
      const tries = world.sockets.length;
      await world.clock.advance(wait - 1);
      expect(world.sockets).toHaveLength(tries);
      await world.clock.advance(1);
      expect(world.sockets).toHaveLength(tries + 1);
    }
    await world.clock.advance(8 * PATIENCE - 10_001);
    expect(world.to('sse')).toHaveLength(3);
    await world.clock.advance(1);
    expect(world.to('sse')).toHaveLength(4);
  });

  test('a reconnect begins with what worked, then tries the others, best first', async () => {
    const world = await reading();
    await world.socket.drop();
    await world.request('sse').stream(welcome());
    await world.request('sse').end();
    await world.clock.advance(250);
    expect([world.sockets.length, world.to('sse').length]).toEqual([1, 2]);
    await world.request('sse').fail();
    expect(world.sockets).toHaveLength(2);
    await world.socket.welcome();
    expect(world.rt.state.transport).toBe('ws');
  });

  test('setTransports forces another transport, which goes on at the position', async () => {
    const world = await reading();
    await world.socket.welcome();
    world.socket.push(subscribed('a', 4), message('a', 5));
    world.rt.setTransports(['poll']);
    expect(world.socket.closed).toBe(true);
    expect(world.request('poll').body.channels).toEqual([{ name: 'a', from: '0a1b2c3d4e5f-5' }]);
    await world.request('poll').answer(200, { cursor: '', events: [] });
    expect(world.states).toEqual(['connecting', 'connected ws', 'connecting', 'connected poll']);
    world.rt.setTransports(['poll', 'ws']);
    expect(world.rt.state.transport).toBe('poll');
    world.rt.setTransports(['ws', 'sse', 'poll']);
    expect(world.sockets).toHaveLength(2);
  });

  test('a client that went idle in the middle of a round begins with the best again', async () => {
    const world = await reading();
    await world.socket.drop();
    expect(world.to('sse')).toHaveLength(1);
    world.rt.channel('a').close();
    await settle();
    world.rt.channel('a');
    await settle();
    expect([world.sockets.length, world.to('sse').length]).toEqual([2, 1]);
  });

  test('setTransports does not wait for a backoff that runs', async () => {
    const world = await reading(['ws']);
    await world.socket.drop();
    world.rt.setTransports(['sse']);
    expect(world.to('sse')).toHaveLength(1);
    await world.clock.advance(1000);
    expect(world.sockets).toHaveLength(1);
  });
});

describe('waiting and ending', () => {
  test('the backoff resets on welcome only, not on open', async () => {
    const world = await reading(['ws']);
    const waits: number[] = [];
    const drop = async (): Promise<void> => {
      await world.socket.drop();
      waits.push((world.rt.state.retryAt ?? 0) - world.clock.now());
      await world.clock.advance(waits[waits.length - 1] ?? 0);
    };
    await drop();
    world.socket.open();
    await drop();
    world.socket.open();
    await drop();
    await world.socket.welcome();
    await drop();
    expect(waits).toEqual([250, 500, 1000, 250]);
  });

  test('bye.after is waited for, and blames no transport', async () => {
    const world = await reading();
    await world.socket.welcome();
    world.socket.push({ type: 'bye', code: 'draining', reason: 'restart', reconnect: true, after: 7000 });
    expect(world.rt.state).toMatchObject({
      status: 'waiting',
      retryAt: world.clock.now() + 7000,
      error: { code: 'draining', message: 'restart', retryAfter: 7000 },
    });
    await world.clock.advance(6999);
    expect(world.sockets).toHaveLength(1);
    await world.clock.advance(1);
    expect(world.sockets).toHaveLength(2);
    expect(world.to('sse')).toHaveLength(0);
  });

  test('a bye before welcome is the server\'s answer and not the transport\'s failure', async () => {
    const world = await reading();
    world.socket.open();
    world.socket.push({ type: 'bye', code: 'unavailable', reason: 'overload', reconnect: true });
    expect(world.rt.state.status).toBe('waiting');
    expect(world.to('sse')).toHaveLength(0);
  });

  test.each(['sse', 'poll'] as const)('Retry-After of %s is waited for', async (name) => {
    const world = await reading([name]);
    await world.request(name).answer(503, failed('unavailable'), { 'retry-after': '9' });
    expect(world.rt.state).toMatchObject({ status: 'waiting', retryAt: world.clock.now() + 9000, error: { code: 'unavailable' } });
  });

  test.each(['one chunk', 'two chunks'])('a bye to a stream whose last channel was unsubscribed makes it idle: in %s', async (chunks) => {
    const world = await reading(['sse']);
    const last = { type: 'unsubscribed', channel: 'a', code: 'forbidden' };
    const bye = { type: 'bye', code: 'forbidden', reason: 'no channel is left', reconnect: false };
    await world.request('sse').stream(welcome(), subscribed('a', 0), last, ...(chunks === 'one chunk' ? [bye] : []));
    if (chunks === 'two chunks') await world.request('sse').push(bye);
    expect(world.rt.state.status).toBe('idle');
    world.rt.channel('b');
    await settle();
    expect(world.request('sse').body.channels).toEqual([{ name: 'b' }]);
  });

  test('such a bye does not reach a channel that was opened in its place', async () => {
    const world = await reading(['sse']);
    world.rt.channel('a').on('unsubscribed', () => world.rt.channel('b'));
    const last = { type: 'unsubscribed', channel: 'a', code: 'forbidden' };
    const bye = { type: 'bye', code: 'forbidden', reason: 'no channel is left', reconnect: false };
    await world.request('sse').stream(welcome(), subscribed('a', 0), last, bye);
    expect(world.rt.state.status).toBe('connected');
    expect(world.request('sse').body.channels).toEqual([{ name: 'b' }]);
  });

  test('a stranger\'s Retry-After is obeyed up to half a minute', async () => {
    const world = await reading(['sse']);
    for (const [header, wait] of [['20', 20_000], ['86400', 30_000]] as const) {
      await world.request('sse').answer(503, '<h1>Maintenance</h1>', { 'retry-after': header });
      expect(world.rt.state).toMatchObject({ status: 'waiting', retryAt: world.clock.now() + wait });
      await world.clock.advance(wait);
    }
    await world.request('sse').answer(503, failed('unavailable'), { 'retry-after': '86400' });
    expect(world.rt.state.retryAt).toBe(world.clock.now() + 86_400_000);
  });

  test('a bye that wants no reconnect closes for good, with its error', async () => {
    const world = await reading();
    const channel = world.rt.channel('a');
    await world.socket.welcome();
    const publish = channel.publish(1);
    world.socket.push({ type: 'bye', code: 'bad_request', reason: 'no', reconnect: false });
    expect(world.rt.state).toMatchObject({ status: 'closed', error: { code: 'bad_request' } });
    await expect(publish).rejects.toMatchObject({ code: 'bad_request' });
    await world.clock.advance(600_000);
    expect(world.sockets).toHaveLength(1);
    expect(() => world.rt.channel('b')).toThrow(expect.objectContaining({ code: 'bad_request' }));
  });

  test('close ends everything, and leaves no timer and no socket', async () => {
    const world = await reading();
    const channel = world.rt.channel('a');
    await world.socket.welcome();
    const publish = channel.publish(1);
    world.rt.close();
    await expect(publish).rejects.toMatchObject({ code: 'closed' });
    await expect(channel.publish(2)).rejects.toMatchObject({ code: 'closed' });
    await settle();
    expect(world.rt.state).toMatchObject({ status: 'closed', transport: null, error: { code: 'closed' } });
    expect(world.socket.closed).toBe(true);
    expect(world.clock.pending).toBe(0);
  });

  test('the last channel that closes makes it idle, the next one connects again', async () => {
    const world = await reading();
    await world.socket.welcome();
    world.rt.channel('a').close();
    await settle();
    expect(world.states).toEqual(['connecting', 'connected ws', 'idle']);
    world.rt.channel('b');
    await settle();
    expect(world.sockets).toHaveLength(2);
  });

  test.each(['connecting', 'connected', 'waiting'] as const)('a handler of the state may close the client when %s', async (at) => {
    const world = new World(['ws']);
    world.rt.on('state', ({ status }) => status === at && world.rt.close());
    world.rt.channel('a');
    await settle();
    if (at !== 'connecting') await world.socket.welcome();
    if (at === 'waiting') await world.socket.drop();
    expect(world.rt.state.status).toBe('closed');
    expect(world.sockets).toHaveLength(at === 'connecting' ? 0 : 1);
    expect(world.clock.pending).toBe(0);
  });

  test('a request that fails for now, also because of one channel, waits and asks for all again', async () => {
    const world = await reading(['sse']);
    await world.request('sse').answer(503, failed('unavailable', { channel: 'a', retry_after: 2 }));
    expect(world.rt.state).toMatchObject({ status: 'waiting', retryAt: world.clock.now() + 2000 });
    await world.clock.advance(2000);
    expect(world.request('sse').body.channels).toEqual([{ name: 'a', from: 'latest' }]);
  });
});

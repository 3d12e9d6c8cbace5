import { describe, expect, test } from 'vitest';
import { EPOCH, failed, listen, message, subscribed, welcome, World, type Log } from './fake-server.js';
import { settle } from './support.js';

const gap = { type: 'gap', channel: 'a', position: `${EPOCH}-9`, head: `${EPOCH}-9`, reason: 'expired' };

describe('every transport', () => {
  test('hands out the payload, parsed or as bytes, and moves the position before the handler runs', async () => {
    const world = new World(['ws']);
    const { channel } = listen(world, 'a');
    const got: unknown[] = [];
    channel.on('message', ({ data, position, id }) => got.push([data, position, channel.position, id]));
    await settle();
    await world.socket.welcome();
    world.socket.push(subscribed('a', 0), message('a', 1, { data: null, id: 'x' }));
    world.socket.push(message('a', 2, { data: undefined, data64: 'AAH/' }));
    expect(got).toEqual([
      [null, `${EPOCH}-1`, `${EPOCH}-1`, 'x'],
      [new Uint8Array([0, 1, 255]), `${EPOCH}-2`, `${EPOCH}-2`, undefined],
    ]);
  });

  test('goes on where the last one stopped: ws, sse, poll, ws', async () => {
    const world = new World();
    const { seen } = listen(world, 'a', 'last:50');
    await settle();
    world.socket.open();
    expect(world.socket.last('subscribe').channels).toEqual([{ name: 'a', from: 'last:50' }]);
    world.socket.push(welcome(), subscribed('a', 0), message('a', 1), message('a', 2));
    await world.socket.drop();
    await world.clock.advance(250);
    await world.socket.drop();
    expect(world.request('sse').body).toEqual({ client: 'client-1', channels: [{ name: 'a', from: `${EPOCH}-2` }] });
    await world.request('sse').stream(welcome(), subscribed('a', 2, { recovered: true }), message('a', 2), message('a', 3));
    await world.request('sse').end();
    // Two short lives in a row make the wait longer.
    await world.clock.advance(500);
    await world.request('sse').fail();
    await world.socket.drop();
    expect(world.request('poll').body).toEqual({ client: 'client-1', channels: [{ name: 'a', from: `${EPOCH}-3` }], wait: 0 });
    await world.request('poll').answer(200, { cursor: `${EPOCH}-4`, events: [message('a', 3), message('a', 4)] });
    world.rt.setTransports(['ws']);
    world.socket.open();
    expect(world.socket.last('subscribe').channels).toEqual([{ name: 'a', from: `${EPOCH}-4` }]);
    world.socket.push(welcome(), subscribed('a', 4, { recovered: true }), message('a', 5));
    expect(seen.filter((what) => !what.startsWith('from'))).toEqual(['1', '2', '3', '4', '5']);
    expect(world.rt.report().faults).toBe(0);
  });

  test('tells gaps, also backwards, and goes on behind them', async () => {
    const world = new World(['ws']);
    const { channel, seen } = listen(world, 'a');
    await settle();
    await world.socket.welcome();
    world.socket.push(subscribed('a', 20), gap, message('a', 10));
    expect(seen).toEqual([`from ${EPOCH}-20`, `gap ${EPOCH}-9 expired`, '10']);
    expect(channel.position).toBe(`${EPOCH}-10`);
  });

  test.each(['ws', 'sse', 'poll'] as const)('%s: an unsubscribed by the server ends that channel alone, for good', async (name) => {
    const world = new World([name]);
    const a = listen(world, 'a');
    const b = listen(world, 'b');
    await settle();
    const events = [subscribed('a', 0), subscribed('b', 0), { type: 'unsubscribed', channel: 'a', code: 'forbidden' }];
    if (name === 'ws') {
      await world.socket.welcome();
      world.socket.push(...events);
    } else if (name === 'sse') await world.request('sse').stream(welcome(), ...events);
    else await world.request('poll').answer(200, { cursor: '', events });
    await settle();
    expect(a.seen).toEqual([`from ${EPOCH}-0`, 'left forbidden']);
    expect(b.seen).toEqual([`from ${EPOCH}-0`]);
    if (name === 'ws') expect(world.socket.count('unsubscribe') + world.socket.count('subscribe')).toBe(1);
    else expect(world.request(name).body.channels).toEqual([{ name: 'b', from: `${EPOCH}-0` }]);
    expect(world.rt.channel('a')).not.toBe(a.channel);
  });

  test('another channel in the same turn makes one that left and came back no newer later', async () => {
    const world = new World(['ws']);
    world.rt.channel('a');
    await settle();
    await world.socket.welcome();
    world.rt.channel('a').close();
    world.rt.channel('a');
    await settle();
    world.rt.channel('b');
    await settle();
    expect(world.socket.sent.map(({ type }) => type)).toEqual(['ping', 'subscribe', 'unsubscribe', 'subscribe', 'subscribe']);
    expect(world.socket.last('subscribe').channels).toEqual([{ name: 'b' }]);
  });

  test.each(['sse', 'poll'] as const)('%s: a channel that is refused leaves, the others are asked for again', async (name) => {
    const world = new World([name]);
    const a = listen(world, 'a');
    const b = listen(world, 'b');
    await settle();
    await world.request(name).answer(404, failed('unknown_channel', { channel: 'a' }));
    expect(a.seen).toEqual(['error unknown_channel', 'left unknown_channel']);
    expect(b.seen).toEqual([]);
    expect(world.to(name)).toHaveLength(2);
    expect(world.request(name).body.channels).toEqual([{ name: 'b' }]);
    expect(world.rt.state.status).toBe('connecting');
  });

  test.each(['sse', 'poll'] as const)('%s: a missing message makes it ask again from its position', async (name) => {
    const world = new World([name]);
    const { channel, seen } = listen(world, 'a');
    await settle();
    const events = [subscribed('a', 0), message('a', 1), message('a', 3), message('a', 4)];
    if (name === 'sse') await world.request('sse').stream(welcome(), ...events);
    else await world.request('poll').answer(200, { cursor: `${EPOCH}-4`, events });
    expect(world.to(name)).toHaveLength(1);
    await world.clock.advance(250);
    expect(world.to(name)).toHaveLength(2);
    expect(world.request(name).body.channels).toEqual([{ name: 'a', from: `${EPOCH}-1` }]);
    expect(seen.slice(1)).toEqual(['1']);
    expect([world.rt.report().faults, channel.position]).toEqual([1, `${EPOCH}-1`]);
  });

  test('each message that goes missing is asked for on the living connection', async () => {
    const world = new World(['ws']);
    const { seen } = listen(world, 'a');
    await settle();
    await world.socket.welcome();
    world.socket.push(subscribed('a', 0), message('a', 2));
    for (const seq of [1, 2]) {
      await world.clock.advance(250);
      world.socket.push(subscribed('a', seq - 1, { recovered: true }), message('a', seq), message('a', seq + 2));
    }
    expect(seen.filter((what) => !what.startsWith('from'))).toEqual(['1', '2']);
    expect([world.rt.report().faults, world.rt.state.status]).toEqual([3, 'connected']);
  });

  test.each(['sse', 'poll'] as const)('%s: the rest of a batch does not touch what a handler chose meanwhile', async (name) => {
    const world = new World([name]);
    const { channel } = listen(world, 'a');
    channel.on('message', () => world.rt.setTransports(['ws']));
    await settle();
    const bye = { type: 'bye', code: 'draining', reason: 'restart', reconnect: true };
    const events = [subscribed('a', 0), message('a', 1), bye];
    if (name === 'sse') await world.request('sse').stream(welcome(), ...events);
    else await world.request('poll').answer(200, { cursor: '', events });
    expect(world.rt.state.status).toBe('connecting');
    expect(world.socket.closed).toBe(false);
  });

  test('what a stream brings after another transport was chosen counts for nothing', async () => {
    const world = new World(['sse']);
    listen(world, 'a');
    await settle();
    const stream = world.request('sse');
    await stream.stream(welcome(), subscribed('a', 0));
    const late = stream.push({ type: 'bye', code: 'draining', reason: 'restart', reconnect: true });
    world.rt.setTransports(['poll']);
    await late;
    expect(world.rt.state.status).toBe('connecting');
    expect(world.request('poll').aborted).toBe(false);
  });
});

describe('WebSocket', () => {
  async function connected(): Promise<World & Log> {
    const world = new World(['ws']);
    const log = listen(world, 'a');
    await settle();
    await world.socket.welcome();
    world.socket.push(subscribed('a', 0));
    log.seen.length = 0;
    return Object.assign(world, log);
  }

  test('offers the subprotocol and names the client', async () => {
    const { socket } = await connected();
    expect([socket.url, socket.protocols]).toEqual(['ws://server.test/rt/ws?client=client-1', ['tricast.v1']]);
  });

  test('channels come and go on the living connection, those of one turn in one command', async () => {
    const world = await connected();
    listen(world, 'b', 'last:50');
    listen(world, 'c');
    await settle();
    expect(world.socket.last('subscribe').channels).toEqual([{ name: 'b', from: 'last:50' }, { name: 'c' }]);
    world.channel.close();
    await settle();
    expect(world.socket.last('unsubscribe').channel).toBe('a');
    expect([world.socket.count('subscribe'), world.socket.count('unsubscribe'), world.sockets.length]).toEqual([2, 1, 1]);
  });

  test('a name that was closed and opened again takes only the answer to its newest subscribe', async () => {
    const world = await connected();
    listen(world, 'b');
    await settle();
    world.channel.close();
    await settle();
    world.rt.channel('a');
    await settle();
    const old = world.socket.last('subscribe').ref;
    world.rt.channel('a').close();
    await settle();
    const again = listen(world, 'a', 'last:50');
    await settle();
    const { ref: left } = world.socket.last('unsubscribe');
    const { ref } = world.socket.last('subscribe');
    world.socket.push(message('a', 1), subscribed('a', 1, { ref: old }), { type: 'unsubscribed', channel: 'a', ref: left });
    expect(again.seen).toEqual([]);
    world.socket.push(subscribed('a', 0, { ref }), message('a', 1));
    expect(again.seen).toEqual([`from ${EPOCH}-0`, '1']);
  });

  test.each(['ws', 'sse'] as const)('%s: a channel that closes and comes back in one turn is asked for anew', async (name) => {
    const world = new World([name]);
    listen(world, 'a');
    await settle();
    if (name === 'ws') await world.socket.welcome();
    else await world.request('sse').stream(welcome());
    world.rt.channel('a').close();
    const again = listen(world, 'a', 'last:50');
    await settle();
    const asked = { channels: [{ name: 'a', from: 'last:50' }] };
    if (name === 'ws') expect(world.socket.sent.slice(-2)).toMatchObject([{ type: 'unsubscribe', channel: 'a' }, asked]);
    else expect(world.request('sse').body).toMatchObject(asked);
    if (name === 'ws') world.socket.push(subscribed('a', 0), message('a', 1));
    else await world.request('sse').stream(welcome(), subscribed('a', 0), message('a', 1));
    expect(again.seen).toEqual([`from ${EPOCH}-0`, '1']);
  });

  test('a missing message makes it unsubscribe and subscribe, and what is under way does not count', async () => {
    const world = await connected();
    world.socket.push(message('a', 1), message('a', 3), message('a', 4));
    await world.clock.advance(250);
    expect(world.socket.sent.slice(-2)).toMatchObject([
      { type: 'unsubscribe', channel: 'a' },
      { type: 'subscribe', channels: [{ name: 'a', from: `${EPOCH}-1` }] },
    ]);
    const { ref } = world.socket.last('subscribe');
    world.socket.push({ type: 'unsubscribed', channel: 'a', ref: world.socket.last('unsubscribe').ref });
    world.socket.push(subscribed('a', 1, { ref, recovered: true }), message('a', 2), message('a', 3), message('a', 4));
    expect(world.seen).toEqual(['1', `from ${EPOCH}-1`, '2', '3', '4']);
    expect(world.rt.report().faults).toBe(1);
  });

  test('a refused channel leaves, and the others stay', async () => {
    const world = await connected();
    const b = listen(world, 'b');
    await settle();
    world.socket.push(failed('forbidden', { channel: 'b', ref: world.socket.last('subscribe').ref }), message('a', 1));
    await settle();
    expect(b.seen).toEqual(['error forbidden', 'left forbidden']);
    expect(world.seen).toEqual(['1']);
    await world.clock.advance(10_000);
    expect(world.socket.count('subscribe')).toBe(2);
  });

  test('an error about a command that asked for something else refuses no channel', async () => {
    const world = await connected();
    world.socket.push(failed('bad_request', { channel: 'a', ref: 'u9' }), failed('bad_request'), message('a', 1));
    expect(world.seen).toEqual(['1']);
  });

  test('closing while a subscription waits for its next try leaves no timer', async () => {
    const world = await connected();
    world.socket.push(failed('unavailable', { channel: 'a' }));
    world.rt.close();
    await settle();
    expect(world.clock.pending).toBe(0);
  });

  test('an error that names no channel costs the newest of those that its command asked for; the others are asked for again', async () => {
    const world = await connected();
    const b = listen(world, 'b');
    const c = listen(world, 'c');
    await settle();
    world.socket.push(failed('bad_request', { ref: world.socket.last('subscribe').ref }));
    expect([b.seen, c.seen]).toEqual([[], ['error bad_request', 'left bad_request']]);
    expect(world.socket.last('subscribe').channels).toEqual([{ name: 'b' }]);
    expect(world.rt.state.status).toBe('connected');
  });

  test('answers pings, sends its own, and reconnects after two silent heartbeats', async () => {
    const world = await connected();
    world.socket.push({ type: 'ping' });
    expect(world.socket.count('pong')).toBe(1);
    // The first one is sent at once, the second when the patience would be over, then one each heartbeat.
    await world.clock.advance(30_000);
    expect(world.socket.count('ping')).toBe(3);
    // Just after a ping: the silence counts from here, not from the next ping.
    await world.clock.advance(1);
    world.socket.push({ type: 'pong' });
    await world.clock.advance(49_999);
    expect(world.rt.state.status).toBe('connected');
    await world.clock.advance(1);
    expect([world.rt.state.status, world.socket.closed]).toEqual(['waiting', true]);
  });

  test.each([
    ['only receives', (world: World) => world.socket.push({ type: 'novelty' })],
    ['only sends', (world: World) => void world.rt.publish('a', 1)],
  ])('a side that %s for a heartbeat pings', async (_, act) => {
    const world = await connected();
    await world.clock.advance(5000);
    world.socket.push({ type: 'pong' });
    for (let second = 0; second < 25; second++) {
      await world.clock.advance(1000);
      act(world);
    }
    expect(world.socket.count('ping')).toBe(3);
    world.socket.push({ type: 'pong' });
    await world.clock.advance(25_000);
    expect(world.socket.count('ping')).toBe(4);
  });

  test('frames before the welcome give it no more time', async () => {
    const world = new World(['ws']);
    listen(world, 'a');
    await settle();
    world.socket.open();
    await world.clock.advance(4999);
    world.socket.push({ type: 'ping' });
    await world.clock.advance(0);
    expect(world.rt.state.status).toBe('connecting');
    await world.clock.advance(1);
    expect(world.rt.state.status).toBe('waiting');
  });

  test('errors of the socket are heard, also while it is closed before it opened', async () => {
    const world = new World(['ws']);
    listen(world, 'a');
    await settle();
    const first = world.socket;
    await first.drop();
    expect(world.rt.state).toMatchObject({ status: 'waiting', error: { code: 'unreachable' } });
    await world.clock.advance(250);
    const second = world.socket;
    expect(second).not.toBe(first);
    world.rt.close();
    expect(second.closed).toBe(true);
    expect(() => second.error()).not.toThrow();
  });

  test('what it does not know is ignored, what is no event ends it', async () => {
    const world = await connected();
    world.socket.push({ type: 'novelty', channel: 'a' }, message('a', 1, { novelty: 1 }));
    expect(world.seen).toEqual(['1']);
    world.socket.push([1]);
    expect(world.rt.state).toMatchObject({ status: 'waiting', error: { code: 'unreachable' } });
  });
});

import { describe, expect, test } from 'vitest';
import type { Channel } from '../src/index.js';
import { EPOCH, failed, listen, published, subscribed, welcome, World } from './fake-server.js';
import { settle } from './support.js';

async function overSse(): Promise<{ world: World; channel: Channel }> {
  const world = new World(['sse', 'ws']);
  const { channel } = listen(world, 'a');
  await settle();
  await world.request('sse').stream(welcome(), subscribed('a', 0));
  return { world, channel };
}

describe('publishing by POST', () => {
  test('goes in arrays to send, in order', async () => {
    const { world, channel } = await overSse();
    const results = [1, 2, 3].map((n) => channel.publish(n));
    expect(world.request('send').body).toMatchObject([{ type: 'publish', channel: 'a', data: 1 }]);
    await world.request('send').published(1);
    expect(world.request('send').body).toMatchObject([{ data: 2 }, { data: 3 }]);
    await world.request('send').published(2);
    expect((await Promise.all(results)).map(({ position }) => position)).toEqual([1, 2, 3].map((seq) => `${EPOCH}-${seq}`));
  });

  test('a POST that fails, or is swallowed, is repeated with its id', async () => {
    const { world, channel } = await overSse();
    const publish = channel.publish(1);
    const [{ id }] = world.request('send').body as unknown as [{ id: string }];
    await world.request('send').fail();
    await world.clock.advance(250);
    const swallowed = world.request('send');
    for (let n = 0; n < 15; n++) {
      await world.request('sse').push({ type: 'novelty' });
      await world.clock.advance(1000);
    }
    expect(swallowed.aborted).toBe(true);
    await world.clock.advance(500);
    expect(world.to('send')).toHaveLength(3);
    await world.request('send').published(1);
    expect(await publish).toMatchObject({ id });
    expect(world.rt.state.transport).toBe('sse');
  });

  test('Retry-After and the server\'s code count; a proxy\'s page is no answer', async () => {
    const { world, channel } = await overSse();
    void channel.publish(1);
    await world.request('send').answer(503, failed('unavailable'), { 'retry-after': '3' });
    await world.clock.advance(2999);
    expect(world.to('send')).toHaveLength(1);
    await world.clock.advance(1);
    await world.request('send').answer(502, '<h1>Bad Gateway</h1>');
    await world.clock.advance(500);
    expect(world.to('send')).toHaveLength(3);
  });

  test('over polling, which has no welcome, only the server says what is too large', async () => {
    const world = new World(['poll']);
    const channel = world.rt.channel('a');
    await settle();
    await world.request('poll').answer(200, { cursor: '', events: [subscribed('a', 0)] });
    const large = channel.publish('x'.repeat(100_000));
    await world.request('send').published(1);
    expect(await large).toMatchObject({ position: `${EPOCH}-1` });
  });

  test('a refused POST rejects its publishes', async () => {
    const { world, channel } = await overSse();
    const outcome = expect(channel.publish(1)).rejects.toMatchObject({ code: 'forbidden' });
    await world.request('send').answer(403, failed('forbidden'));
    await outcome;
  });
});

describe('publishing without reading', () => {
  test('without any channel it goes by POST, and nothing is connected', async () => {
    const world = new World();
    const first = world.rt.publish('log', { n: 1 }, { id: 'mine', event: 'line' });
    void world.rt.publish('log', 2);
    expect(world.request('send').body).toMatchObject([{ type: 'publish', channel: 'log', data: { n: 1 }, id: 'mine', event: 'line' }]);
    await world.request('send').published(1);
    expect(await first).toMatchObject({ id: 'mine', position: `${EPOCH}-1`, duplicate: false });
    expect(world.request('send').body).toMatchObject([{ data: 2 }]);
    await settle();
    expect([world.rt.state.status, world.sockets.length]).toEqual(['idle', 0]);
  });

  test('it is repeated with its id until it is answered', async () => {
    const world = new World();
    const publish = world.rt.publish('log', 1, { id: 'mine' });
    await world.request('send').fail();
    await world.clock.advance(250);
    expect(world.to('send')).toHaveLength(2);
    expect(world.request('send').body).toMatchObject([{ id: 'mine' }]);
    await world.request('send').published(1);
    expect(await publish).toMatchObject({ position: `${EPOCH}-1` });
  });

  test('with a connection it goes over that, and reads nothing', async () => {
    const world = new World(['ws']);
    listen(world, 'a');
    void world.rt.publish('log', 1);
    await settle();
    expect(world.requests).toHaveLength(0);
    await world.socket.welcome();
    expect(world.socket.last('publish')).toMatchObject({ channel: 'log', data: 1 });
    expect(world.socket.last('subscribe').channels).toEqual([{ name: 'a' }]);
  });

  test.each(['ws', 'sse'] as const)('what the end of the last channel leaves to %s goes by POST, with its id', async (name) => {
    const world = new World([name]);
    const { channel } = listen(world, 'a');
    await settle();
    if (name === 'ws') await world.socket.welcome();
    else await world.request('sse').stream(welcome());
    const publish = channel.publish('survivor', { id: 'mine' });
    const before = world.to('send').length;
    channel.close();
    await settle();
    expect(world.to('send')).toHaveLength(before + 1);
    expect([world.request('send').aborted, world.request('send').body]).toMatchObject([false, [{ id: 'mine', data: 'survivor' }]]);
    await world.request('send').published(1);
    expect(await publish).toMatchObject({ id: 'mine', position: `${EPOCH}-1` });
  });

  test.each(['ws', 'sse'] as const)('%s: a refused subscription does not touch publishing', async (name) => {
    const world = new World([name]);
    const { channel, seen } = listen(world, 'a');
    listen(world, 'b');
    const early = channel.publish('early');
    await settle();
    if (name === 'ws') {
      await world.socket.welcome();
      world.socket.push(failed('forbidden', { channel: 'a', ref: world.socket.last('subscribe').ref }));
      expect(seen).toEqual(['error forbidden', 'left forbidden']);
      world.socket.push(published(1, 1));
    } else {
      await world.request('sse').answer(403, failed('forbidden', { channel: 'a' }));
      await world.request('sse').stream(welcome(), subscribed('b', 0));
      await world.request('send').published(1);
    }
    expect(await early).toMatchObject({ position: `${EPOCH}-1` });
    const late = channel.publish('late');
    if (name === 'ws') world.socket.push(published(2, 2));
    else await world.request('send').published(2);
    expect(await late).toMatchObject({ position: `${EPOCH}-2` });
  });

  test('a closed client takes none', async () => {
    const world = new World();
    const waiting = expect(world.rt.publish('log', 1)).rejects.toMatchObject({ code: 'closed' });
    const post = world.request('send');
    world.rt.close();
    await waiting;
    await expect(world.rt.publish('log', 2)).rejects.toMatchObject({ code: 'closed' });
    expect([post.aborted, world.clock.pending, world.to('send').length]).toEqual([true, 0, 1]);
  });
});

describe('POSTs under way', () => {
  const bodies = (world: World): unknown[] => world.to('send').map(({ body }) => (body as unknown as { data: unknown }[]).map(({ data }) => data));

  test('are one at a time, for all channels together', async () => {
    const { world } = await overSse();
    for (const n of [1, 2]) for (const channel of ['x', 'y', 'z']) void world.rt.publish(channel, `${channel}${n}`);
    expect(bodies(world)).toEqual([['x1']]);
    await world.request('send').published(1);
    expect(bodies(world)).toEqual([['x1'], ['y1', 'z1', 'x2', 'y2', 'z2']]);
  });

  test('that fail for one channel do not hold up the others', async () => {
    const { world } = await overSse();
    void world.rt.publish('x', 1);
    await world.request('send').answer(200, [failed('rate_limited', { ref: 1, channel: 'x', retry_after: 9 })]);
    void world.rt.publish('x', 2);
    void world.rt.publish('y', 3);
    expect(bodies(world)).toEqual([[1], [3]]);
    await world.request('send').published(1);
    await world.clock.advance(9000);
    expect(bodies(world)).toEqual([[1], [3], [1, 2]]);
  });

  test('and those that wait after a failure go at once over a new connection', async () => {
    const { world } = await overSse();
    void world.rt.publish('hung', 1);
    void world.rt.publish('failed', 2);
    const [hung, refused] = world.to('send');
    await refused?.answer(503, failed('unavailable'), { 'retry-after': '20' });
    world.rt.setTransports(['ws']);
    expect(hung?.aborted).toBe(true);
    await world.socket.welcome();
    expect(world.socket.sent.filter(({ type }) => type === 'publish').map(({ data }) => data)).toEqual([1, 2]);
  });

  test('end with the client', async () => {
    const { world } = await overSse();
    const outcome = expect(world.rt.publish('a', 1)).rejects.toMatchObject({ code: 'closed' });
    world.rt.close();
    await outcome;
    await settle();
    expect([world.request('send').aborted, world.clock.pending]).toEqual([true, 0]);
  });

  test('are not begun on a connection that a handler of its state has replaced', async () => {
    const world = new World(['sse']);
    listen(world, 'a');
    void world.rt.publish('a', 1);
    world.rt.on('state', ({ transport }) => transport === 'sse' && world.rt.setTransports(['ws']));
    await settle();
    await world.request('sse').stream(welcome(), subscribed('a', 0));
    expect(world.to('send')).toHaveLength(0);
    await world.socket.welcome();
    expect(world.socket.count('publish')).toBe(1);
  });

  test('an answer without a word about a publish is none', async () => {
    const { world } = await overSse();
    void world.rt.publish('a', 1);
    await world.request('send').answer(200, []);
    await world.clock.advance(250);
    expect(bodies(world)).toEqual([[1], [1]]);
  });
});

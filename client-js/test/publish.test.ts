import { describe, expect, test, vi } from 'vitest';
import type { Channel, Options } from '../src/index.js';
import { EPOCH, failed, published, subscribed, World } from './fake-server.js';
import { settle } from './support.js';

interface Publishing extends World {
  channel: Channel;
}

async function overWs(options: Options = {}): Promise<Publishing> {
  const world = new World(['ws'], options);
  const channel = world.rt.channel('a');
  await settle();
  await world.socket.welcome();
  world.socket.push(subscribed('a', 0));
  return Object.assign(world, { channel });
}

const sent = (world: World): unknown[] => world.socket.sent.filter(({ type }) => type === 'publish').map(({ data }) => data);

describe('publishing over a WebSocket', () => {
  test('resolves with the position, the id and whether it was there already', async () => {
    const world = await overWs();
    const first = world.channel.publish({ text: 'hi' }, { event: 'chat.line', id: 'mine' });
    const { ref, ...command } = world.socket.last('publish');
    expect(command).toEqual({ type: 'publish', channel: 'a', data: { text: 'hi' }, event: 'chat.line', id: 'mine' });
    world.socket.push(published(ref, 1, true));
    expect(await first).toMatchObject({ id: 'mine', position: `${EPOCH}-1`, duplicate: true });
  });

  test('waits for the welcome', async () => {
    const world = new World(['ws']);
    const publish = world.rt.channel('a').publish(1);
    await settle();
    world.socket.open();
    expect(sent(world)).toEqual([]);
    await world.socket.welcome();
    world.socket.push(published(world.socket.last('publish').ref, 1));
    expect(await publish).toMatchObject({ position: `${EPOCH}-1` });
  });

  test('one batch of a channel is unacknowledged at a time, in order; other channels do not wait for it', async () => {
    const world = await overWs();
    const done: unknown[] = [];
    for (const n of [1, 2, 3]) void world.channel.publish(n).then(({ position }) => done.push(position));
    const other = world.rt.channel('b');
    void other.publish('b');
    expect(sent(world)).toEqual([1, 'b']);
    world.socket.push(published(1, 1));
    await settle();
    expect(sent(world)).toEqual([1, 'b', 2, 3]);
    world.socket.push(published(2, 2), published(3, 3));
    await settle();
    expect(done).toEqual([1, 2, 3].map((seq) => `${EPOCH}-${seq}`));
  });

  test('a connection that was lost repeats what was not acknowledged, with the same ids and in order', async () => {
    const world = await overWs();
    const results = [1, 2, 3].map((n) => world.channel.publish(n));
    const { id } = world.socket.last('publish');
    await world.socket.drop();
    await world.clock.advance(250);
    await world.socket.welcome();
    expect(sent(world)).toEqual([1, 2, 3]);
    const commands = world.socket.sent.filter(({ type }) => type === 'publish');
    expect(commands[0]?.id).toBe(id);
    expect(new Set(commands.map((command) => command.id)).size).toBe(3);
    world.socket.push(...commands.map(({ ref }, index) => published(ref, index + 1, index === 0)));
    expect(await Promise.all(results)).toMatchObject([{ duplicate: true }, { duplicate: false }, { duplicate: false }]);
  });

  test.each(['unavailable', 'timeout', 'rate_limited', 'internal'] as const)(
    '%s is repeated with its id, after the wait that the server asks for',
    async (code) => {
      const world = await overWs();
      const publish = world.channel.publish(1);
      void world.channel.publish(2);
      const { id, ref } = world.socket.last('publish');
      world.socket.push(failed(code, { ref, channel: 'a', retry_after: 2 }));
      await world.clock.advance(1999);
      expect(sent(world)).toEqual([1]);
      await world.clock.advance(1);
      expect(sent(world)).toEqual([1, 1, 2]);
      expect(world.socket.sent.filter((command) => command.id === id)).toHaveLength(2);
      world.socket.push(published(ref, 1));
      world.socket.push(published(world.socket.last('publish').ref, 2));
      expect(await publish).toMatchObject({ id, position: `${EPOCH}-1` });
    },
  );

  test('in an array, what follows a failure that may be retried is repeated behind it', async () => {
    const world = await overWs();
    void world.channel.publish(0);
    for (const n of [1, 2, 3]) void world.channel.publish(n);
    world.socket.push(published(1, 1));
    await settle();
    world.socket.push(published(2, 2), failed('unavailable', { ref: 3 }), failed('unavailable', { ref: 4 }));
    await world.clock.advance(250);
    expect(sent(world)).toEqual([0, 1, 2, 3, 2, 3]);
  });

  test('a refusal rejects that publish alone', async () => {
    const world = await overWs();
    const refused = world.channel.publish(1);
    const taken = world.channel.publish(2);
    world.socket.push(failed('forbidden', { ref: world.socket.last('publish').ref, channel: 'a' }));
    await expect(refused).rejects.toMatchObject({ name: 'TricastError', code: 'forbidden', channel: 'a' });
    world.socket.push(published(world.socket.last('publish').ref, 1));
    expect(await taken).toMatchObject({ position: `${EPOCH}-1` });
  });

  test('without an answer it is sent again on the living connection', async () => {
    const world = await overWs({ backoff: { base: 0 } });
    const publish = world.channel.publish(1);
    for (const _ of [1, 2]) {
      await world.clock.advance(10_000);
      world.socket.push({ type: 'ping' });
    }
    expect(sent(world)).toEqual([1, 1]);
    world.socket.push(published(world.socket.last('publish').ref, 1));
    expect(await publish).toMatchObject({ position: `${EPOCH}-1` });
  });

  test('a payload that would end the connection is refused here', async () => {
    const world = await overWs();
    await expect(world.channel.publish('x'.repeat(70_000))).rejects.toMatchObject({ code: 'too_large' });
    expect(sent(world)).toEqual([]);
    // What is only somewhat too large the server refuses, and goes on.
    void world.channel.publish('x'.repeat(66_000));
    expect(sent(world)).toHaveLength(1);
  });

  test('the limit of the newest welcome counts, also for arrays', async () => {
    const world = new World(['ws']);
    const channel = world.rt.channel('a');
    await settle();
    await world.socket.welcome({ limits: { message: 1000, channels: 128, batch: 512 } });
    await expect(channel.publish('x'.repeat(4000))).rejects.toMatchObject({ code: 'too_large' });
    for (const n of [1, 2, 3, 4]) void channel.publish(`${n}`.repeat(300));
    world.socket.push(published(world.socket.last('publish').ref, 1));
    expect(world.socket.count('publish')).toBe(2);
  });

  test('arrays stay below 64 commands and below the limit of the server', async () => {
    const world = await overWs();
    void world.channel.publish('first');
    for (let n = 0; n < 70; n++) void world.channel.publish(n);
    // In bytes, these may be three times as long: a WebSocket message may have twice the limit.
    void world.channel.publish('x'.repeat(20_000));
    void world.channel.publish('ü'.repeat(20_000));
    const batches: number[] = [];
    for (let total = 0; total < 73; ) {
      const batch = world.socket.sent.filter(({ type }) => type === 'publish').slice(total);
      batches.push(batch.length);
      total += batch.length;
      world.socket.push(...batch.map(({ ref }) => published(ref, 1)));
      await settle();
    }
    expect(batches).toEqual([1, 64, 7, 1]);
  });
});

describe('the outbox', () => {
  test('what a dead WebSocket left is sent by POST, with the same id', async () => {
    const world = await overWs();
    const publish = world.channel.publish('survivor');
    const { id } = world.socket.last('publish');
    world.rt.setTransports(['poll']);
    await settle();
    expect(world.to('send')).toHaveLength(0);
    await world.request('poll').answer(200, { cursor: '', events: [subscribed('a', 0)] });
    expect(world.request('send').body).toMatchObject([{ id, data: 'survivor' }]);
    await world.request('send').published(5);
    expect(await publish).toMatchObject({ id, position: `${EPOCH}-5` });
  });

  test('is bounded: one more rejects with outbox_full, and an acknowledgement makes room', async () => {
    const world = await overWs({ outbox: 2 });
    const first = world.channel.publish(1);
    void world.channel.publish(2);
    await expect(world.channel.publish(3)).rejects.toMatchObject({ code: 'outbox_full', channel: 'a' });
    world.socket.push(published(world.socket.last('publish').ref, 1));
    await first;
    void world.channel.publish(4);
    world.socket.push(published(world.socket.last('publish').ref, 2));
    await settle();
    expect(sent(world)).toEqual([1, 2, 4]);
  });

  test('keeps what the data was when it was published', async () => {
    const world = new World(['ws']);
    const data = { n: 1 };
    void world.rt.channel('a').publish(data);
    data.n = 2;
    await settle();
    await world.socket.welcome();
    expect(sent(world)).toEqual([{ n: 1 }]);
  });

  test('what the server refuses of one publish, such as its id, rejects that one alone', async () => {
    const world = await overWs();
    const bad = world.channel.publish(1, { id: 'a b' });
    world.socket.push(failed('bad_request', { ref: world.socket.last('publish').ref, channel: 'a' }));
    await expect(bad).rejects.toMatchObject({ code: 'bad_request', channel: 'a' });
  });

  test('ids and events of every allowed form are sent', async () => {
    const world = await overWs();
    const id = `!~${'x'.repeat(62)}`;
    for (const event of ['errors', 'opened', 'tricast', 'chat.line/a:b-c_D9', 'x'.repeat(64)]) void world.channel.publish(1, { id, event });
    world.socket.push(published(world.socket.last('publish').ref, 1));
    expect(world.socket.count('publish')).toBe(5);
    expect(world.socket.last('publish')).toMatchObject({ id, event: 'x'.repeat(64) });
  });

  test('what has no JSON form is refused, and nothing of it waits', async () => {
    const world = await overWs({ outbox: 1 });
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    for (const data of [1n, circle]) await expect(world.channel.publish(data)).rejects.toBeInstanceOf(TypeError);
    void world.channel.publish(1);
    expect(sent(world)).toEqual([1]);
  });

  test('a signal rejects with its reason, before the sending and during it', async () => {
    const world = await overWs();
    const abort = new AbortController();
    const { signal } = abort;
    const flying = world.channel.publish(1, { signal });
    const queued = world.channel.publish(2, { signal });
    const kept = world.channel.publish(3);
    abort.abort('enough');
    await expect(flying).rejects.toBe('enough');
    await expect(queued).rejects.toBe('enough');
    await expect(world.channel.publish(4, { signal })).rejects.toBe('enough');
    world.socket.push(published(1, 1));
    await settle();
    expect(sent(world)).toEqual([1, 3]);
    world.socket.push(published(world.socket.last('publish').ref, 2));
    expect(await kept).toMatchObject({ position: `${EPOCH}-2` });
  });

  test('a publish whose outcome stays unknown is given up before servers forget its id', async () => {
    const world = await overWs();
    const publish = world.channel.publish(1);
    const outcome = expect(publish).rejects.toMatchObject({ code: 'timeout' });
    await world.socket.drop();
    await world.clock.advance(5 * 60_000);
    await world.socket.welcome();
    await outcome;
    expect(sent(world)).toEqual([]);
  });

  test('retries do not make a publish younger', async () => {
    const world = await overWs({ backoff: { base: 0 } });
    const outcome = expect(world.channel.publish(1)).rejects.toMatchObject({ code: 'timeout' });
    for (let n = 0; n < 10; n++) {
      world.socket.push(failed('unavailable', { ref: 1, retry_after: 30 }));
      await world.clock.advance(30_000);
      world.socket.push({ type: 'ping' });
    }
    await outcome;
    expect(sent(world).length).toBeLessThan(11);
  });

  test('the wait after a failure is short again once a batch was answered', async () => {
    const world = await overWs();
    for (const wait of [250, 500]) {
      if (wait === 250) void world.channel.publish(1);
      world.socket.push(failed('unavailable', { ref: 1 }));
      await world.clock.advance(wait - 1);
      const before = sent(world).length;
      await world.clock.advance(1);
      expect(sent(world)).toHaveLength(before + 1);
    }
    // There is always one more that waits, so the channel never starts afresh.
    void world.channel.publish(2);
    world.socket.push(published(1, 1));
    world.socket.push(failed('unavailable', { ref: 2 }));
    await world.clock.advance(249);
    expect(sent(world)).toEqual([1, 1, 1, 2]);
    await world.clock.advance(1);
    expect(sent(world)).toEqual([1, 1, 1, 2, 2]);
  });

  test('a signal that outlives its publishes keeps nothing of them', async () => {
    const world = await overWs();
    const { signal } = new AbortController();
    const listening = new Set<unknown>();
    vi.spyOn(signal, 'addEventListener').mockImplementation((_, listener) => void listening.add(listener));
    vi.spyOn(signal, 'removeEventListener').mockImplementation((_, listener) => void listening.delete(listener));
    const done = world.channel.publish(1, { signal });
    const refused = expect(world.channel.publish(2, { signal })).rejects.toMatchObject({ code: 'forbidden' });
    expect(listening.size).toBe(2);
    world.socket.push(published(1, 1), failed('forbidden', { ref: 2 }));
    await Promise.all([done, refused]);
    expect(listening.size).toBe(0);
  });

  test('a publish that was never sent may wait for long', async () => {
    const world = new World(['ws']);
    void world.rt.channel('a').publish(1);
    await world.clock.advance(10 * 60_000);
    await world.socket.welcome();
    expect(sent(world)).toEqual([1]);
  });

  test('closing while a publish waits for its next try leaves no timer', async () => {
    const world = await overWs();
    const outcome = expect(world.channel.publish(1)).rejects.toMatchObject({ code: 'closed' });
    world.socket.push(failed('unavailable', { ref: world.socket.last('publish').ref }));
    await settle();
    world.rt.close();
    await outcome;
    expect(world.clock.pending).toBe(0);
  });
});

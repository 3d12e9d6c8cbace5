import { describe, expect, test } from 'vitest';
import { EPOCH, listen, message, subscribed, welcome, World } from './fake-server.js';
import { MAX_BLOCK } from '../src/limits.js';
import { settle } from './support.js';

describe('SSE', () => {
  test('reads a stream that is cut anywhere, also inside a character', async () => {
    const world = new World(['sse']);
    const { channel } = listen(world, 'a');
    const got: unknown[] = [];
    channel.on('message', ({ data }) => got.push(data));
    await settle();
    await world.request('sse').stream(welcome(), subscribed('a', 0));
    const bytes = new TextEncoder().encode(`data: ${JSON.stringify(message('a', 1, { data: 'grüße 😀 \u2028' }))}\n\n`);
    for (const byte of bytes) await world.request('sse').raw(new Uint8Array([byte]));
    expect(got).toEqual(['grüße 😀 \u2028']);
  });

  test('another channel set is another request at the cursors, one for all changes of a turn', async () => {
    const world = new World(['sse']);
    const a = listen(world, 'a');
    await settle();
    const first = world.request('sse');
    await first.stream(welcome(), subscribed('a', 0), message('a', 1));
    listen(world, 'b');
    listen(world, 'c', 'last:50');
    await settle();
    expect(first.aborted).toBe(true);
    expect(world.to('sse')).toHaveLength(2);
    expect(world.request('sse').body.channels).toEqual([
      { name: 'a', from: `${EPOCH}-1` },
      { name: 'b' },
      { name: 'c', from: 'last:50' },
    ]);
    await world.request('sse').stream(welcome(), subscribed('a', 1, { recovered: true }), message('a', 2));
    expect(a.seen.filter((what) => !what.startsWith('from'))).toEqual(['1', '2']);
    expect(world.states).toEqual(['connecting', 'connected sse']);
  });

  test('a channel that comes and goes within one turn leaves the stream alone', async () => {
    const world = new World(['sse']);
    listen(world, 'a');
    await settle();
    await world.request('sse').stream(welcome());
    world.rt.channel('b').close();
    await settle();
    expect(world.to('sse')).toHaveLength(1);
  });

  test('a message that is too long for a stream is the next transport\'s, at once', async () => {
    const world = new World();
    const { seen } = listen(world, 'a');
    await settle();
    await world.socket.drop();
    await world.request('sse').stream(welcome(), subscribed('a', 0));
    expect(world.rt.state.transport).toBe('sse');
    await world.request('sse').raw(new TextEncoder().encode(`data: ${'x'.repeat(MAX_BLOCK)}`));
    expect(world.request('sse').aborted).toBe(true);
    await world.request('poll').answer(200, { cursor: '', events: [message('a', 1)] });
    expect(world.states).toEqual(['connecting', 'connected sse', 'connecting', 'connected poll']);
    expect(seen.slice(1)).toEqual(['1']);
  });

  test('another stream has to prove itself anew: comments prove nothing before its welcome', async () => {
    const world = new World(['sse']);
    listen(world, 'a');
    await settle();
    await world.request('sse').stream(welcome());
    listen(world, 'b');
    await settle();
    await world.request('sse').stream();
    await world.clock.advance(4999);
    await world.request('sse').raw(new TextEncoder().encode(':\n\n'));
    expect(world.rt.state.status).toBe('connected');
    await world.clock.advance(1);
    expect(world.rt.state.status).toBe('waiting');
  });

  test('comments keep it alive, two silent heartbeats end it', async () => {
    const world = new World(['sse']);
    listen(world, 'a');
    await settle();
    await world.request('sse').stream(welcome({ heartbeat: 15 }));
    await world.clock.advance(29_999);
    await world.request('sse').raw(new TextEncoder().encode(':\n\n'));
    await world.clock.advance(29_999);
    expect(world.rt.state.status).toBe('connected');
    await world.clock.advance(1);
    expect([world.rt.state.status, world.request('sse').aborted]).toEqual(['waiting', true]);
  });
});

describe('long-polling', () => {
  test('proves itself with a request that is not held, then holds', async () => {
    const world = new World(['poll']);
    listen(world, 'a');
    await settle();
    expect(world.request('poll').body.wait).toBe(0);
    await world.request('poll').answer(200, { cursor: '', events: [subscribed('a', 0), message('a', 1)] });
    expect(world.rt.state.transport).toBe('poll');
    expect(world.request('poll').body).toMatchObject({ wait: 25, channels: [{ name: 'a', from: `${EPOCH}-1` }] });
    await world.clock.advance(29_999);
    expect(world.rt.state.status).toBe('connected');
    await world.clock.advance(1);
    expect(world.rt.state.status).toBe('waiting');
  });

  test('empty answers that nothing held do not make it spin', async () => {
    const world = new World(['poll']);
    listen(world, 'a');
    await settle();
    await world.request('poll').answer(200, { cursor: '', events: [subscribed('a', 0)] });
    await world.request('poll').answer(200, { cursor: '', events: [] });
    expect(world.to('poll')).toHaveLength(2);
    await world.clock.advance(1000);
    expect(world.to('poll')).toHaveLength(3);
  });

  test('closing while it keeps its pace leaves no timer', async () => {
    const world = new World(['poll']);
    listen(world, 'a');
    await settle();
    await world.request('poll').answer(200, { cursor: '', events: [subscribed('a', 0)] });
    await world.request('poll').answer(200, { cursor: '', events: [] });
    world.rt.close();
    await settle();
    expect(world.clock.pending).toBe(0);
  });

  test('a parked request that a drain releases waits as told', async () => {
    const world = new World(['poll']);
    listen(world, 'a');
    await settle();
    await world.request('poll').answer(200, { cursor: '', events: [subscribed('a', 0)] });
    const bye = { type: 'bye', code: 'draining', reason: 'restart', reconnect: true, after: 4000 };
    await world.request('poll').answer(200, { cursor: '', events: [bye] });
    expect(world.rt.state).toMatchObject({ status: 'waiting', retryAt: world.clock.now() + 4000 });
  });

  test('an answer that only says goodbye does not reset the backoff', async () => {
    const world = new World(['poll']);
    listen(world, 'a');
    await settle();
    const bye = { type: 'bye', code: 'unavailable', reason: 'overload', reconnect: true };
    const waits: number[] = [];
    for (let n = 0; n < 3; n++) {
      await world.request('poll').answer(200, { cursor: '', events: [bye] });
      waits.push((world.rt.state.retryAt ?? 0) - world.clock.now());
      await world.clock.advance(waits[n] ?? 0);
    }
    expect(waits).toEqual([250, 500, 1000]);
  });

  test('an answer that ends the last channel is followed by no request', async () => {
    const world = new World(['poll']);
    const { seen } = listen(world, 'a');
    await settle();
    const events = [subscribed('a', 0), { type: 'unsubscribed', channel: 'a', code: 'forbidden' }];
    await world.request('poll').answer(200, { cursor: '', events });
    expect([seen.pop(), world.rt.state.status, world.requests.length]).toEqual(['left forbidden', 'idle', 1]);
  });

  test('a channel that closes while an answer is under way gets nothing of it', async () => {
    const world = new World(['poll']);
    const a = listen(world, 'a');
    const b = listen(world, 'b');
    await settle();
    await world.request('poll').answer(200, { cursor: '', events: [subscribed('a', 0), subscribed('b', 0)] });
    const parked = world.request('poll');
    a.channel.close();
    await settle();
    expect(parked.aborted).toBe(true);
    expect(world.request('poll').body.channels).toEqual([{ name: 'b', from: `${EPOCH}-0` }]);
    await world.request('poll').answer(200, { cursor: '', events: [message('a', 1), message('b', 1)] });
    expect(a.seen.concat(b.seen)).toEqual([`from ${EPOCH}-0`, `from ${EPOCH}-0`, '1']);
  });
});

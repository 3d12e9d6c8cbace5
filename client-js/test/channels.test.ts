import { describe, expect, test } from 'vitest';
import { EPOCH, failed, listen, message, subscribed, welcome, World, type Log } from './fake-server.js';
import { settle } from './support.js';

const requests = ['sse', 'poll'] as const;

/** The newest request for channels, by name. */
function asked(world: World, transport: 'ws' | 'sse' | 'poll'): unknown {
  const { channels } = transport === 'ws' ? world.socket.last('subscribe') : world.request(transport).body;
  return (channels as { name: string }[]).map(({ name }) => name);
}

describe('where a channel starts', () => {
  test.each(['latest', 'earliest', 'last:0', 'last:50', `${EPOCH}-0`, `${EPOCH}-9007199254740991`, `${EPOCH}-1-2`])('%j is sent', async (from) => {
    const world = new World(['sse']);
    world.rt.channel('a', { from });
    await settle();
    expect(world.request('sse').body.channels).toEqual([{ name: 'a', from }]);
  });

  test('a position is where reading goes on, also over polling, which does not repeat it', async () => {
    const world = new World(['poll']);
    const { channel, seen } = listen(world, 'a', `${EPOCH}-4`);
    expect(channel.position).toBe(`${EPOCH}-4`);
    await settle();
    await world.request('poll').answer(200, { cursor: `${EPOCH}-5`, events: [message('a', 4), message('a', 5)] });
    expect([seen, world.rt.report().faults]).toEqual([['5'], 0]);
  });

  test('the first one to open a channel says where', async () => {
    const world = new World(['sse']);
    const first = world.rt.channel('a', { from: 'last:5' });
    expect(world.rt.channel('a', { from: 'earliest' })).toBe(first);
    await settle();
    expect(world.request('sse').body.channels).toEqual([{ name: 'a', from: 'last:5' }]);
  });
});

describe('too many channels', () => {
  function open(world: World, count: number): Log[] {
    return Array.from({ length: count }, (_, n) => listen(world, `c${n}`));
  }

  const left = (logs: readonly Log[]): string[] =>
    logs.filter(({ seen }) => seen.join() === 'error too_many_channels,left too_many_channels').map(({ channel }) => channel.name);

  test.each(requests)('%s: the newest leaves, until the rest fit', async (name) => {
    const world = new World([name]);
    const logs = open(world, 4);
    await settle();
    for (const fits of [3, 2]) {
      await world.request(name).answer(400, failed('too_many_channels'));
      expect(asked(world, name)).toHaveLength(fits);
    }
    const events = [subscribed('c0', 0), subscribed('c1', 0)];
    if (name === 'sse') await world.request(name).stream(welcome(), ...events);
    else await world.request(name).answer(200, { cursor: '', events });
    expect([left(logs), world.rt.state.status]).toEqual([['c2', 'c3'], 'connected']);
  });

  test('ws: a command that asked for too many is repeated with those that fit', async () => {
    const world = new World(['ws']);
    const logs = open(world, 3);
    await settle();
    await world.socket.welcome({ limits: { message: 65536, channels: 2, batch: 512 } });
    world.socket.push(failed('too_many_channels', { ref: world.socket.last('subscribe').ref }));
    await settle();
    expect(left(logs)).toEqual(['c2']);
    expect(asked(world, 'ws')).toEqual(['c0', 'c1']);
    expect([world.socket.count('subscribe'), world.rt.state.status]).toEqual([2, 'connected']);
  });
});

describe('a channel that keeps missing a message', () => {
  async function connected(name: 'ws' | 'sse' | 'poll'): Promise<{ world: World; a: Log; b: Log; tell: (...events: object[]) => Promise<void> }> {
    const world = new World([name]);
    const [a, b] = [listen(world, 'a'), listen(world, 'b')];
    await settle();
    if (name === 'ws') await world.socket.welcome();
    /** Answers the newest request, as the transport does it. */
    const tell = async (...events: object[]): Promise<void> => {
      if (name === 'ws') world.socket.push(...events);
      else if (name === 'sse') await world.request('sse').stream(welcome(), ...events);
      else await world.request('poll').answer(200, { cursor: '', events });
      await settle();
    };
    await tell(subscribed('a', 0), subscribed('b', 0), message('a', 2));
    return { world, a, b, tell };
  }

  test.each(['ws', 'sse', 'poll'] as const)('%s: is asked for again alone, at growing intervals', async (name) => {
    const { world, a, b, tell } = await connected(name);
    const again = subscribed('a', 0, { recovered: true });
    let seq = 0;
    for (const wait of [250, 500, 1000]) {
      if (wait > 250) await tell(again, message('a', 2));
      await tell(message('b', ++seq));
      if (name !== 'ws') expect(asked(world, name)).toEqual(['b']);
      else expect(world.socket.last('unsubscribe').channel).toBe('a');
      const before = name === 'ws' ? world.socket.count('subscribe') : world.to(name).length;
      await world.clock.advance(wait - 1);
      expect(name === 'ws' ? world.socket.count('subscribe') : world.to(name).length).toBe(before);
      await world.clock.advance(1);
      expect(asked(world, name)).toContain('a');
    }
    expect(world.states).toEqual(['connecting', `connected ${name}`]);
    // Progress: the next wait is short again.
    await tell(again, message('a', 1), message('a', 3));
    await world.clock.advance(250);
    expect(asked(world, name)).toContain('a');
    expect(a.seen.filter((what) => !what.startsWith('from'))).toEqual(['1']);
    expect(b.seen.filter((what) => !what.startsWith('from'))).toEqual(['1', '2', '3']);
    expect(world.rt.report().faults).toBe(4);
  });

  test.each(requests)('%s: where it is the only one, nothing is asked meanwhile', async (name) => {
    const { world, b } = await connected(name);
    b.channel.close();
    await settle();
    const before = world.requests.length;
    await world.clock.advance(249);
    expect([world.requests.length, world.rt.state.status]).toEqual([before, 'connected']);
    await world.clock.advance(1);
    expect([world.requests.length, asked(world, name)]).toEqual([before + 1, ['a']]);
    expect(world.requests.filter(({ body }) => body.channels?.length === 0)).toEqual([]);
  });

  test.each(requests)('%s: where it is the only one, another connection asks for nothing before its time either', async (name) => {
    const { world, b } = await connected('ws');
    b.channel.close();
    await settle();
    world.rt.setTransports([name]);
    await world.clock.advance(249);
    expect([world.requests.length, world.rt.state.status]).toEqual([0, 'connecting']);
    await world.clock.advance(1);
    expect([world.requests.length, asked(world, name), world.rt.report().faults]).toEqual([1, ['a'], 1]);
  });

  test('sse: a goodbye to the others, which have left meanwhile, does not end the client', async () => {
    const { world, tell } = await connected('sse');
    await tell({ type: 'unsubscribed', channel: 'b', code: 'forbidden' });
    expect(world.request('sse').aborted).toBe(true);
    await world.request('sse').push({ type: 'bye', code: 'forbidden', reason: 'no channel is left', reconnect: false });
    expect(world.rt.state.status).toBe('connected');
    await world.clock.advance(250);
    expect(asked(world, 'sse')).toEqual(['a']);
  });

  test('closing it, or the client, meanwhile leaves no timer', async () => {
    const { world, a } = await connected('ws');
    const running = world.clock.pending;
    a.channel.close();
    expect(world.clock.pending).toBe(running - 1);
    world.rt.close();
    await settle();
    expect(world.clock.pending).toBe(0);
  });
});

describe('a subscription that fails for now', () => {
  async function refusable(): Promise<{ world: World; b: Log; refuse: (fields?: object) => void }> {
    const world = new World(['ws']);
    const b = listen(world, 'b');
    await settle();
    await world.socket.welcome();
    return { world, b, refuse: (fields = {}) => world.socket.push(failed('unavailable', { channel: 'b', ref: world.socket.last('subscribe').ref, ...fields })) };
  }

  test('is tried again after what the server asks, whatever other channels do meanwhile', async () => {
    const { world, b, refuse } = await refusable();
    refuse({ retry_after: 3 });
    expect(b.seen).toEqual(['error unavailable']);
    listen(world, 'c');
    await settle();
    expect(asked(world, 'ws')).toEqual(['c']);
    world.socket.push(subscribed('c', 0));
    await world.clock.advance(2999);
    expect(world.socket.count('subscribe')).toBe(2);
    await world.clock.advance(1);
    expect(asked(world, 'ws')).toEqual(['b']);
    expect([world.socket.count('subscribe'), world.socket.count('unsubscribe')]).toEqual([3, 0]);
  });

  test('is obeyed across connections', async () => {
    const { world, refuse } = await refusable();
    refuse({ retry_after: 3 });
    listen(world, 'c');
    await world.socket.drop();
    await world.clock.advance(250);
    await world.socket.welcome();
    expect(asked(world, 'ws')).toEqual(['c']);
    await world.clock.advance(2750);
    expect(asked(world, 'ws')).toEqual(['b']);
  });

  test('waits longer each time, until it delivers; what another delivers is not its own', async () => {
    const { world, refuse } = await refusable();
    listen(world, 'c');
    await settle();
    let { ref: ofC } = world.socket.last('subscribe');
    let ref: unknown = 's1';
    let seq = 0;
    for (const [wait, succeeds] of [[250, false], [500, true], [250, false], [500, false]] as const) {
      refuse({ ref });
      world.socket.push(subscribed('c', 0, { ref: ofC }), message('c', ++seq));
      const before = world.socket.count('subscribe');
      await world.clock.advance(wait - 1);
      expect(world.socket.count('subscribe')).toBe(before);
      await world.clock.advance(1);
      expect(world.socket.count('subscribe')).toBe(before + 1);
      ref = world.socket.last('subscribe').ref;
      if (!succeeds) continue;
      world.socket.push(subscribed('b', 0), message('b', 1));
      await world.socket.drop();
      await world.clock.advance(250);
      await world.socket.welcome();
      ref = ofC = world.socket.last('subscribe').ref;
    }
  });
});

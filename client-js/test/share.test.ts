import { afterEach, expect, test, vi } from 'vitest';
import { message, World } from './fake-server.js';
import { settle } from './support.js';
import { Tabs } from './tabs.js';

afterEach(() => {
  vi.unstubAllGlobals();
});

test('tabs read over one connection, each from a position of its own', async () => {
  const tabs = new Tabs();
  const first = tabs.open();
  await tabs.run();
  await tabs.publish(1);
  await tabs.publish(2);
  const late = tabs.open({ from: 'last:1' });
  await tabs.run();
  await tabs.publish(3);
  expect([first.seen, late.seen]).toEqual([[1, 2, 3], [2, 3]]);
  expect(tabs.sockets.length).toBe(1);
  expect(tabs.sockets[0]?.count('subscribe')).toBe(1);
});

test('what was published between two leaders is read, once, by every tab', async () => {
  const tabs = new Tabs();
  const opened = [tabs.open(), tabs.open(), tabs.open()];
  await tabs.run();
  await tabs.publish(1);
  const [leader, ...followers] = opened;
  leader!.world.rt.close();
  tabs.log.push(2);
  await tabs.run();
  await tabs.wait();
  await tabs.publish(3);
  for (const { seen, gaps, world } of followers) {
    expect([seen, gaps]).toEqual([[1, 2, 3], []]);
    expect(world.rt.report().faults).toBe(0);
  }
  expect(leader!.seen).toEqual([1]);
  expect(tabs.sockets.length).toBe(1);
});

test('a tab that a broadcast did not reach asks for what it missed', async () => {
  const tabs = new Tabs();
  tabs.open();
  const other = tabs.open();
  await tabs.run();
  await tabs.publish(1);
  const air = [...tabs.browser.air].find(({ onmessage }, at) => onmessage && at === 2);
  expect(air).toBeDefined();
  const hear = air!.onmessage;
  air!.onmessage = null;
  await tabs.publish(2);
  expect(other.seen).toEqual([1]);
  air!.onmessage = hear;
  await tabs.publish(3);
  await tabs.wait();
  expect(other.seen).toEqual([1, 2, 3]);
  // Where it asks too late, the reader behind it finds a fault; on a state nobody would.
  expect(other.world.rt.report().faults).toBe(0);
});

test('tabs that were given one client id are two readers still', async () => {
  const tabs = new Tabs();
  const one = tabs.open({}, 'the-same-one');
  await tabs.run();
  const two = new World(['ws'], { share: true, client: 'the-same-one' });
  tabs.worlds.push(two);
  two.rt.channel('b');
  await tabs.run();
  await tabs.publish(1);
  expect(one.seen).toEqual([1]);
  expect(tabs.sockets[0]?.count('unsubscribe')).toBe(0);
});

test('a leader without continuity makes every tab ask for itself up to the head', async () => {
  const tabs = new Tabs();
  tabs.open();
  const other = tabs.open();
  await tabs.run();
  await tabs.publish(1);
  const polls = other.world.to('poll').length;
  tabs.log.push(2, 3);
  const [epoch] = other.world.rt.channel('a').position!.split('-');
  tabs.sockets[0]!.push({ type: 'gap', channel: 'a', position: `${epoch}-0`, head: `${epoch}-3`, reason: 'expired' });
  await tabs.run();
  await tabs.wait();
  expect(other.seen).toEqual([1, 2, 3]);
  expect(other.world.to('poll').length).toBeGreaterThan(polls);
});

test('the leader shows what its tabs show where presence is kept', async () => {
  const tabs = new Tabs();
  tabs.open({ presence: { name: 'Ada' } });
  await tabs.run();
  expect(tabs.sockets[0]?.last('subscribe')).toMatchObject({ channels: [{ name: 'a', presence: { name: 'Ada' } }] });
});

test('a follower publishes by itself, and keeps the id when it has to repeat', async () => {
  const tabs = new Tabs();
  tabs.open();
  const { world } = tabs.open();
  await tabs.run();
  const published = world.rt.publish('a', 'hello');
  await settle();
  const [first] = world.request('send').body as unknown as { id: string }[];
  await world.request('send').fail();
  await world.clock.advance(1000);
  const [again] = world.request('send').body as unknown as { id: string }[];
  expect(world.to('send').length).toBe(2);
  expect(again?.id).toBe(first?.id);
  await world.request('send').published(1);
  expect((await published).id).toBe(first?.id);
});

test('where locks are refused, every tab leads itself', async () => {
  const tabs = new Tabs();
  tabs.browser.isStrict = true;
  const { seen } = tabs.open();
  await tabs.run();
  await tabs.publish(1);
  expect(seen).toEqual([1]);
});

test('where there are no locks, every tab connects by itself', async () => {
  const world = new World(['ws'], { share: true });
  world.rt.channel('a');
  await settle();
  await world.socket.welcome();
  expect(world.states).toEqual(['connecting', 'connected ws']);
});

test('a tab that is closed leaves neither lock nor air nor timer', async () => {
  const tabs = new Tabs();
  const { world } = tabs.open();
  await tabs.run();
  expect(tabs.sockets.length).toBe(1);
  world.rt.close();
  await tabs.run();
  expect([tabs.browser.air.size, tabs.sockets.length, world.clock.pending]).toEqual([0, 0, 0]);
  const next = tabs.open();
  await tabs.run();
  tabs.sockets[0]!.push(message('a', 1));
  await tabs.run();
  expect(next.seen).toEqual([{ n: 1 }]);
});

import { describe, expect, test } from 'vitest';
import type { Channel, Message } from '../src/index.js';
import { EPOCH, failed, message, World } from './fake-server.js';
import { settle } from './support.js';

const NAME = 's';
type Told = Record<string, unknown>;

const begun = (head: number, fields: Told = {}): Told =>
  ({ type: 'subscribed', channel: NAME, kind: 'state', position: `${EPOCH}-0`, head: `${EPOCH}-${head}`, ...fields });
const set = (key: string, seq: number, data: unknown = seq): object => message(NAME, seq, { key, data });
const removed = (key: string, seq: number): object => message(NAME, seq, { key, data: undefined, deleted: true });
const live = (seq: number): object => ({ type: 'live', channel: NAME, position: `${EPOCH}-${seq}` });

interface Board {
  world: World;
  channel: Channel;
  /** What the handlers of `change` and `live` saw. */
  seen: string[];
}

async function board(...events: object[]): Promise<Board> {
  const world = new World(['ws', 'sse']);
  const channel = world.rt.channel(NAME);
  const seen: string[] = [];
  channel.on('change', ({ key, message, previous }) => seen.push(`${key} ${previous?.seq ?? ''}>${message?.seq ?? ''}`));
  channel.on('live', ({ position }) => seen.push(`live ${position}`));
  await settle();
  await world.socket.welcome();
  world.socket.push(...events);
  return { world, channel, seen };
}

const contents = ({ state }: Channel): string[] => [...state].map(([key, { seq }]) => `${key}${seq}`).sort();

describe('a state', () => {
  test('is swapped in whole when the snapshot is complete, and changes from then on', async () => {
    const { world, channel, seen } = await board(begun(8), set('a', 3), set('b', 7));
    expect([contents(channel), seen]).toEqual([[], []]);
    world.socket.push(live(8));
    expect(seen).toEqual(['a >3', 'b >7', `live ${EPOCH}-8`]);
    world.socket.push(set('a', 9), removed('b', 12));
    expect(seen.slice(3)).toEqual(['a 3>9', 'b 7>']);
    expect([contents(channel), channel.position, world.rt.report().faults]).toEqual([['a9'], `${EPOCH}-12`, 0]);
  });

  test('bears its base while the snapshot is read, on the wire too', async () => {
    const { world, channel } = await board(begun(7), set('a', 3));
    expect(channel.position).toBe(`${EPOCH}-3-7`);
    await world.socket.drop();
    await world.clock.advance(250);
    world.socket.open();
    expect(world.socket.last('subscribe').channels).toEqual([{ name: NAME, from: `${EPOCH}-3-7` }]);
  });

  test('that is cut between its last message and live is complete once its position bears no base', async () => {
    const { world, channel, seen } = await board(begun(7), set('a', 3), set('b', 7));
    // The last message is at the base: what is left to say is `live`, which never comes.
    expect(channel.position).toBe(`${EPOCH}-7`);
    expect([contents(channel), seen.pop()]).toEqual([['a3', 'b7'], `live ${EPOCH}-7`]);
    await world.socket.drop();
    await world.clock.advance(250);
    await world.socket.welcome();
    world.socket.push(begun(7, { position: `${EPOCH}-7`, recovered: true }), live(7), set('a', 8));
    expect(contents(channel)).toEqual(['a8', 'b7']);
  });

  test('goes on with the snapshot that it has when another connection goes on', async () => {
    const { world, channel } = await board(begun(7), set('a', 3));
    await world.socket.drop();
    await world.clock.advance(250);
    await world.socket.welcome();
    world.socket.push(begun(9, { position: `${EPOCH}-3-7`, recovered: true }), set('b', 6), removed('a', 9), live(9));
    expect([contents(channel), channel.position]).toEqual([['b6'], `${EPOCH}-9`]);
  });

  test('keeps what it was until the snapshot after a gap is complete, and tells only the differences', async () => {
    const { world, channel, seen } = await board(begun(2), set('a', 1), set('b', 2), live(2));
    seen.length = 0;
    world.socket.push({ type: 'gap', channel: NAME, position: `${EPOCH}-0`, head: `${EPOCH}-6`, reason: 'expired' });
    world.socket.push(set('b', 2), set('c', 5));
    expect(contents(channel)).toEqual(['a1', 'b2']);
    world.socket.push(live(6));
    expect([contents(channel), seen]).toEqual([['b2', 'c5'], ['a 1>', 'c >5', `live ${EPOCH}-6`]]);
  });

  test('that is empty is complete at once', async () => {
    const { channel, seen } = await board(begun(0), live(0));
    expect([channel.position, seen]).toEqual([`${EPOCH}-0`, [`live ${EPOCH}-0`]]);
  });

  test('read from the latest has no snapshot', async () => {
    const { channel } = await board(begun(5, { position: `${EPOCH}-5` }), live(5), set('a', 9));
    expect(contents(channel)).toEqual(['a9']);
  });

  test('publishes keys, conditions, times and deletions', async () => {
    const { world, channel } = await board(begun(0), live(0));
    const refused = expect(channel.publish(1, { key: 'a', if: 0, ttl: 9 })).rejects.toMatchObject({ code: 'conflict' });
    expect(world.socket.last('publish')).toMatchObject({ key: 'a', if: 0, ttl: 9, data: 1 });
    world.socket.push(failed('conflict', { ref: 1 }));
    await refused;
    void channel.publish(undefined, { key: 'a', deleted: true }).catch(() => {});
    expect(world.socket.last('publish')).toMatchObject({ key: 'a', deleted: true });
    expect(world.socket.last('publish')).not.toHaveProperty('data');
  });
});

describe('presence', () => {
  const PLACE = '@presence/a';
  const member = (client: string, seq: number, fields: object = {}): object =>
    message(PLACE, seq, { key: client, data: { client, since: seq }, ...fields });

  test('tells who is there, who comes and who leaves', async () => {
    const world = new World(['ws']);
    const channel = world.rt.channel('a', { presence: { name: 'Ann' } });
    const seen: string[] = [];
    channel.on('join', ({ client }) => seen.push(`+${client}`));
    channel.on('leave', ({ client }) => seen.push(`-${client}`));
    await settle();
    world.socket.open();
    expect(world.socket.last('subscribe').channels).toEqual([{ name: 'a', presence: { name: 'Ann' } }, { name: PLACE }]);
    await world.socket.welcome();
    const begun = { type: 'subscribed', channel: PLACE, kind: 'state', position: `${EPOCH}-0`, head: `${EPOCH}-2` };
    world.socket.push(begun, member('me', 1), member('you', 2), { type: 'live', channel: PLACE, position: `${EPOCH}-2` });
    expect(channel.members.map(({ client }) => client)).toEqual(['me', 'you']);
    world.socket.push(member('it', 3), member('you', 4, { deleted: true, data: undefined }), member('me', 5));
    expect(seen).toEqual(['+me', '+you', '+it', '-you']);
    expect(channel.members).toEqual([{ client: 'me', since: 5 }, { client: 'it', since: 3 }]);
  });

  test('is read only where somebody asks for it, and leaves with its channel', async () => {
    const world = new World(['sse']);
    const channel = world.rt.channel('a');
    await settle();
    expect(world.request('sse').body.channels).toEqual([{ name: 'a' }]);
    expect(channel.members).toEqual([]);
    await settle();
    expect(world.request('sse').body.channels).toEqual([{ name: 'a' }, { name: PLACE }]);
    channel.close();
    await settle();
    expect(world.rt.state.status).toBe('idle');
  });
});

describe('asking', () => {
  test('history gives messages as handlers get them', async () => {
    const { world, channel } = await board(begun(0));
    const history = channel.history({ before: `${EPOCH}-9`, limit: 2 });
    const { ref, ...command } = world.socket.last('history');
    expect(command).toEqual({ type: 'history', channel: NAME, before: `${EPOCH}-9`, limit: 2 });
    const messages = [message(NAME, 7), message(NAME, 8, { data: undefined, data64: 'AAH/' })];
    world.socket.push({ type: 'history', ref, channel: NAME, messages, position: `${EPOCH}-7`, more: true });
    const page = await history;
    expect(page).toMatchObject({ position: `${EPOCH}-7`, more: true });
    expect(page.messages.map(({ data, position }: Message) => [data, position])).toEqual([
      [{ n: 7 }, `${EPOCH}-7`],
      [new Uint8Array([0, 1, 255]), `${EPOCH}-8`],
    ]);
  });

  test('history is asked for again over another connection', async () => {
    const { world, channel } = await board(begun(0));
    const history = channel.history();
    await world.socket.drop();
    await world.clock.advance(250);
    await world.socket.welcome();
    const { ref } = world.socket.last('history');
    world.socket.push({ type: 'history', ref, channel: NAME, messages: [], position: `${EPOCH}-0`, more: false });
    expect(await history).toMatchObject({ messages: [] });
  });

  test('a call gives the result, and is never sent twice', async () => {
    const { world } = await board(begun(0));
    const call = world.rt.call('add', [1, 2]);
    const { ref, ...command } = world.socket.last('call');
    expect(command).toEqual({ type: 'call', method: 'add', data: [1, 2] });
    world.socket.push({ type: 'result', ref, data: 3 });
    expect(await call).toBe(3);
    const lost = expect(world.rt.call('add')).rejects.toMatchObject({ code: 'timeout' });
    await world.socket.drop();
    await lost;
    await world.clock.advance(250);
    await world.socket.welcome();
    expect(world.socket.count('call')).toBe(0);
  });

  test('a call that was not sent yet waits for the connection; a refusal is its answer', async () => {
    const world = new World(['ws']);
    world.rt.channel('a');
    const call = expect(world.rt.call('add')).rejects.toMatchObject({ code: 'rate_limited', retryAfter: 3000 });
    await settle();
    await world.socket.welcome();
    world.socket.push(failed('rate_limited', { ref: world.socket.last('call').ref, retry_after: 3 }));
    await call;
    expect(world.socket.count('call')).toBe(1);
  });
});

import { createElement, StrictMode, type ReactElement } from 'react';
import { act, create, type ReactTestRenderer } from 'react-test-renderer';
import { beforeAll, describe, expect, test } from 'vitest';
import { useChannel, useConnection, useMembers } from '../src/react.js';
import { EPOCH, failed, message, subscribed, World } from './fake-server.js';
import { settle } from './support.js';

beforeAll(() => {
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
});

/** Renders in StrictMode, which mounts everything twice. */
async function render(element: ReactElement): Promise<ReactTestRenderer> {
  let tree: ReactTestRenderer | undefined;
  await act(async () => {
    tree = create(createElement(StrictMode, null, element));
    await settle();
  });
  return tree!;
}

/** Until the release of a channel, which waits for the next turn, has had its turn. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

function Texts({ world, name, heard }: { world: World; name: string | null; heard?: (seq: number) => void }): string {
  const { messages, ready } = useChannel(world.rt, name, { from: 'latest', keep: 2, onMessage: ({ seq }) => heard?.(seq) });
  return `${ready} ${messages.map(({ seq }) => seq).join()}`;
}

describe('useChannel', () => {
  test('subscribes once in StrictMode, shows the newest messages, hears each once', async () => {
    const world = new World(['ws']);
    const heard: number[] = [];
    const tree = await render(createElement(Texts, { world, name: 'a', heard: (seq: number) => heard.push(seq) }));
    expect(tree.toJSON()).toBe('false ');
    await act(async () => {
      await world.socket.welcome();
      world.socket.push(subscribed('a', 0), message('a', 1), message('a', 2), message('a', 3));
    });
    expect([tree.toJSON(), heard]).toEqual(['true 2,3', [1, 2, 3]]);
    expect([world.sockets.length, world.socket.count('subscribe')]).toEqual([1, 1]);
    await act(async () => tree.unmount());
    await turn();
    await settle();
    expect([world.rt.state.status, world.clock.pending]).toEqual(['idle', 0]);
  });

  test('components share a channel, and the last one closes it', async () => {
    const world = new World(['ws']);
    const one = await render(createElement(Texts, { world, name: 'a' }));
    const two = await render(createElement(Texts, { world, name: 'a' }));
    await act(async () => world.socket.welcome());
    await act(async () => one.unmount());
    await turn();
    await act(async () => world.socket.push(subscribed('a', 0), message('a', 1)));
    expect(two.toJSON()).toBe('true 1');
    await act(async () => two.unmount());
    await turn();
    await settle();
    expect(world.rt.state.status).toBe('idle');
  });

  test('another name is another channel, and none is none', async () => {
    const world = new World(['ws']);
    const tree = await render(createElement(Texts, { world, name: 'a' }));
    await act(async () => world.socket.welcome());
    await act(async () => tree.update(createElement(StrictMode, null, createElement(Texts, { world, name: 'b' }))));
    await act(async () => turn());
    expect(world.socket.last('subscribe').channels).toEqual([{ name: 'b', from: 'latest' }]);
    expect(world.socket.last('unsubscribe').channel).toBe('a');
    await act(async () => tree.update(createElement(StrictMode, null, createElement(Texts, { world, name: null }))));
    await act(async () => turn());
    await settle();
    expect(world.rt.state.status).toBe('idle');
  });

  test('tells why nothing is read', async () => {
    const world = new World(['ws']);
    const Why = (): string => `${useChannel(world.rt, 'a').error?.code}`;
    const tree = await render(createElement(Why));
    await act(async () => {
      await world.socket.welcome();
      world.socket.push(failed('forbidden', { channel: 'a', ref: world.socket.last('subscribe').ref }));
    });
    expect(tree.toJSON()).toBe('forbidden');
    world.rt.close();
    expect((await render(createElement(Why))).toJSON()).toBe('closed');
  });
});

test('useMembers shows who is there', async () => {
  const world = new World(['ws']);
  const Names = (): string => useMembers(world.rt, 'a').map(({ client }) => client).join();
  const tree = await render(createElement(Names));
  const channel = '@presence/a';
  const member = (client: string, seq: number, fields: object = {}): object => message(channel, seq, { key: client, data: { client, since: seq }, ...fields });
  await act(async () => {
    await world.socket.welcome();
    world.socket.push({ type: 'subscribed', channel, kind: 'state', position: `${EPOCH}-0`, head: `${EPOCH}-2` }, member('me', 1), member('you', 2));
  });
  expect(tree.toJSON()).toBe('me,you');
  await act(async () => world.socket.push(member('me', 3, { deleted: true, data: undefined })));
  expect(tree.toJSON()).toBe('you');
});

test('useConnection follows the state', async () => {
  const world = new World(['ws']);
  const Status = (): string => useConnection(world.rt).status;
  const tree = await render(createElement(Status));
  expect(tree.toJSON()).toBe('idle');
  await act(async () => {
    world.rt.channel('a');
    await settle();
    await world.socket.welcome();
  });
  expect(tree.toJSON()).toBe('connected');
});

test('hooks leave no handler, on the client or on a channel, and no socket', async () => {
  const world = new World(['ws']);
  let handlers = 0;
  const count = (target: object): void => {
    const { on } = target as { on: (...args: unknown[]) => () => void };
    Object.assign(target, {
      on: (...args: unknown[]) => {
        const off = on.apply(target, args);
        handlers++;
        return () => (handlers--, off());
      },
    });
  };
  const { channel } = world.rt;
  const counted = new Set<object>();
  Object.assign(world.rt, {
    channel: (...args: Parameters<typeof channel>) => {
      const made = channel(...args);
      if (!counted.has(made)) count(made);
      counted.add(made);
      return made;
    },
  });
  count(world.rt);
  handlers = 0;
  const All = (): string => {
    useConnection(world.rt);
    useMembers(world.rt, 'a');
    return String(useChannel(world.rt, 'a').ready);
  };
  const tree = await render(createElement(All));
  await act(async () => world.socket.welcome());
  expect([handlers > 0, world.sockets.length, world.socket.count('subscribe')]).toEqual([true, 1, 1]);
  await act(async () => tree.unmount());
  await turn();
  await settle();
  expect([handlers, counted.size, world.sockets.every(({ closed }) => closed), world.clock.pending]).toEqual([0, 2, true, 0]);
});

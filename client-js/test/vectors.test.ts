import { describe, expect, test } from 'vitest';

import { TricastError } from '../src/errors.js';
import { formatPosition, parsePosition, type Position } from '../src/position.js';
import type { ServerCode, GapEvent, MessageEvent, SubscribedEvent } from '../src/protocol.js';
import { advance } from '../src/reader.js';
import { createSseParser } from '../src/sse-parser.js';
import { failed, World } from './fake-server.js';
import { settle, vectors } from './support.js';

interface DeliveryCase {
  steps: { event: SubscribedEvent | GapEvent | MessageEvent }[];
  expect: { delivered: number[]; gaps: string[]; faults: number[]; position: string | null };
}

describe('a reader moves as the vectors of delivery say', () => {
  test.each(vectors<DeliveryCase>('delivery'))('$name', ({ steps, expect: expected }) => {
    let at: Position | null = null;
    const seen: DeliveryCase['expect'] = { delivered: [], gaps: [], faults: [], position: null };
    for (const [index, { event }] of steps.entries()) {
      const next = advance(at, false, event);
      if (next === null) seen.faults.push(index);
      if (next && event.type === 'message') seen.delivered.push(event.seq);
      if (next && event.type === 'gap') seen.gaps.push(event.position);
      at = next ?? at;
    }
    expect({ ...seen, position: at && formatPosition(at) }).toEqual(expected);
  });
});

interface SseCase {
  chunks: string[];
  events: { data: string }[];
}

describe('an event stream is cut as the vectors of sse say', () => {
  const dataOf = (chunks: string[]): string[] => {
    const parse = createSseParser();
    // White space around JSON means nothing.
    return chunks.flatMap((chunk) => parse(chunk)).map((data) => data.replace(/^ /, ''));
  };
  // Of the envelope streams that this client asks for, every event is one line.
  const oneLine = ({ chunks, events }: SseCase): boolean => /\n[\r\n]$|\r\r$/.test(chunks.join('')) && !/^data$/m.test(chunks.join('')) && !events.some(({ data }) => data.includes('\n'));
  const cases = vectors<SseCase>('sse').filter(oneLine);

  test.each(cases)('$name', ({ chunks, events }) => {
    const expected = events.map(({ data }) => data);
    expect(dataOf(chunks)).toEqual(expected);
    const text = chunks.join('');
    expect(dataOf([text])).toEqual(expected);
    expect(dataOf(text.split(''))).toEqual(expected);
    for (let at = 0; at <= text.length; at++) expect(dataOf([text.slice(0, at), text.slice(at)])).toEqual(expected);
  });

  test('most of them are such streams', () => expect(cases.length).toBeGreaterThan(10));
});

interface PositionCase {
  text: string;
  position?: { epoch: string; seq: number; base?: number };
}

describe('positions are read as the vectors of positions say', () => {
  test.each(vectors<PositionCase>('positions'))('$name', ({ text, position }) => {
    const parsed = parsePosition(text);
    expect(parsed).toEqual(position ?? null);
    if (parsed) expect(formatPosition(parsed)).toBe(text);
  });
});

interface CodeCase {
  code: ServerCode;
  http: number | null;
  retry: 'no' | 'new_token' | 'yes' | 'later' | 'retry_after' | 'after';
  reconnect: boolean;
}

describe('codes mean what the vectors of codes say', () => {
  const cases = vectors<CodeCase>('codes');

  test.each(cases)('$name is retried or not', ({ code, retry }) => {
    expect(new TricastError(code, '').retryable).toBe(retry !== 'no' && retry !== 'new_token');
  });

  // `too_many_channels` costs channels, not the client: transports.test.ts.
  const statuses = cases.filter(({ http, code }) => http !== null && code !== 'too_many_channels');
  test.each(statuses)('$name as an HTTP status ends the client or not', async ({ code, http, reconnect }) => {
    const world = new World(['sse']);
    world.rt.channel('a');
    await settle();
    await world.request('sse').answer(http ?? 0, failed(code));
    expect(world.rt.state).toMatchObject({ status: reconnect ? 'waiting' : 'closed', error: { code } });
  });

  test.each(cases)('$name in a bye ends the client or not', async ({ code, reconnect }) => {
    const world = new World(['ws']);
    world.rt.channel('a');
    await settle();
    world.socket.open();
    world.socket.push({ type: 'bye', code, reason: code, reconnect });
    expect(world.rt.state).toMatchObject({ status: reconnect ? 'waiting' : 'closed', error: { code } });
  });
});

interface EventCase {
  text: string;
  ignored?: string;
  error?: string;
}

describe('a connection survives whatever the vectors of events hold', () => {
  test.each(vectors<EventCase>('events').filter(({ error }) => error === undefined))('$name', async ({ text }) => {
    const world = new World(['ws']);
    world.rt.channel('not-in-the-vectors');
    await settle();
    await world.socket.welcome();
    world.socket.onmessage?.({ data: text });
    const bye = text.includes('"type":"bye"');
    expect(world.rt.state.status).toMatch(bye ? /^(waiting|closed)$/ : /^connected$/);
  });
});

describe('a reader moves as the vectors of events say', () => {
  const cases = vectors<EventCase>('events').filter(({ error }) => error === undefined);
  const of = (type: string): { name: string; event: Record<string, unknown> }[] =>
    cases.map(({ name, text }) => ({ name, event: JSON.parse(text) as Record<string, unknown> })).filter(({ event }) => event.type === type);

  test.each(of('message'))('$name', async ({ event }) => {
    const { channel, epoch, seq, at } = event as unknown as MessageEvent;
    const world = new World(['ws']);
    const got: unknown[] = [];
    const reading = world.rt.channel(channel, { from: formatPosition({ epoch, seq: seq - 1 }) });
    reading.on('message', (message) => got.push(message));
    await settle();
    await world.socket.welcome();
    world.socket.push({ type: 'subscribed', channel, position: reading.position, head: reading.position, recovered: true }, event);
    expect(got).toEqual([expect.objectContaining({ channel, epoch, seq, at, position: `${epoch}-${seq}` })]);
    expect(reading.position).toBe(`${epoch}-${seq}`);
  });

  test.each([...of('gap'), ...of('subscribed')])('$name', ({ event }) => {
    const { type, position } = event as unknown as GapEvent;
    // A subscribed does not move a reader that has a position.
    const before = type === 'gap' ? { epoch: '0a1b2c3d4e5f', seq: 9 } : null;
    expect(parsePosition(position)).not.toBeNull();
    const after = advance(before, event.kind === 'state', event as unknown as GapEvent);
    // What begins at zero on a state is a snapshot, up to its head.
    const base = event.kind === 'state' ? `-${String(event.head).split('-')[1]}` : '';
    expect(after && formatPosition(after)).toBe(position + base);
  });

  test('none of these lists is empty', () => {
    expect(of('message').length && of('gap').length && of('subscribed').length).toBeTruthy();
  });
});

interface NameCase {
  text: string;
  valid: boolean;
}

describe('channel names are taken or refused as the vectors of names say', () => {
  // Of a name that is somewhat too long, the server says so.
  const cases = vectors<NameCase>('names').filter(({ text, valid }) => valid || text.length < 256 || text.length > 266);

  test.each(cases)('$name', ({ text, valid }) => {
    const { rt } = new World();
    const refused = expect.objectContaining({ code: 'bad_request', channel: text });
    if (valid) expect(rt.channel(text).name).toBe(text);
    else expect(() => rt.channel(text)).toThrow(refused);
  });
});

import { describe, expect, test } from 'vitest';

import { TricastError } from '../src/errors.js';
import { formatPosition, parsePosition } from '../src/position.js';
import type { ServerCode, GapEvent, MessageEvent, SubscribedEvent } from '../src/protocol.js';
import { Reader } from '../src/reader.js';
import { SseParser } from '../src/sse-parser.js';
import { failed, World } from './fake-server.js';
import { settle, vectors } from './support.js';

interface DeliveryCase {
  steps: { event: SubscribedEvent | GapEvent | MessageEvent }[];
  expect: { delivered: number[]; gaps: string[]; faults: number[]; position: string | null };
}

describe('a reader moves as the vectors of delivery say', () => {
  test.each(vectors<DeliveryCase>('delivery'))('$name', ({ steps, expect: expected }) => {
    const reader = new Reader();
    const seen: DeliveryCase['expect'] = { delivered: [], gaps: [], faults: [], position: null };
    for (const [index, { event }] of steps.entries()) {
      const verdict = reader.receive(event);
      if (verdict === 'fault') seen.faults.push(index);
      if (verdict === 'deliver' && event.type === 'message') seen.delivered.push(event.seq);
      if (verdict === 'deliver' && event.type === 'gap') seen.gaps.push(event.position);
    }
    expect({ ...seen, position: reader.position }).toEqual(expected);
  });
});

interface SseCase {
  chunks: string[];
  events: { data: string }[];
}

describe('an event stream is cut as the vectors of sse say', () => {
  const dataOf = (chunks: string[]): string[] => {
    const parser = new SseParser();
    return chunks.flatMap((chunk) => parser.push(chunk));
  };

  test.each(vectors<SseCase>('sse'))('$name', ({ chunks, events }) => {
    const expected = events.map(({ data }) => data);
    expect(dataOf(chunks)).toEqual(expected);
    const text = chunks.join('');
    expect(dataOf([text])).toEqual(expected);
    expect(dataOf(text.split(''))).toEqual(expected);
    for (let at = 0; at <= text.length; at++) expect(dataOf([text.slice(0, at), text.slice(at)])).toEqual(expected);
  });
});

interface PositionCase {
  text: string;
  position?: { epoch: string; seq: number; base?: number };
}

describe('positions are read as the vectors of positions say', () => {
  test.each(vectors<PositionCase>('positions'))('$name', ({ text, position }) => {
    // A base belongs to states, which this client does not read: to it, as to a stream, it is unreadable.
    const expected = position && position.base === undefined ? position : null;
    const parsed = parsePosition(text);
    expect(parsed).toEqual(expected);
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

  test.each(cases.filter(({ http }) => http !== null))('$name as an HTTP status ends the client or not', async ({ code, http, reconnect }) => {
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

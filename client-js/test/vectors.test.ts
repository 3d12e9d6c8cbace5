import { describe, expect, test } from 'vitest';

import type { GapEvent, MessageEvent, SubscribedEvent } from '../src/protocol.js';
import { Reader } from '../src/reader.js';
import { SseParser } from '../src/sse-parser.js';
import { vectors } from './support.js';

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

import { expect, test } from 'vitest';
import { createSseParser } from '../src/sse-parser.js';

/** What event streams are made of, with what looks like it and is not. */
const PIECES = ['data', 'data:', 'data: ', 'datax: 1', 'Data: 1', ' data: 1', 'id: 1', 'id', 'event: e', 'retry: 5', ':',
  ': comment', ' ', '{"a":1}', 'x', 'å', '\u{1f600}', '\u2028', '\u0085', '\0', '\ufeff', '\r', '\n', '\r\n', '\n', '\n\n',
  '\r\r', '\n\r', '\r\n\r\n'];

const STREAMS = 20_000;

/** The same seed gives the same numbers, from 0 to below `end`. */
function random(seed: number): (end: number) => number {
  let state = seed;
  return (end) => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) % end;
  };
}

/**
 * The lines of data of the HTML standard's section 9.2.6, a character at a time and over the whole of a stream. An envelope
 * stream has one in each block, so they are its events. JSON may begin with a space.
 */
function reference(stream: string): string[] {
  const events = [];
  let line = '';
  const characters = [...stream];
  for (const [at, character] of characters.entries()) {
    if (character !== '\r' && character !== '\n') {
      line += character;
      continue;
    }
    if (character === '\n' && characters[at - 1] === '\r') continue;
    if (line.startsWith('data:')) events.push(line.slice('data:'.length));
    line = '';
  }
  return events;
}

function cut(stream: string, below: (end: number) => number): string[] {
  const longest = 1 + below(12);
  const chunks = [];
  for (let at = 0; at < stream.length;) {
    // Now and then nothing.
    const length = below(longest + 1);
    chunks.push(stream.slice(at, at + length));
    at += length;
  }
  return chunks;
}

test('any stream, cut anywhere, gives the lines of data that the standard says', () => {
  for (let seed = 1; seed <= STREAMS; seed += 1) {
    const below = random(seed);
    const stream = Array.from({ length: below(30) }, () => PIECES[below(PIECES.length)]).join('');
    const chunks = cut(stream, below);
    const parse = createSseParser();
    const events = chunks.flatMap(parse);
    expect(events, `seed ${seed}: ${JSON.stringify(chunks)}`).toEqual(reference(stream));
  }
});

test('the random streams are no idle ones', () => {
  const below = random(1);
  const streams = Array.from({ length: 1000 }, () => Array.from({ length: 30 }, () => PIECES[below(PIECES.length)]).join(''));
  const events = streams.flatMap(reference);
  expect(events.length).toBeGreaterThan(500);
});

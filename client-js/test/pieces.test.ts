import { describe, expect, test, vi } from 'vitest';
import { createEmitter } from '../src/emitter.js';
import { createEnvironment } from '../src/environment.js';
import { MAX_BLOCK } from '../src/limits.js';
import { parsePosition } from '../src/position.js';
import { createSseParser } from '../src/sse-parser.js';

describe('backoff', () => {
  const waits = (random: number, backoff: object) => createEnvironment('http://x.test', { random: () => random, backoff })._wait;

  test('its bound doubles up to the cap and jitter spreads over all of it', () => {
    const highest = waits(1, { base: 100, cap: 1000 });
    expect([0, 1, 2, 3, 4, 5, 5000].map((failures) => highest(failures))).toEqual([100, 200, 400, 800, 1000, 1000, 1000]);
    expect(waits(0, { base: 100, cap: 1000 })(3)).toBe(0);
  });

  test('what the server asks for is waited for', () => {
    const wait = waits(1, { base: 100 });
    expect([wait(0, 5000), wait(1, 10)]).toEqual([5000, 200]);
  });

  test('a page that nobody sees spreads over all of it at once', () => {
    vi.stubGlobal('document', { hidden: true });
    expect(waits(0.5, {})(0)).toBe(15_000);
    vi.unstubAllGlobals();
  });
});

describe('positions', () => {
  test.each(['', '-', 'abc-1', '0a1b2c3d4e5f', '0a1b2c3d4e5f-', '0a1b2c3d4e5f--1', '0a1b2c3d4e5f-01', '0A1b2c3d4e5f-1',
    '0a1b2c3d4e5f-1 ', '0a1b2c3d4e5f-1.5', '0a1b2c3d4e5f-1e3', '0a1b2c3d4e5f-9007199254740992', '0a1b2c3d4e5f67890-1'])(
    '%j is none', (text) => expect(parsePosition(text)).toBeNull());

  test('an epoch has 12 to 16 characters', () => {
    expect(parsePosition('0a1b2c3d4e5f-0')).toEqual({ epoch: '0a1b2c3d4e5f', seq: 0 });
    expect(parsePosition('0a1b2c3d4e5f6789-9007199254740991')).toEqual({ epoch: '0a1b2c3d4e5f6789', seq: 2 ** 53 - 1 });
  });
});

describe('emitter', () => {
  test('a handler that throws is reported and stops no other', () => {
    const report = vi.spyOn(console, 'error').mockImplementation(() => {});
    const emitter = createEmitter<{ a: number }>();
    const seen: number[] = [];
    emitter.on('a', () => {
      throw new Error('mine');
    });
    emitter.on('a', (value) => seen.push(value));
    emitter.emit('a', 1);
    expect(seen).toEqual([1]);
    expect(report).toHaveBeenCalledOnce();
    report.mockRestore();
  });

  test('a handler that is added during an event waits for the next one', () => {
    const emitter = createEmitter<{ a: number }>();
    const seen: number[] = [];
    emitter.on('a', () => void emitter.on('a', (value) => seen.push(value)));
    emitter.emit('a', 1);
    expect(seen).toEqual([]);
    emitter.emit('a', 2);
    expect(seen).toEqual([2]);
  });

  test('a handler that was removed is not called', () => {
    const emitter = createEmitter<{ a: number }>();
    const seen: number[] = [];
    emitter.on('a', (value) => seen.push(value))();
    emitter.emit('a', 1);
    expect(seen).toEqual([]);
  });
});

describe('environment', () => {
  test('endpoints lie below the mount, with or without its slash', () => {
    expect(createEnvironment('http://x.test/rt', {})._url('sse')).toBe('http://x.test/rt/sse');
    expect(createEnvironment('http://x.test/rt/', {})._url('sse')).toBe('http://x.test/rt/sse');
  });

  test('a relative mount belongs to the page, and has no meaning without one', () => {
    vi.stubGlobal('location', { href: 'https://app.test/deep/page?x#y' });
    expect(createEnvironment('/rt', {})._url('ws')).toBe('https://app.test/rt/ws');
    vi.unstubAllGlobals();
    expect(() => createEnvironment('/rt', {})).toThrow(TypeError);
  });

  test('client ids are random and of the protocol\'s form', () => {
    const ids = [1, 2].map(() => createEnvironment('http://x.test', {}).client);
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{8,64}$/);
    expect(ids[0]).not.toBe(ids[1]);
  });
});

describe('the bound of the event stream parser', () => {
  const tooLarge = expect.objectContaining({ code: 'too_large' });

  test('a line that outgrows it is an error', () => {
    expect(() => createSseParser()(`data: ${'x'.repeat(MAX_BLOCK)}`)).toThrow(tooLarge);
  });

  test('many lines below it are none', () => {
    const parse = createSseParser();
    const block = `data: ${'x'.repeat(MAX_BLOCK / 2)}\n\n`;
    for (let n = 0; n < 4; n++) expect(parse(block)).toHaveLength(1);
  });
});

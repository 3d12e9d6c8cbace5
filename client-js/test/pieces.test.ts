import { describe, expect, test, vi } from 'vitest';
import { Backoff } from '../src/backoff.js';
import { Emitter } from '../src/emitter.js';
import { Environment } from '../src/environment.js';
import { MAX_BLOCK } from '../src/limits.js';
import { parsePosition } from '../src/position.js';
import { SseParser } from '../src/sse-parser.js';

describe('backoff', () => {
  test('its bound doubles up to the cap and jitter spreads over all of it', () => {
    const highest = new Backoff(() => 1, { base: 100, cap: 1000 });
    expect([1, 2, 3, 4, 5, 6].map(() => highest.next())).toEqual([100, 200, 400, 800, 1000, 1000]);
    const lowest = new Backoff(() => 0, { base: 100, cap: 1000 });
    expect([1, 2, 3].map(() => lowest.next())).toEqual([0, 0, 0]);
  });

  test('what the server asks for is waited for, and a reset starts over', () => {
    const backoff = new Backoff(() => 1, { base: 100 });
    expect(backoff.next(5000)).toBe(5000);
    expect(backoff.next(10)).toBe(200);
    backoff.reset();
    expect(backoff.next()).toBe(100);
  });

  test('a wait that no timer can hold becomes the longest that one can', () => {
    expect(new Backoff(() => 0).next(1e15)).toBe(2 ** 31 - 1);
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
    const emitter = new Emitter<{ a: number }>();
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
    const emitter = new Emitter<{ a: number }>();
    const seen: number[] = [];
    emitter.on('a', () => void emitter.on('a', (value) => seen.push(value)));
    emitter.emit('a', 1);
    expect(seen).toEqual([]);
    emitter.emit('a', 2);
    expect(seen).toEqual([2]);
  });

  test('a handler that was removed is not called', () => {
    const emitter = new Emitter<{ a: number }>();
    const seen: number[] = [];
    emitter.on('a', (value) => seen.push(value))();
    emitter.emit('a', 1);
    expect(seen).toEqual([]);
  });
});

describe('environment', () => {
  test('endpoints lie below the mount, with or without its slash', () => {
    expect(new Environment('http://x.test/rt', {}).url('sse')).toBe('http://x.test/rt/sse');
    expect(new Environment('http://x.test/rt/', {}).url('sse')).toBe('http://x.test/rt/sse');
  });

  test('a relative mount belongs to the page, and has no meaning without one', () => {
    vi.stubGlobal('location', { href: 'https://app.test/deep/page?x#y' });
    expect(new Environment('/rt', {}).url('ws')).toBe('https://app.test/rt/ws');
    vi.unstubAllGlobals();
    expect(() => new Environment('/rt', {})).toThrow(TypeError);
  });

  test('client ids are random and of the protocol\'s form', () => {
    const ids = [1, 2].map(() => new Environment('http://x.test', {}).client);
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{8,64}$/);
    expect(ids[0]).not.toBe(ids[1]);
  });
});

describe('the bound of the event stream parser', () => {
  test('a line, or a block of many lines, that outgrows it is an error', () => {
    const line = new SseParser();
    expect(() => line.push(`data: ${'x'.repeat(MAX_BLOCK)}`)).toThrow(RangeError);
    const block = new SseParser();
    const half = `data: ${'x'.repeat(MAX_BLOCK / 2)}\n`;
    block.push(half);
    expect(() => block.push(half)).toThrow(RangeError);
  });

  test('what the server announces may be more', () => {
    const parser = new SseParser();
    parser.max = 2 * MAX_BLOCK;
    expect(parser.push(`data: ${'x'.repeat(MAX_BLOCK + 1)}\n\n`)).toHaveLength(1);
    expect(() => parser.push(`data: ${'x'.repeat(2 * MAX_BLOCK)}`)).toThrow(RangeError);
  });

  test('many blocks below it are none', () => {
    const parser = new SseParser();
    const block = `data: ${'x'.repeat(MAX_BLOCK / 2)}\n\n`;
    for (let n = 0; n < 4; n++) expect(parser.push(block)).toHaveLength(1);
  });
});

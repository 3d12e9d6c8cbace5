import { readFileSync } from 'node:fs';
import type { Clock } from '../src/index.js';

const VECTORS = new URL('../../tests/vectors/', import.meta.url);

/** The cases of one file of vectors. */
export function vectors<Case>(name: string): (Case & { name: string })[] {
  const file = JSON.parse(readFileSync(new URL(`${name}.json`, VECTORS), 'utf8')) as { cases: (Case & { name: string })[] };
  return file.cases;
}

/** Lets everything that is ready run: promises of any depth, and nothing that waits for the fake clock. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Time that stands still until it is moved. */
export class FakeClock implements Clock {
  #now = 1_000_000;
  readonly #timers = new Map<object, { at: number; callback: () => void }>();

  now(): number {
    return this.#now;
  }

  timer(ms: number, callback: () => void): () => void {
    const key = {};
    this.#timers.set(key, { at: this.#now + ms, callback });
    return () => void this.#timers.delete(key);
  }

  /** How many timers run. */
  get pending(): number {
    return this.#timers.size;
  }

  /** The machine sleeps: time passes, and what became due meanwhile runs late. */
  async sleep(ms: number): Promise<void> {
    this.#now += ms;
    await this.advance(0);
  }

  /** Moves time, and lets what becomes due run in order. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settle();
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.#now = Math.max(this.#now, due[1].at);
      due[1].callback();
    }
    this.#now = end;
    await settle();
  }
}

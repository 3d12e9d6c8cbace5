import type { Backoff } from './backoff.js';
import { check } from './check.js';
import { randomId, type Environment } from './environment.js';
import { TricastError } from './errors.js';
import { ANSWER_TIMEOUT, DEFAULT_CAPACITY, ID_MEMORY, MAX_ARRAY, MAX_BATCH } from './limits.js';
import type { PublishedEvent, Ref } from './protocol.js';
import type { Sendable, Transport } from './transport/transport.js';

/** Options of one publish. */
export interface PublishOptions {
  /** The message's event name: 1 to 64 of `[A-Za-z0-9_.:/-]`; not `error`, `open`, nor beginning with `tricast:`. */
  readonly event?: string;
  /** Makes the publish idempotent: 1 to 64 visible ASCII characters. Default: random. */
  readonly id?: string;
  /** Stops waiting, and repeating, for this publish; it may have taken effect. */
  readonly signal?: AbortSignal;
}

/** The message is in the log. */
export interface Published {
  readonly id: string;
  readonly position: string;
  /** It was there already under this id. */
  readonly duplicate: boolean;
}

/** The connection over which publishes go. */
export type Carrier = Pick<Transport, 'send' | 'parallel'>;

interface Entry extends Sendable {
  /** Bytes of the stored payload. */
  readonly size: number;
  /** When it was sent first; 0 before. */
  sentAt: number;
  /** Ends it, well or for a reason; later calls do nothing. */
  settle(published: PublishedEvent | null, reason?: unknown): void;
}

/** The publishes of one channel that are not settled, oldest first. */
interface Lane {
  readonly channel: string;
  readonly waiting: Set<Entry>;
  /** Those under way that are not answered. */
  readonly flying: Set<Entry>;
  readonly backoff: Backoff;
  /** While a batch is under way, or the wait after a failed one runs: gives that up. */
  cancel: (() => void) | null;
}

/**
 * Publishes that are not acknowledged yet. A channel has at most one batch under way, so a retry never reorders; it keeps
 * its ids, so a retry never doubles. Without a carrier everything waits.
 */
export class Outbox {
  /** Bytes of payload that the server takes, as far as it has said so. */
  limit = Infinity;
  readonly #env: Environment;
  readonly #capacity: number;
  /** Those that have something to do, in the order in which they may send. */
  readonly #lanes = new Map<string, Lane>();
  #carrier: Carrier | null = null;
  #refs = 0;
  #count = 0;
  /** Why nothing is taken any more. */
  #closed: TricastError | null = null;

  constructor(env: Environment) {
    this.#env = env;
    this.#capacity = env.options.outbox ?? DEFAULT_CAPACITY;
  }

  /** Queues one publish. `data` is encoded at once: what changes later is not sent. */
  publish(channel: string, data: unknown, { event, id = randomId(), signal }: PublishOptions = {}): Promise<Published> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw this.#closed;
      if (signal?.aborted) throw signal.reason;
      check('name', channel, channel);
      check('id', id, channel);
      if (event !== undefined) check('event', event, channel);
      if (this.#count >= this.#capacity) throw new TricastError('outbox_full', 'too many publishes wait', channel);
      const ref = ++this.#refs;
      const payload = encode(data, channel);
      const text = `${JSON.stringify({ type: 'publish', channel, event, id, ref }).slice(0, -1)},"data":${payload}}`;
      const { length: size } = new TextEncoder().encode(payload);
      const lane = this.#lane(channel);
      const abort = (): void => entry.settle(null, signal?.reason);
      const settle: Entry['settle'] = (published, reason) => {
        if (!lane.waiting.delete(entry)) return;
        this.#count--;
        signal?.removeEventListener('abort', abort);
        if (published) resolve({ id, position: published.position, duplicate: published.duplicate });
        else reject(reason);
      };
      const entry: Entry = { ref, text, size, sentAt: 0, settle };
      signal?.addEventListener('abort', abort);
      this.#count++;
      lane.waiting.add(entry);
      this.#pump();
    });
  }

  /** From now on this connection carries; null: none does. What is not answered is sent again, and nothing waits. */
  attach(carrier: Carrier | null): void {
    this.#carrier = carrier;
    for (const lane of [...this.#lanes.values()]) this.#free(lane);
    this.#pump();
  }

  /** What became of a publish. */
  outcome(ref: Ref | undefined, outcome: PublishedEvent | TricastError): void {
    for (const lane of this.#lanes.values()) {
      for (const entry of lane.flying) if (entry.ref === ref) return this.#take(lane, entry, outcome);
    }
  }

  /** Rejects everything, also what comes later. */
  close(error: TricastError): void {
    this.#closed = error;
    for (const lane of this.#lanes.values()) {
      for (const entry of lane.waiting) entry.settle(null, error);
      this.#free(lane);
    }
  }

  #lane(channel: string): Lane {
    let lane = this.#lanes.get(channel);
    if (!lane) {
      const backoff = this.#env.backoff();
      lane = { channel, waiting: new Set(), flying: new Set(), backoff, cancel: null };
      this.#lanes.set(channel, lane);
    }
    return lane;
  }

  /** Ends what keeps a lane busy, and puts it behind the others, or away where it has nothing to do. */
  #free(lane: Lane): void {
    lane.cancel?.();
    lane.cancel = null;
    lane.flying.clear();
    this.#lanes.delete(lane.channel);
    if (lane.waiting.size > 0) this.#lanes.set(lane.channel, lane);
  }

  #next(lane: Lane): void {
    this.#free(lane);
    this.#pump();
  }

  /** Sends as much as the carrier takes at once. */
  #pump(): void {
    const carrier = this.#carrier;
    if (!carrier) return;
    const lanes = [...this.#lanes.values()];
    let room = carrier.parallel;
    for (const { flying } of lanes) if (flying.size > 0) room--;
    for (const lane of lanes) if (room > 0 && !lane.cancel && this.#send(lane, carrier)) room--;
  }

  #send(lane: Lane, carrier: Carrier): boolean {
    const batch = this.#batch(lane);
    if (batch.length === 0) {
      this.#free(lane);
      return false;
    }
    for (const entry of batch) lane.flying.add(entry);
    const stop = this.#env.clock.timer(ANSWER_TIMEOUT, () => this.#retry(lane));
    const abort = carrier.send(batch);
    lane.cancel = () => {
      stop();
      abort();
    };
    return true;
  }

  /** Takes the oldest publishes that fit into one array, and settles those that must not be sent. */
  #batch({ waiting, channel }: Lane): Entry[] {
    const now = this.#env.clock.now();
    const batch: Entry[] = [];
    let size = 0;
    for (const entry of waiting) {
      if (entry.size > this.limit) {
        entry.settle(null, new TricastError('too_large', `${entry.size} of ${this.limit} bytes`, channel));
      } else if (entry.sentAt && now - entry.sentAt > ID_MEMORY) {
        entry.settle(null, new TricastError('timeout', 'the outcome is unknown', channel));
      } else {
        // In bytes a character is at most three.
        size += entry.text.length * 3;
        if (batch.length === MAX_BATCH || (batch.length > 0 && size > Math.min(this.limit, MAX_ARRAY))) break;
        batch.push(entry);
        if (!entry.sentAt) entry.sentAt = now;
      }
    }
    return batch;
  }

  #take(lane: Lane, entry: Entry, outcome: PublishedEvent | TricastError): void {
    if (!(outcome instanceof TricastError)) entry.settle(outcome);
    else if (outcome.retryable) return this.#retry(lane, outcome.retryAfter);
    else entry.settle(null, outcome);
    lane.flying.delete(entry);
    if (lane.flying.size > 0) return;
    lane.backoff.reset();
    this.#next(lane);
  }

  /** Sends what is left after a wait, while others may have its place. */
  #retry(lane: Lane, atLeast?: number): void {
    this.#free(lane);
    if (lane.waiting.size > 0) lane.cancel = this.#env.clock.timer(lane.backoff.next(atLeast), () => this.#next(lane));
    this.#pump();
  }
}

function encode(data: unknown, channel: string): string {
  let cause: unknown;
  try {
    const payload = JSON.stringify(data) as string | undefined;
    if (payload) return payload;
  } catch (thrown) {
    cause = thrown;
  }
  throw new TricastError('bad_request', 'no JSON form', channel, undefined, cause);
}

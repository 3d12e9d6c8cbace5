import { Backoff, type BackoffOptions } from './backoff.js';
import { randomId, type Environment } from './environment.js';
import { asError, TricastError, unreachable } from './errors.js';
import { errorOf, type PublishedEvent, type ServerEvent, type WelcomeEvent } from './protocol.js';
import type { Sendable, Transport } from './transport/transport.js';

/** Options of one publish. */
export interface PublishOptions {
  /** The message's event name. */
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
export type Carrier = Pick<Transport, 'send'>;

/** Commands in one array (protocol section 2). */
const MAX_BATCH = 64;

/** Bytes of payload that the server takes by default; `welcome` may say otherwise. */
const DEFAULT_MESSAGE_LIMIT = 65_536;

/** Publishes that wait by default. */
const DEFAULT_CAPACITY = 1000;

/** Milliseconds after which a batch without an answer is sent again. */
const ANSWER_TIMEOUT = 15_000;

/** Milliseconds for which a retry is safe: servers remember an id for five minutes, and clocks differ a little. */
const ID_MEMORY = 4.5 * 60_000;

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
  readonly entries: Set<Entry>;
  readonly backoff: Backoff;
  /** A batch is unacknowledged, or the wait after a failed one runs. */
  busy: boolean;
  cancelWait(): void;
}

/**
 * Publishes that are not acknowledged yet. A channel has at most one batch under way, so a retry never reorders; it keeps
 * its ids, so a retry never doubles. Without a carrier everything waits.
 */
export class Outbox {
  readonly #env: Environment;
  readonly #capacity: number;
  readonly #backoff: BackoffOptions | undefined;
  readonly #lanes = new Map<string, Lane>();
  #carrier: Carrier | null = null;
  #limit = DEFAULT_MESSAGE_LIMIT;
  #refs = 0;
  #count = 0;

  constructor(env: Environment, capacity = DEFAULT_CAPACITY, backoff?: BackoffOptions) {
    this.#env = env;
    this.#capacity = capacity;
    this.#backoff = backoff;
  }

  /** Queues one publish. `data` is encoded at once: what changes later is not sent. */
  publish(channel: string, data: unknown, { event, id = randomId(), signal }: PublishOptions): Promise<Published> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) throw signal.reason;
      if (this.#count >= this.#capacity) throw new TricastError('outbox_full', 'too many publishes wait', channel);
      const ref = ++this.#refs;
      const payload = JSON.stringify(data) as string | undefined;
      if (!payload) throw new TricastError('bad_request', 'the data has no JSON form', channel);
      const text = `${JSON.stringify({ type: 'publish', channel, event, id, ref }).slice(0, -1)},"data":${payload}}`;
      const { length: size } = new TextEncoder().encode(payload);
      const lane = this.#lane(channel);
      const abort = (): void => entry.settle(null, signal?.reason);
      const settle: Entry['settle'] = (published, reason) => {
        if (!lane.entries.delete(entry)) return;
        this.#count--;
        signal?.removeEventListener('abort', abort);
        if (published) resolve({ id, position: published.position, duplicate: published.duplicate });
        else reject(reason);
      };
      const entry: Entry = { ref, text, size, sentAt: 0, settle };
      signal?.addEventListener('abort', abort);
      this.#count++;
      lane.entries.add(entry);
      this.#pump(lane);
    });
  }

  /** From now on this connection carries; null: none does. */
  attach(carrier: Carrier | null): void {
    this.#carrier = carrier;
    for (const lane of this.#lanes.values()) this.#pump(lane);
  }

  /** Takes the server's limits. */
  welcome({ limits }: WelcomeEvent): void {
    this.#limit = limits?.message ?? DEFAULT_MESSAGE_LIMIT;
  }

  /** Rejects what waits for this channel. */
  drop(channel: string, error: TricastError): void {
    const lane = this.#lanes.get(channel);
    if (!lane) return;
    this.#lanes.delete(channel);
    lane.cancelWait();
    for (const entry of lane.entries) entry.settle(null, error);
  }

  #lane(channel: string): Lane {
    let lane = this.#lanes.get(channel);
    if (!lane) {
      const backoff = new Backoff(this.#env.random, this.#backoff);
      lane = { channel, entries: new Set(), backoff, busy: false, cancelWait() {} };
      this.#lanes.set(channel, lane);
    }
    return lane;
  }

  #pump(lane: Lane): void {
    const carrier = this.#carrier;
    if (!carrier || lane.busy) return;
    const batch = this.#next(lane);
    if (batch.length > 0) void this.#send(lane, batch, carrier);
  }

  /** Takes the oldest publishes that fit into one array, and settles those that must not be sent. */
  #next({ entries, channel }: Lane): Entry[] {
    const now = this.#env.clock.now();
    const batch: Entry[] = [];
    let size = 0;
    for (const entry of entries) {
      if (entry.size > this.#limit) {
        entry.settle(null, new TricastError('too_large', `${entry.size} of ${this.#limit} bytes`, channel));
      } else if (entry.sentAt && now - entry.sentAt > ID_MEMORY) {
        entry.settle(null, new TricastError('timeout', 'the outcome is unknown', channel));
      } else {
        // In bytes a character is at most three.
        size += entry.text.length * 3;
        if (batch.length === MAX_BATCH || (batch.length > 0 && size > this.#limit)) break;
        batch.push(entry);
        entry.sentAt ||= now;
      }
    }
    return batch;
  }

  async #send(lane: Lane, batch: readonly Entry[], carrier: Carrier): Promise<void> {
    const { clock } = this.#env;
    lane.busy = true;
    const abort = new AbortController();
    const cancel = clock.timer(ANSWER_TIMEOUT, () => abort.abort());
    const failure = settle(batch, await carrier.send(batch, abort.signal).catch(asError));
    cancel();
    const next = (): void => {
      lane.busy = false;
      this.#pump(lane);
    };
    if (!failure) lane.backoff.reset();
    // A lost connection is waited for by `attach`, not by time.
    if (!failure || (failure.code === 'unreachable' && carrier !== this.#carrier)) next();
    else lane.cancelWait = clock.timer(lane.backoff.next(failure.retryAfter), next);
  }
}

/** Settles what was answered for good. @returns why the rest must be tried again, null where nothing is left. */
function settle(batch: readonly Entry[], outcome: ServerEvent[] | TricastError): TricastError | null {
  for (const entry of batch) {
    const answer = outcome instanceof TricastError ? outcome : answerTo(entry, outcome);
    if (!(answer instanceof TricastError)) entry.settle(answer);
    else if (answer.retryable) return answer;
    else entry.settle(null, answer);
  }
  return null;
}

function answerTo({ ref }: Entry, events: readonly ServerEvent[]): PublishedEvent | TricastError {
  for (const event of events) {
    if (event.type === 'published' && event.ref === ref) return event;
    if (event.type === 'error' && event.ref === ref) return errorOf(event);
  }
  return unreachable('no answer to a publish');
}

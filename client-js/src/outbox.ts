import { createTimer, type Environment } from './environment.js';
import { asError, TricastError, unreachable } from './errors.js';
import { ANSWER_TIMEOUT, ID_MEMORY, MAX_BATCH, MAX_ENVELOPE } from './limits.js';
import { asEvent, errorOf, type AnswerEvent, type Ref, type ServerEvent } from './protocol.js';
import { post } from './transport/post.js';

/** Options of one publish. */
export interface PublishOptions {
  /** The message's event name: 1 to 64 of `[A-Za-z0-9_.:/-]`; not `error`, `open`, nor beginning with `tricast:`. */
  readonly event?: string;
  /** Makes the publish idempotent: 1 to 64 visible ASCII characters. Default: random. */
  readonly id?: string;
  /** On a state: what is set. */
  readonly key?: string;
  /** On a state: removes the key; there is no data then. */
  readonly deleted?: boolean;
  /** On a state: seconds after which the key is removed. */
  readonly ttl?: number;
  /** On a state: the seq of the key's present message, 0 where there is none; else it is refused as a `conflict`. */
  readonly if?: number;
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

/** What sends a text of commands; the answers come to `_outcome`. */
export type Send = (text: string) => void;

/** Commands that are not answered yet. */
export interface Outbox {
  /** Bytes of payload that the server takes, as far as it has said so. */
  _limit: number;
  /**
   * Sends a command until it is answered. It is encoded at once: what changes later is not sent. Rejects with a TricastError,
   * with the signal's reason, or with the TypeError that tells that there is no JSON form.
   *
   * @param lane Those of one lane keep their order; undefined: on its own, and sent once at most.
   */
  _ask(command: object, signal: AbortSignal | undefined, lane?: string): Promise<AnswerEvent>;
  /** From now on this carries, or POST where it is undefined; null: nothing does. What is not answered is sent again. */
  _attach(send: Send | null | undefined): void;
  /** What became of a command. */
  _outcome(event: ServerEvent): void;
  /** Rejects everything, also what comes later. */
  _close(error: TricastError): void;
}

interface Entry {
  readonly _ref: Ref;
  readonly _lane: Ref;
  readonly _isOnce: boolean;
  readonly _text: string;
  /** When it was sent first; never at first. */
  _sentAt: number;
  _failures: number;
  /** Ends it, well or for a reason; later calls do nothing. */
  _settle(reason: unknown, answer?: AnswerEvent): void;
}

/**
 * Commands until they are answered, oldest first. A channel has at most one batch of publishes under way, so a retry never
 * reorders; it keeps its ids, so a retry never doubles. Where nothing carries, everything waits.
 *
 * @param stuck Called when there was no answer.
 */
export function createOutbox(env: Environment, stuck: () => void): Outbox {
  const { clock, outbox: capacity } = env;
  const waiting = new Set<Entry>();
  /** Those of the waiting, or given up since, that are under way and not answered. */
  const flying = new Set<Entry>();
  /** What cancels the rest of a lane that has failed. */
  const resting = new Map<Ref, () => void>();
  let carrier: Send | null | undefined;
  const timer = createTimer(env);
  let abort: AbortController | undefined;
  let refs = 0;
  /** Why nothing is taken any more. */
  let closed: TricastError | undefined;

  const pump = (): void => {
    // There is one POST at a time: a browser opens six connections to a host, and some must be left to the reading.
    if (carrier === null || (flying.size && !carrier)) return;
    const batch = take();
    if (!batch[0]) return;
    timer(ANSWER_TIMEOUT, () => fail(unreachable('no answer')));
    const text = `[${batch.map(({ _text }) => _text)}]`;
    if (carrier) carrier(text);
    else void sendByPost(text, (abort = new AbortController()).signal);
  };

  const sendByPost = async (text: string, signal: AbortSignal): Promise<void> => {
    try {
      const response = await post(env, 'send', text, signal);
      for (const event of await response.json()) outbox._outcome(asEvent(event));
      throw unreachable('no answer');
    } catch (thrown) {
      if (!signal.aborted) fail(asError(thrown));
    }
  };

  /** Takes the oldest that fit into one array, and settles those that must not be sent. */
  const take = (): Entry[] => {
    const now = clock.now();
    const busy = [...resting.keys(), ...[...flying].map(({ _lane }) => _lane)];
    const batch: Entry[] = [];
    // In bytes a character is at most three, and a WebSocket message may have twice the limit.
    let room = outbox._limit / 2;
    for (const entry of waiting) {
      if (busy.includes(entry._lane)) continue;
      // The server refuses what is somewhat too large, but for what is far too large it ends a WebSocket.
      if (entry._text.length > outbox._limit + MAX_ENVELOPE) entry._settle(new TricastError('too_large'));
      else if (now - entry._sentAt > ID_MEMORY) entry._settle(unknown());
      else {
        room -= entry._text.length;
        if (batch[0] && (room < 0 || batch.length === MAX_BATCH)) break;
        batch.push(entry);
        flying.add(entry);
        entry._sentAt = Math.min(entry._sentAt, now);
      }
    }
    return batch;
  };

  const fail = (error: TricastError): void => {
    for (const entry of flying) conclude(entry, error);
    if (error.code === 'unreachable') stuck();
  };

  const conclude = (entry: Entry, outcome: AnswerEvent | TricastError): void => {
    const { _lane: lane } = entry;
    flying.delete(entry);
    if (!(outcome instanceof TricastError)) entry._settle(null, outcome);
    else if (entry._isOnce || !outcome.retryable) entry._settle(outcome);
    else {
      // What follows in its lane is not tried either, here as there.
      for (const other of flying) if (other._lane === lane) flying.delete(other);
      rest(lane, env._wait(entry._failures++, outcome.retryAfter));
    }
    if (!flying.size) land();
    pump();
  };

  const rest = (lane: Ref, ms: number): void => {
    const wake = clock.timer(ms, () => {
      resting.delete(lane);
      pump();
    });
    resting.set(lane, wake);
  };

  /** Nothing is under way any more. */
  const land = (): void => {
    timer();
    abort?.abort();
  };

  const clear = (): void => {
    land();
    for (const wake of resting.values()) wake();
    for (const { _isOnce, _settle } of flying) if (_isOnce) _settle(unknown());
    resting.clear();
    flying.clear();
  };

  const outbox: Outbox = {
    _limit: Infinity,
    _ask: (command, signal, lane) =>
      new Promise((resolve, reject) => {
        if (closed) throw closed;
        if (signal?.aborted) throw signal.reason;
        if (waiting.size >= capacity) throw new TricastError('outbox_full', undefined, lane);
        const ref = ++refs;
        const text = JSON.stringify({ ...command, ref });
        const entry: Entry = {
          _ref: ref,
          _lane: lane ?? ref,
          _isOnce: !lane,
          _text: text,
          _sentAt: Infinity,
          _failures: 0,
          _settle(reason, answer) {
            waiting.delete(entry);
            signal?.removeEventListener('abort', giveUp);
            if (answer) resolve(answer);
            else reject(reason);
          },
        };
        const giveUp = (): void => entry._settle(signal!.reason);
        signal?.addEventListener('abort', giveUp);
        waiting.add(entry);
        pump();
      }),
    _attach(send) {
      clear();
      carrier = send;
      pump();
    },
    _outcome(event) {
      const { ref } = event as AnswerEvent;
      for (const entry of flying) {
        if (entry._ref === ref) conclude(entry, event.type === 'error' ? errorOf(event) : (event as AnswerEvent));
      }
    },
    _close(error) {
      closed = error;
      clear();
      for (const { _settle } of waiting) _settle(error);
    },
  };
  return outbox;
}

/** The server may or may not have done it. */
function unknown(): TricastError {
  return new TricastError('timeout');
}

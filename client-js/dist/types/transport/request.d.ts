import type { Environment } from '../environment.js';
import { type Expect, type Link, type Sink } from './link.js';
/**
 * What reads in one transport's way, until it throws or `signal` says stop. What it still brings after that does not count.
 *
 * @param ask Asks for all channels at their positions.
 */
export type Read = (ask: (endpoint: string, wait?: number) => Promise<Response>, signal: AbortSignal, expect: Expect) => Promise<void>;
/**
 * What SSE and long-polling share: a request asks for a whole channel set, so another set is another request, which goes
 * on where this one stopped; and commands go by `POST send`.
 */
export declare function openRequests(env: Environment, sink: Sink, patience: number, read: Read): Link;

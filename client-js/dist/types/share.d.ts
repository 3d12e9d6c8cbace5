import { type Environment } from './environment.js';
import type { Sink } from './transport/link.js';
/** Hears what the leader brings, until this tab misses something, or `signal` aborts. */
export declare function follow(env: Environment, sink: Sink, signal: AbortSignal): Promise<void>;

import { type OpenLink } from './link.js';
/**
 * Server-sent events, read from a `fetch` stream: unlike an `EventSource` it can POST, set headers, see comments and
 * tell why it failed.
 */
export declare const openSse: OpenLink;

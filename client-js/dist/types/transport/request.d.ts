import { type OpenLink } from './link.js';
/**
 * SSE and long-polling: a request asks for a whole channel set, so another set is another request, which goes on where this
 * one stopped; and commands go by `POST send`.
 *
 * SSE is read from a `fetch` stream: unlike an `EventSource` it can POST, set headers, see comments and tell why it failed.
 * Of polling, each batch is a request: what was handled is in the next one's positions, so nothing is lost.
 */
export declare const openRequests: (name: "sse" | "poll") => OpenLink;

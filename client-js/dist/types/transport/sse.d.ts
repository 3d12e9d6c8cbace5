import { RequestTransport } from './request.js';
/**
 * Server-sent events, read from a `fetch` stream: unlike an `EventSource` it can POST, set headers, see comments and
 * tell why it failed.
 */
export declare class SseTransport extends RequestTransport {
    protected read(signal: AbortSignal): Promise<void>;
}

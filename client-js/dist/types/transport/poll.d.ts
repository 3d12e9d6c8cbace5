import { RequestTransport } from './request.js';
import type { Want } from './transport.js';
/** Long-polling: one request a batch. What was handled is in the next request's positions, so nothing is lost. */
export declare class PollTransport extends RequestTransport {
    #private;
    protected read(wants: Want[], signal: AbortSignal): Promise<void>;
}

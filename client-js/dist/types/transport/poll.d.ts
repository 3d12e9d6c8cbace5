import { RequestTransport } from './request.js';
/** Long-polling: one request a batch. What was handled is in the next request's positions, so nothing is lost. */
export declare class PollTransport extends RequestTransport {
    #private;
    close(): void;
    protected read(signal: AbortSignal): Promise<void>;
}

import { Link } from './link.js';
import type { Sendable, Transport, Want } from './transport.js';
/**
 * What SSE and long-polling share: a request asks for a whole channel set, so another set is another request, which goes
 * on where this one stopped; and commands go by `POST send`.
 */
export declare abstract class RequestTransport extends Link implements Transport {
    #private;
    readonly parallel = 2;
    /** What the newest request asked for; empty where that must be asked anew. */
    protected wants: readonly Want[];
    /** Reads until `signal` says stop. What it throws ends the connection. */
    protected abstract read(signal: AbortSignal): Promise<void>;
    update(): void;
    forget(channel: string): void;
    send(batch: readonly Sendable[]): () => void;
    close(): void;
    /** Asks for channels. @throws TricastError of the server, or anything else where nobody or somebody else answered. */
    protected ask(endpoint: string, signal: AbortSignal, wait?: number): Promise<Response>;
    protected post(endpoint: string, body: string, signal: AbortSignal): Promise<Response>;
}

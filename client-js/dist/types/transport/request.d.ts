import type { Environment } from '../environment.js';
import { type ServerEvent } from '../protocol.js';
import type { Sendable, Sink, Transport, Want } from './transport.js';
/**
 * What SSE and long-polling share: a request asks for a whole channel set, so another set is another request, which goes
 * on where this one stopped; and commands go by `POST send`.
 */
export declare abstract class RequestTransport implements Transport {
    #private;
    protected readonly env: Environment;
    protected readonly sink: Sink;
    protected readonly patience: number;
    constructor(env: Environment, sink: Sink, patience: number);
    /** Reads until `signal` says stop. What it throws ends the connection. */
    protected abstract read(wants: Want[], signal: AbortSignal): Promise<void>;
    update(): void;
    again(): void;
    send(batch: readonly Sendable[], signal: AbortSignal): Promise<ServerEvent[]>;
    close(): void;
    /** Asks for channels. @throws TricastError of the server, or anything else where nobody or somebody else answered. */
    protected ask(endpoint: string, channels: readonly Want[], signal: AbortSignal, wait?: number): Promise<Response>;
    /** The next sign of life is due within `ms`. */
    protected expect(ms: number): void;
    protected post(endpoint: string, body: string, signal: AbortSignal): Promise<Response>;
}

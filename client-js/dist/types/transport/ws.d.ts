import type { Environment } from '../environment.js';
import { type ServerEvent } from '../protocol.js';
import type { Sendable, Sink, Transport } from './transport.js';
/** WebSocket: commands in, one event a frame out, channels added and removed on the living connection. */
export declare class WsTransport implements Transport {
    #private;
    constructor(env: Environment, sink: Sink, patience: number);
    update(): void;
    again(channel: string): void;
    send(batch: readonly Sendable[], signal: AbortSignal): Promise<ServerEvent[]>;
    close(): void;
}

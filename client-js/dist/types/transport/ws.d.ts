import { Link } from './link.js';
import type { Sendable, Transport } from './transport.js';
/** WebSocket: commands in, one event a frame out, channels added and removed on the living connection. */
export declare class WsTransport extends Link implements Transport {
    #private;
    readonly parallel: number;
    update(): void;
    forget(channel: string): void;
    send(batch: readonly Sendable[]): () => void;
    close(): void;
}

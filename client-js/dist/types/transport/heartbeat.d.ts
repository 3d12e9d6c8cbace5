import type { Clock } from '../environment.js';
/** What a heartbeat asks its transport to do. */
export interface HeartbeatActions {
    ping(): void;
    silent(): void;
}
/**
 * The heartbeat of protocol section 6: `ping` after a heartbeat of having sent nothing or received nothing,
 * `silent` after two heartbeats of having received nothing, or once the first patience is over.
 */
export declare class Heartbeat {
    #private;
    constructor(clock: Clock, patience: number, actions: HeartbeatActions);
    /** The server said welcome: from now on its heartbeat counts. */
    start(seconds?: number): void;
    /** Something was sent. */
    sent(): void;
    /** Something was received, whatever it was. */
    received(): void;
    /** Nothing is called from now on. */
    stop(): void;
}

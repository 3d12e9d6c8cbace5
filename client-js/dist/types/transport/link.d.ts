import type { Environment } from '../environment.js';
import { type TricastError } from '../errors.js';
import type { WelcomeEvent } from '../protocol.js';
import type { Fate, Sink } from './transport.js';
/** What all transports share: the deadline of the next sign of life. */
export declare abstract class Link {
    #private;
    protected readonly env: Environment;
    protected readonly sink: Sink;
    protected readonly patience: number;
    /** Milliseconds between heartbeats; 0 before the welcome. */
    protected heartbeat: number;
    constructor(env: Environment, sink: Sink, patience: number);
    /** Ends the connection without a report. */
    close(): void;
    /** Ends the connection with a report. */
    protected fail(error: TricastError, fate?: Fate): void;
    /** Takes the welcome: from now on two heartbeats of silence are the end. */
    protected welcome({ heartbeat }: WelcomeEvent): void;
    /** Something arrived. Alone it proves nothing: until the welcome, the first deadline stands. */
    protected heard(): void;
    /** The next sign of life is due within `ms`. */
    protected expect(ms: number): void;
}

import { TricastError } from './errors.js';
/** The codes of protocol section 7. */
export type ServerCode = 'bad_request' | 'too_many_channels' | 'unauthorized' | 'token_expired' | 'forbidden' | 'unknown_channel' | 'timeout' | 'conflict' | 'too_large' | 'too_many' | 'rate_limited' | 'slow_reader' | 'internal' | 'unavailable' | 'draining';
/** Where reading starts: a place by name, or after a position, `<epoch>-<seq>`. */
export type From = 'latest' | 'earliest' | `last:${number}` | (string & {});
/** Why continuity is broken. */
export type GapReason = 'expired' | 'epoch' | 'unknown';
/** A number or string of the client's choice that the server echoes. */
export type Ref = number | string;
/** The server accepted the caller. */
export interface WelcomeEvent {
    type: 'welcome';
    /** Seconds. */
    heartbeat?: number;
    limits?: {
        message?: number;
        channels?: number;
        batch?: number;
    };
}
/** Delivery of a channel starts after `position`. */
export interface SubscribedEvent {
    type: 'subscribed';
    channel: string;
    position: string;
    head: string;
    recovered?: boolean;
    ref?: Ref;
}
/** One message of a channel. */
export interface MessageEvent {
    type: 'message';
    channel: string;
    epoch: string;
    seq: number;
    at: number;
    data?: unknown;
    data64?: string;
    event?: string;
    id?: string;
    user?: string;
}
/** Continuity is broken; `position` replaces the reader's. */
export interface GapEvent {
    type: 'gap';
    channel: string;
    position: string;
    head: string;
    reason: GapReason;
}
/** A subscription ended. */
export interface UnsubscribedEvent {
    type: 'unsubscribed';
    channel: string;
    code?: ServerCode;
    ref?: Ref;
}
/** A publish is in the log. */
export interface PublishedEvent {
    type: 'published';
    channel: string;
    position: string;
    duplicate: boolean;
    ref?: Ref;
}
/** A command or a subscription failed. */
export interface ErrorEvent {
    type: 'error';
    code: ServerCode;
    message: string;
    channel?: string;
    /** Seconds. */
    retry_after?: number;
    ref?: Ref;
}
/** Heartbeat. */
export interface HeartbeatEvent {
    type: 'ping' | 'pong';
}
/** Last words before the server ends the connection. */
export interface ByeEvent {
    type: 'bye';
    code: ServerCode;
    reason: string;
    reconnect: boolean;
    /** Milliseconds. */
    after?: number;
}
/** What the server says (protocol section 3), as far as this client asks for it. */
export type ServerEvent = WelcomeEvent | SubscribedEvent | MessageEvent | GapEvent | UnsubscribedEvent | PublishedEvent | ErrorEvent | HeartbeatEvent | ByeEvent;
/** An event that reports on the reading of one channel. */
export type ChannelEvent = SubscribedEvent | MessageEvent | GapEvent | UnsubscribedEvent;
/**
 * Takes a parsed value for an event. Types and fields that this version does not know are left to be ignored; a field
 * that is missing fails where it is used (`Reader` turns it into a fault).
 *
 * @throws TricastError `unreachable` for what no Tricast server says: some other program answered.
 */
export declare function asEvent(value: unknown): ServerEvent;
/** Takes a parsed value for a list of events. @throws as `asEvent`. */
export declare function asEvents(value: unknown): ServerEvent[];
/** The error that an `error` or a `bye` tells of. */
export declare function errorOf(event: ErrorEvent | ByeEvent): TricastError;

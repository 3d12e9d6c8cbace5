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
    heartbeat: number;
    /** Seconds until the token ends. */
    expires_in?: number;
    ref?: Ref;
    limits: {
        message: number;
    };
}
/** Delivery of a channel starts after `position`. */
export interface SubscribedEvent {
    type: 'subscribed';
    channel: string;
    kind?: 'stream' | 'state';
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
    key?: string;
    deleted?: boolean;
}
/** A state was told whole, up to `position`. */
export interface LiveEvent {
    type: 'live';
    channel: string;
    position: string;
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
/** A page of what a log retains. */
export interface HistoryEvent {
    type: 'history';
    channel: string;
    messages: MessageEvent[];
    position: string;
    more: boolean;
    gap?: boolean;
    ref?: Ref;
}
/** What a method of the application answered. */
export interface ResultEvent {
    type: 'result';
    data: unknown;
    ref?: Ref;
}
/** An event that answers a command. */
export type AnswerEvent = PublishedEvent | HistoryEvent | ResultEvent;
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
export type ServerEvent = WelcomeEvent | SubscribedEvent | MessageEvent | GapEvent | LiveEvent | UnsubscribedEvent | AnswerEvent | ErrorEvent | HeartbeatEvent | ByeEvent;
/** An event that reports on the reading of one channel. */
export type ChannelEvent = SubscribedEvent | MessageEvent | GapEvent | LiveEvent | UnsubscribedEvent;
/**
 * Takes a parsed value for an event. Types and fields that this version does not know are left to be ignored; a field that
 * is missing fails where it is used (`Reader` turns it into a fault).
 *
 * @throws TricastError `unreachable`, or a TypeError, for what no Tricast server says: some other program answered.
 */
export declare function asEvent(value: unknown): ServerEvent;
/** The error that an `error` or a `bye` tells of. */
export declare function errorOf(event: ErrorEvent | ByeEvent): TricastError;

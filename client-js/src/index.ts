export type {
  Change,
  Channel,
  ChannelEvents,
  ChannelOptions,
  Echo,
  Gap,
  History,
  HistoryOptions,
  Live,
  Member,
  Message,
  Subscribed,
  Unsubscribed,
} from './channel.js';
export type { Attempt, Report, State, Status } from './connection.js';
export type { BackoffOptions, Clock, Options } from './environment.js';
export { TricastError } from './errors.js';
export type { Code } from './errors.js';
export type { PublishOptions, Published } from './outbox.js';
export type { From, GapReason, ServerCode } from './protocol.js';
export { Tricast } from './tricast.js';
export type { CallOptions, TricastEvents } from './tricast.js';
export type { TransportName } from './transport/link.js';

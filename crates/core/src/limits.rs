//! Every bound of what is parsed or kept, by name, with what happens beyond it.
//!
//! Nothing in Tricast is unbounded by omission. Bounds that an application may want to change are the defaults of
//! configuration elsewhere; what stands here is the protocol's, or protects a parser. `docs/limits.md` tells each with the
//! test at its edge.

/// The highest sequence number, 2^53-1: the largest integer a JavaScript number holds exactly. An epoch that reaches
/// it refuses further messages (`unavailable`).
pub const MAX_SEQ: u64 = (1 << 53) - 1;

/// Bytes of a channel name; longer: `bad_request`.
pub const CHANNEL_NAME_BYTES: usize = 255;

/// Bytes of a system channel's name, which begins with `@`; longer: `bad_request`.
pub const SYSTEM_CHANNEL_NAME_BYTES: usize = 266;

/// Bytes of a query string; longer: `bad_request`. A full list of channels and a cursor for it fit, percent-encoded.
pub const QUERY_BYTES: usize = 32 * 1024;

/// Bytes that a subscribe query's body may have for each channel of a connection: its name, where it starts, its place in
/// the cursor, and what its presence member shows; a longer body: `too_large`.
pub const QUERY_BODY_BYTES_PER_CHANNEL: usize = 2 * 1024;

/// Seconds that a body may take to arrive; a slower one: `timeout`.
pub const BODY_SECONDS: u64 = 20;

/// Bytes of a cursor in a query or a `Last-Event-ID` header; a longer one counts as unknown positions (`gap`).
pub const CURSOR_BYTES: usize = 4096;

/// Bytes of a cursor in a POST body, per channel that a connection may have; longer: unknown positions (`gap`).
pub const CURSOR_BYTES_PER_CHANNEL: usize = 64;

/// Channels of one GET request; more: `too_many_channels`.
pub const CHANNELS_PER_GET: usize = 32;

/// Channels of one connection unless configured; more: `too_many_channels`.
pub const CHANNELS_PER_CONNECTION: usize = 128;

/// Bytes of a stored payload (compacted JSON text, or decoded binary) unless configured; more: `too_large`.
pub const MESSAGE_BYTES: usize = 65_536;

/// What a WebSocket message may carry beyond twice the message limit before it is closed with 1009.
pub const COMMAND_OVERHEAD_BYTES: usize = 16 * 1024;

/// What a body of `send` may carry per command beyond the message limit; a longer body: `too_large`.
pub const SEND_OVERHEAD_BYTES: usize = 2 * 1024;

/// Commands in one array; more: `bad_request`.
pub const COMMANDS_PER_BATCH: usize = 64;

/// Depth of nested arrays and objects in a command; deeper: `bad_request`.
pub const JSON_DEPTH: usize = 128;

/// Bytes of an idempotency id of a publish, visible ASCII; longer: `bad_request`.
pub const PUBLISH_ID_BYTES: usize = 64;

/// Bytes of a state's key; longer: `bad_request`.
pub const KEY_BYTES: usize = 128;

/// Bytes of a message's event name; longer: `bad_request`.
pub const EVENT_NAME_BYTES: usize = 64;

/// Bytes of a `ref` that is a string; longer: `bad_request`.
pub const REF_BYTES: usize = 64;

/// Bytes of a `call`'s method; longer: `bad_request`.
pub const METHOD_BYTES: usize = 128;

/// The fewest characters of a client id; fewer: `bad_request`.
pub const CLIENT_ID_MIN: usize = 8;

/// The most characters of a client id; more: `bad_request`.
pub const CLIENT_ID_MAX: usize = 64;

/// Messages of one `history` answer; more asked for: `bad_request`.
pub const HISTORY_LIMIT: u64 = 1_000;

/// Messages of one `history` answer where none was asked for.
pub const HISTORY_DEFAULT: u64 = 100;

/// Seconds that a poll may ask to wait; more: `bad_request`.
pub const WAIT_MAX_SECONDS: u64 = 60;

/// Seconds that a poll waits where it does not say.
pub const WAIT_DEFAULT_SECONDS: u64 = 25;

/// Ids of one publisher that a log remembers for idempotent publishing; the oldest are forgotten first.
pub const DEDUP_IDS: usize = 10_000;

/// Milliseconds that a log remembers an id.
pub const DEDUP_MS: u64 = 5 * 60 * 1_000;

/// Messages of one batch to one connection; what is left follows in the next.
pub const BATCH_MESSAGES: usize = 512;

/// Bytes of payload of one batch to one connection (a single larger message still goes); the rest follows.
pub const BATCH_BYTES: usize = 256 * 1024;

/// Messages that a node fetches at most to make them part of its copy of a log; who lacks more is served from the store,
/// page by page.
pub const FILL_MESSAGES: usize = 16_384;

/// Bytes of payload that a node fetches at most to make them part of its copy of a log; who lacks more is served from the
/// store, page by page.
pub const FILL_BYTES: usize = 8 * 1024 * 1024;

/// Channels of which a node compares the head with the store's each second; with more it takes turns, so that a lost tail
/// is found after as many seconds as there are thousands of channels read on the node.
pub const HEADS_PER_ROUND: usize = 1_000;

/// Messages a stream keeps unless its rule says otherwise; older ones are forgotten.
pub const STREAM_KEEP: u64 = 1_000;

/// Bytes a stream keeps unless its rule says otherwise; older messages are forgotten.
pub const STREAM_KEEP_BYTES: u64 = 8 * 1024 * 1024;

/// Milliseconds a stream keeps a message unless its rule says otherwise.
pub const STREAM_TTL_MS: u64 = 24 * 60 * 60 * 1_000;

/// Keys a state keeps unless its rule says otherwise; a new one over it: `too_large`.
pub const STATE_KEEP: u64 = 10_000;

/// Bytes a state keeps unless its rule says otherwise; a new key, or a larger message for an old one, over it:
/// `too_large`.
pub const STATE_KEEP_BYTES: u64 = 8 * 1024 * 1024;

/// Deletions that a state remembers, the oldest forgotten first, for as long as it holds a key and a day longer. Readers
/// who stand before those forgotten and bear no base are told of a gap.
pub const STATE_DELETIONS: usize = 1_000;

/// Nodes that hold one key of a state at once; for one more the first is forgotten.
pub const HOLDERS_PER_KEY: usize = 64;

/// Members of one `presence` answer; of a channel with more it is refused (`too_large`), for they can be read page by
/// page from its `@presence/` channel.
pub const PRESENCE_MEMBERS: usize = 1_000;

/// Bytes of what the members of one `presence` answer show; more: `too_large`.
pub const PRESENCE_BYTES: usize = 256 * 1024;

/// Members that a node keeps on all channels together; one more is subscribed as any other, and not listed.
pub const PRESENCE_PER_NODE: usize = 1_000_000;

/// Bytes of a rule's pattern, and of each parameter's name; longer: a configuration error.
pub const PATTERN_BYTES: usize = 255;

/// Bytes of a user's id; a token whose `sub` is longer: `unauthorized`.
pub const USER_ID_BYTES: usize = 128;

/// Patterns of the capabilities of one token; a token with more: `unauthorized`.
pub const CAPABILITIES: usize = 128;

/// Bytes of a token; longer: `unauthorized`.
pub const TOKEN_BYTES: usize = 8 * 1024;

/// Bytes of a presence member's key, `<user>/<client>`.
pub const SYSTEM_KEY_BYTES: usize = 200;

/// Milliseconds that a token is believed beyond its end, and before its beginning, for clocks differ a little.
pub const TOKEN_LEEWAY_MS: u64 = 5_000;

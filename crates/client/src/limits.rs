//! Every number that bounds or paces the client, by name.

use std::time::Duration;

/// Publishes that wait for their acknowledgement unless configured; one more: `OutboxFull`.
pub(crate) const OUTBOX: usize = 1_000;

/// Questions (`history`, `members`, `call`) that wait for their answer; one more: `TooMany`.
pub(crate) const QUESTIONS: usize = 256;

/// Events that a subscription buffers unless configured; beyond it reading stops, and resumes once half is taken.
pub(crate) const BUFFERED_EVENTS: usize = 1_024;

/// Bytes of payload that a subscription buffers; beyond it, as beyond [`BUFFERED_EVENTS`].
pub(crate) const BUFFERED_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that an array of several commands may have; where the server's limit for one payload is lower, that counts.
pub(crate) const ARRAY_BYTES: usize = 65_536;

/// After this time a batch, or a question, without an answer is given up, and what may be repeated is.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// For so long repeating a publish is safe: servers remember an id for five minutes, and clocks differ a little.
pub(crate) const ID_MEMORY: Duration = Duration::from_secs(270);

/// POSTs of publishes under way at once.
pub(crate) const PUBLISHING_POSTS: usize = 2;

/// POSTs of questions under way at once.
pub(crate) const ASKING_POSTS: usize = 4;

/// Channels that a server lets a connection have unless `welcome` says otherwise.
pub(crate) const CHANNELS: usize = tricast_core::limits::CHANNELS_PER_CONNECTION;

/// The time that a transport has to prove itself unless configured; doubled in each failed round.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// However many rounds failed, a transport gets no more time than this.
pub(crate) const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// Upper bound of the first wait between rounds unless configured; doubled for each further one.
pub(crate) const BACKOFF_BASE: Duration = Duration::from_millis(500);

/// Upper bound of all waits between rounds unless configured.
pub(crate) const BACKOFF_CAP: Duration = Duration::from_secs(30);

/// A proven connection that is cut before it has lived this long counts as short-lived.
pub(crate) const SHORT_LIFE: Duration = Duration::from_secs(5);

/// After so many short lives in a row the next transport has its turn, until one lives longer.
pub(crate) const SHORT_LIVES: u32 = 3;

/// How long a worse transport is kept before a better one is tried beside it; doubled after each try.
pub(crate) const FIRST_PROBE: Duration = Duration::from_secs(10);

/// The longest time between such tries.
pub(crate) const LAST_PROBE: Duration = Duration::from_secs(600);

/// How long the server may hold a poll.
pub(crate) const POLL_WAIT: Duration = Duration::from_secs(25);

/// The least time between polls while something on the way answers them empty without holding them.
pub(crate) const POLL_PACE: Duration = Duration::from_secs(1);

/// A proxy may ask for a longer wait, but does not know what for.
pub(crate) const FOREIGN_WAIT: Duration = Duration::from_secs(30);

/// Bytes of one answer, or of one WebSocket message: a whole page of history fits. A longer one ends the connection.
pub(crate) const ANSWER_BYTES: usize = 80 * 1024 * 1024;

/// Bytes of what a stranger says along with a refusal; the rest is not read.
pub(crate) const REFUSAL_BYTES: usize = 64 * 1024;

/// Bytes of one block of an event stream before `welcome` has said how large a message may be; a longer one ends the
/// connection, and another transport has its turn.
pub(crate) const BLOCK_BYTES: usize = 2 * 1024 * 1024;

/// Bytes that an event has besides its payload, generously.
pub(crate) const ENVELOPE_BYTES: u64 = 16 * 1024;

/// Reports of connections that wait to be looked at; beyond it the connections are read no further.
pub(crate) const REPORTS: usize = 64;

/// Frames that wait to be written to a WebSocket; beyond it the connection counts as lost.
pub(crate) const FRAMES: usize = 4_096;

/// Whatever a server, or a configuration, says: nothing is waited for longer than this.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a connection may take to say goodbye.
pub(crate) const GOODBYE: Duration = Duration::from_secs(1);

/// After a token source has failed, or gave a token ahead of time in vain, it is asked again after this time.
pub(crate) const TOKEN_RETRY: Duration = Duration::from_secs(5);

/// How long a token source may take.
pub(crate) const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);

//! The bounds of what a node keeps and sends, with what happens beyond them.

use std::time::Duration;

/// Drafts of one entry; what is left follows in the next.
pub(crate) const DRAFTS: usize = 64;

/// Keys that leave by one entry because their time is over; the others leave by the next.
pub(crate) const EXPIRED: usize = 256;

/// Bytes of one entry (a single larger draft still goes, if the server takes it); what is left follows in the next.
pub(crate) const ENTRY_MOST: usize = 256 * 1024;

/// What waits for one channel; more waits to be taken, for no longer than an operation may take.
pub(crate) const COMMANDS: usize = 1_024;

/// Channels of which a node keeps what it read; beyond it what nobody watches is forgotten as soon as it has answered.
pub(crate) const REPLICAS: usize = 100_000;

/// Bytes of what a node keeps of all channels; beyond it what nobody watches is forgotten as soon as it has answered.
pub(crate) const REPLICA_BYTES: u64 = 1 << 30;

/// How long a channel is kept that nobody watches and nobody asks for.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// Heads that are asked for at once; the others follow.
pub(crate) const HEADS: usize = 256;

/// Entries of a state after its last checkpoint before there is another, unless it has more keys: then twice as many.
pub(crate) const CHECKPOINT_ENTRIES: usize = 256;

/// Bytes of a state's entries after its last checkpoint before there is another, unless its log is larger: then twice as
/// many.
pub(crate) const CHECKPOINT_BYTES: u64 = 1 << 20;

/// Entries of a stream that are stored beyond those that are needed, before they are deleted; or as many as are needed.
pub(crate) const TRIM_ENTRIES: usize = 64;

/// The longest that reading a channel anew takes; what takes longer is unavailable.
pub(crate) const READING: Duration = Duration::from_secs(30);

/// The longest that JetStream may say nothing while a channel is read anew: who would have answered may be gone.
pub(crate) const SILENCE: Duration = Duration::from_secs(2);

/// How often it is tried to find a channel's end before whoever asks is told that there is none.
pub(crate) const TRIES: usize = 16;

/// Milliseconds after which a channel that is asked for says so in the store.
pub(crate) const SAY_MS: u64 = 6 * 60 * 60 * 1_000;

/// Milliseconds that a channel lives, at least, after it was last asked for: what it said is at most [`SAY_MS`] older.
pub(crate) const LIFE_MS: u64 = 24 * 60 * 60 * 1_000;

/// Milliseconds that entries are stored beyond the time that they, or their channel, should live.
pub(crate) const SPARE_MS: u64 = 2 * SAY_MS;

//! A backplane for Tricast on Redis 7, Valkey, and whatever speaks as they do: one log per channel, shared by many nodes.
//!
//! Start with [`Redis::connect`]. One server, sentinels and clusters are told apart by the URL:
//!
//! ```text
//! redis://[user:password@]host[:port][/db]
//! redis+sentinel://[user:password@]host:26379,host2:26379/service[/db]
//! redis+cluster://[user:password@]host:port,host2:port
//! ```
//!
//! and `rediss` in place of `redis` goes by TLS.
//!
//! # What is promised
//! Looking an id up, numbering, storing and telling are one script, so they happen in one step or not at all. What is
//! acknowledged is in the memory of one server. What that survives is Redis's to say, and where it may be lost the epoch
//! ends: readers are told by a gap, once for each channel.
//!
//! # Restarts and failovers
//! Every call says in which life of which server its caller believes to be, and every log remembers in which it was
//! written. In another life the log begins a new epoch, as soon as somebody asks for it. A server that stands alone and
//! has each write on disk before it is acknowledged (`appendonly yes`, `appendfsync always`) goes on with its epochs when
//! it restarts. A replica that takes over never does, because Redis acknowledges before replicas have a write.
//!
//! # When Redis is not there
//! Calls answer `unavailable`: at once while it is known to be down, else within the timeout. It is looked for again
//! without end, with pauses; whatever is watched is then subscribed again and told to be uncertain.
//!
//! # What Redis must be
//! `maxmemory-policy noeviction` if it has a `maxmemory`: else parts of logs would be lost, and [`Redis`] says in its
//! health that it cannot serve.

mod backoff;
mod backplane;
mod builder;
mod calls;
mod dial;
mod ear;
mod error;
mod link;
mod random;
mod refusal;
mod reply;
mod request;
mod script;
mod sentinel;
mod server;
mod shard;
mod shared;
mod slots;
mod topology;
mod url;
mod watches;

pub use backplane::Redis;
pub use builder::Builder;
pub use error::{ConnectError, LinkError};
pub use url::UrlError;

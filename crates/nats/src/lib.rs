//! A backplane for Tricast on NATS JetStream (nats-server 2.9 and later). Begin with [`Nats`].
//!
//! Several nodes keep the same logs. A channel is a subject of a JetStream stream; what is stored under it are *entries*,
//! each of up to 64 changes that are already numbered. An entry is stored only if its writer knew the one before it, so
//! whoever writes has seen everything, and every node that applies the entries in order has the same log.
//!
//! # What survives
//! A message is acknowledged when JetStream has it. With one replica that is a file of one server, which it writes to disk
//! within two minutes: killing the server loses nothing, a power failure may. With three it is a majority of servers. A
//! store that comes back with less than a node saw begins new epochs, and readers are told so.

#![warn(missing_docs)]

mod builder;
mod bytes;
mod channel;
mod checkpoint;
mod entry;
mod limits;
mod link;
mod lives;
mod nats;
mod replica;
mod shared;
mod store;
mod sweep;
mod system;
mod url;

pub use builder::{Builder, ConnectError};
pub use nats::Nats;

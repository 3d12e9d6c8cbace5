//! The Rust client of Tricast. Begin with [`Client::builder`], then [`Client::channel`] and [`Client::publish`].
//!
//! A client reads channels over one connection and keeps that up by itself: a WebSocket where that works, an event stream
//! where it does not, long-polling where nothing else does. What it promises is the protocol's: each message of a channel in
//! order and once, whatever the connections did, or a [`Gap`] first; and each publish in the log once.
//!
//! ```no_run
//! use tricast_client::{Client, Draft, Event, Start};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("http://127.0.0.1:8000/rt").build()?;
//! let mut room = client.channel("chat:1")?.subscribe(Start::Last(50)).await?;
//!
//! let published = client.publish("chat:1", Draft::json(&serde_json::json!({"text": "hi"}))?).await?;
//! println!("in the log at {}", published.position);
//!
//! while let Some(event) = room.next().await {
//!     match event {
//!         Event::Message(message) => println!("{}: {}", message.seq, message.text().unwrap_or("(bytes)")),
//!         Event::Gap(gap) => eprintln!("messages are missing: {}", gap.reason),
//!         Event::Unsubscribed { code } => eprintln!("over: {code:?}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What if …
//! - **the server is gone?** The client tries again for as long as it has subscriptions, after random times that grow to 30
//!   seconds, and reads on where it was. [`Client::states`] tells what it is doing.
//! - **it comes back with empty logs?** Each subscription is told by [`Event::Gap`] and reads on.
//! - **something on the way blocks WebSockets, or holds streams back?** The next transport has its turn; each reconnect
//!   begins with the best again.
//! - **nobody takes what a subscription brings?** Its buffer is bounded; see [`Subscription`].
//! - **an acknowledgement is lost?** The publish is repeated with its id, which the server knows.
//! - **the token ends, or is refused?** The source of [`Builder::token`] is asked for another, ahead of the end where that is
//!   known. A second refusal in a row is the end: [`State::Closed`].
//! - **a future is dropped?** Each says under "Cancel safety" what that costs.
//!
//! # Features
//! `tls` (default): `https` and `wss` by rustls, with the certificates that the system trusts.

mod backoff;
mod builder;
mod choice;
mod client;
mod connector;
mod driver;
mod engine;
mod entries;
mod error;
mod event;
mod history;
mod inbox;
mod limits;
mod link;
mod outbox;
mod output;
mod questions;
mod reader;
mod state;
mod subscription;
mod system;
mod tokens;
mod transport;
mod url;

pub use builder::Builder;
pub use client::Client;
pub use entries::{Change, Entries, Iter};
pub use error::{AskError, BuildError, Closed, Failure, PublishError, Refusal, SubscribeError};
pub use event::{Event, Message, PayloadError};
pub use history::{History, Page};
pub use output::Published;
pub use state::State;
pub use subscription::{Channel, Subscription};
pub use transport::{Transport, UnknownTransport};

pub use tricast_core::channel::{ChannelName, Kind, NameError};
pub use tricast_core::json::Json;
pub use tricast_core::message::{Draft, DraftError, Payload};
pub use tricast_core::position::{Epoch, Position, Seq};
pub use tricast_core::protocol::event::{Gap, Member, Subscribed};
pub use tricast_core::protocol::{ClientId, Code, GapReason, MessageEvent, Start};

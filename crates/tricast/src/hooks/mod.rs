//! What an application is asked and told: hooks.
//!
//! [`Publishing`] before a message is appended, [`Calling`] for a `call`, [`Connecting`] and [`Subscribing`] before a
//! caller is let in, [`Disconnected`] afterwards. The rules are asked first; a hook narrows what they allow.
//!
//! # A hook that misbehaves
//! Each runs in a task of its own, which is not cut short when the connection that led to it ends: what a hook has
//! stored is appended, and whom it let in is told to leave. One that panics counts as [`HookError::Failed`], one that
//! takes longer than [`crate::Builder::hook_timeout`] is dropped and counts as [`HookError::TimedOut`]; neither ends a
//! connection. A hook must not block its thread, as no other async code may.

mod builder;
mod call;
mod connect;
mod publish;
mod refused;
mod subscribe;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tricast_core::backplane::BoxFuture;
use tricast_core::channel::{ChannelName, Pattern, PatternError};
use tricast_core::json::Json;
use tricast_core::message::Draft;

use crate::hub::Ask;
pub(crate) use builder::{HooksBuilder, HooksProblem};
pub use call::Calling;
pub(crate) use connect::Connected;
pub use connect::{Connecting, Disconnected};
pub(crate) use publish::BegunPublish;
pub use publish::{OnPublish, Publishing};
pub use refused::{HookError, Refused};
pub use subscribe::Subscribing;
pub(crate) use subscribe::{Opened, Permits, Subscriber, refused_by_rule};

/// How long a hook may take unless configured.
pub(crate) const HOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// On which way somebody came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// A WebSocket.
    Ws,
    /// An SSE stream.
    Sse,
    /// A long-poll: one request.
    Poll,
    /// A request to `send`.
    Send,
}

impl Transport {
    /// The name of its endpoint.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Sse => "sse",
            Self::Poll => "poll",
            Self::Send => "send",
        }
    }
}

/// A hook, whatever it was made of.
type Hook<I, O> = Arc<dyn Fn(I) -> BoxFuture<'static, O> + Send + Sync>;

type PublishHook = Hook<Publishing, Result<Draft, Refused>>;
type SubscribeHook = Hook<Subscribing, Result<(), Refused>>;
type CallHook = Hook<Calling, Result<Json, Refused>>;
type ConnectHook = Hook<Connecting, Result<(), Refused>>;
type DisconnectHook = Hook<Disconnected, ()>;

/// The hooks of a node.
pub(crate) struct Hooks {
    timeout: Duration,
    runtime: Handle,
    publish: ByPattern<PublishHook>,
    subscribe: ByPattern<SubscribeHook>,
    calls: HashMap<Box<str>, CallHook>,
    connect: Option<ConnectHook>,
    disconnect: Option<DisconnectHook>,
}

impl Hooks {
    /// How long the application may take for an answer.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When a hook that begins now has to have answered.
    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Begins what must not be cut short by the end of whoever waits for it.
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Answer<T> {
        Answer { name, task: self.runtime.spawn(work), answer: None }
    }
}

/// What the application will answer.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    name: &'static str,
    task: JoinHandle<T>,
    answer: Option<Result<T, HookError>>,
}

impl<T> Answer<T> {
    /// Resolves when the answer is there.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub(crate) async fn wait(&mut self) {
        if self.answer.is_none() {
            // A hook's panic does not come so far: the task ends early with the runtime, or by a fault of ours.
            self.answer = Some((&mut self.task).await.map_err(|_| HookError::Failed(self.name)));
        }
    }

    /// The answer, once it is there.
    pub(crate) async fn get(mut self) -> Result<T, HookError> {
        self.wait().await;
        self.answer.unwrap_or(Err(HookError::Failed(self.name)))
    }
}

/// Runs a hook to its answer, but no longer than until the deadline, and whatever it does.
async fn run<I, O>(name: &'static str, hook: &Hook<I, O>, input: I, deadline: Instant) -> Result<O, HookError> {
    // The hook may panic before it returns its future.
    let answer = AssertUnwindSafe(async { hook(input).await }).catch_unwind();
    match timeout_at(deadline, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => {
            tracing::error!(hook = name, "a hook panicked");
            Err(HookError::Failed(name))
        }
        Err(_) => {
            tracing::warn!(hook = name, "a hook took too long");
            Err(HookError::TimedOut(name))
        }
    }
}

/// Asks a rule's condition, but no longer than until the deadline.
async fn asked(ask: Ask, deadline: Instant) -> Result<bool, HookError> {
    let Ask { condition, request } = ask;
    run("a rule's condition", &condition, request, deadline).await
}

/// Things by pattern; the first that matches counts.
struct ByPattern<T>(Vec<(Arc<Pattern>, T)>);

impl<T> ByPattern<T> {
    fn parse(given: Vec<(String, T)>) -> Result<Self, PatternError> {
        given
            .into_iter()
            .map(|(pattern, one)| Ok((Arc::new(pattern.parse()?), one)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn find(&self, channel: &ChannelName) -> Option<&(Arc<Pattern>, T)> {
        self.0.iter().find(|(pattern, _)| pattern.matches(channel.as_str()).is_some())
    }
}

/// A channel, and the pattern by which its hook was found.
#[derive(Debug, Clone)]
struct Place {
    channel: ChannelName,
    pattern: Arc<Pattern>,
}

impl Place {
    fn param(&self, name: &str) -> Option<&str> {
        self.pattern.matches(self.channel.as_str())?.get(name)
    }
}

//! The backplane itself.

use std::sync::Arc;

use tricast_core::access::Scope;
use tricast_core::backplane::{Backplane, BackplaneError, BoxFuture, Events, Health, Slice};
use tricast_core::channel::{Kind, Topic};
use tricast_core::log::{Appended, Head, Limit, Page};
use tricast_core::message::Draft;
use tricast_core::position::{Epoch, Position, Seq};
use tricast_core::replay::{Decision, decide};

use crate::builder::Builder;
use crate::dial::Running;
use crate::error::{ConnectError, Failure};
use crate::reply::{Reply, ReplyError};
use crate::request::Request;
use crate::shared::Shared;

/// A backplane on Redis: its logs are there, shared by all nodes that use the same Redis and prefix.
///
/// It keeps its connections by itself. Dropping it ends them.
///
/// # Examples
/// ```no_run
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// use tricast_redis::Redis;
/// let redis = Redis::connect("redis://127.0.0.1:6379").await?;
/// # drop(redis);
/// # Ok(())
/// # }
/// ```
pub struct Redis {
    shared: Arc<Shared>,
    /// Of a cluster, what keeps its map; ends before the servers are let go of.
    map: Option<Running>,
}

impl Redis {
    /// Connects as a URL says, without options.
    ///
    /// # Errors
    /// The URL cannot be used, or Redis cannot.
    pub async fn connect(url: impl Into<String>) -> Result<Self, ConnectError> {
        Self::builder(url).connect().await
    }

    /// Begins to say how to connect: `redis://`, `redis+sentinel://` or `redis+cluster://`, or `rediss` in place of `redis`.
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder::new(url.into())
    }

    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, map: None }
    }

    /// With the task that keeps the map of a cluster.
    pub(crate) fn keeping(mut self, map: Running) -> Self {
        self.map = Some(map);
        self
    }

    async fn call(&self, request: Request) -> Result<Reply, BackplaneError> {
        let mut reply = self.shared.call(&request).await?;
        match reply.status().map_err(misread)?.as_str() {
            "ok" => Ok(reply),
            other => Err(Failure::before(format!("the script answers {other:?}")).into()),
        }
    }

    async fn call_for_head(&self, request: Request) -> Result<Head, BackplaneError> {
        self.call(request).await?.head().map_err(misread)
    }

    async fn append_now(&self, topic: &Topic, draft: Draft, publisher: &Scope) -> Result<Appended, BackplaneError> {
        let retention = topic.rule.retention();
        let mut reply = self.shared.call(&self.shared.names.append(topic, draft, publisher)).await?;
        let status = reply.status().map_err(misread)?;
        Ok(reply.outcome(&status, retention.keep, retention.keep_bytes).map_err(misread)??)
    }

    async fn read_now(&self, topic: &Topic, after: Position, limit: Limit) -> Result<Slice, BackplaneError> {
        let mut reply = self.call(self.shared.names.read(topic, after, limit)).await?;
        let head = reply.head().map_err(misread)?;
        let more = reply.flag("more").map_err(misread)?;
        let kind = topic.rule.kind();
        if let Decision::Gap { .. } = decide(kind, Some(after), &head) {
            return Ok(Slice { head, messages: Vec::new(), to: after.seq });
        }
        let messages = reply.messages().map_err(misread)?;
        let last = messages.last().map(|message| message.seq);
        let to = match kind {
            Kind::Stream => last.unwrap_or(after.seq),
            Kind::State => last.filter(|_| more).unwrap_or(head.head),
        };
        Ok(Slice { head, messages, to })
    }

    async fn read_back_now(
        &self,
        topic: &Topic,
        before: Option<Seq>,
        limit: Limit,
    ) -> Result<(Head, Page), BackplaneError> {
        let mut reply = self.call(self.shared.names.read_back(topic, before, limit)).await?;
        let head = reply.head().map_err(misread)?;
        let more = reply.flag("more").map_err(misread)?;
        let mut messages = reply.messages().map_err(misread)?;
        messages.reverse();
        Ok((head, Page { messages, more }))
    }

    async fn heads_now(&self, topics: &[Topic]) -> Vec<Result<Head, BackplaneError>> {
        let requests = topics.iter().map(|topic| self.shared.names.head(topic)).collect();
        let head = |mut reply: Reply| {
            reply.status()?;
            reply.head()
        };
        let replies = self.shared.call_all(requests).await.into_iter();
        replies.map(|reply| head(reply?).map_err(misread)).collect()
    }

    async fn find_now(&self, topic: &Topic, publisher: &Scope, id: &str) -> Result<Option<Position>, BackplaneError> {
        let mut reply = self.call(self.shared.names.find(topic, publisher, id)).await?;
        let head = reply.head().map_err(misread)?;
        let seq = reply.maybe_seq("seq").map_err(misread)?;
        Ok(seq.map(|seq| Position::new(head.epoch, seq)))
    }

    fn health_now(&self) -> Health {
        let map = self.shared.map();
        let troubles: Vec<String> = map.shards().iter().filter_map(|shard| shard.trouble()).collect();
        let evicts = map.shards().iter().any(|shard| shard.is_up() && shard.trouble().is_some());
        let deaf = map.shards().iter().any(|shard| shard.is_up() && shard.listening().is_none());
        match (troubles.is_empty(), map.is_complete()) {
            (true, true) if deaf => Health::Degraded("news are not heard: the connection for them is down".to_owned()),
            (true, true) => Health::Up,
            (true, false) => Health::Degraded("some slots of the cluster have no server".to_owned()),
            (false, _) if evicts || troubles.len() == map.shards().len() => Health::Down(troubles.join("; ")),
            (false, _) => Health::Degraded(troubles.join("; ")),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.map = None;
        self.shared.close();
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

impl Backplane for Redis {
    fn attach(&self, events: Arc<dyn Events>) {
        // A second call would be a bug of the hub; the first one stays.
        drop(self.shared.events.set(events));
    }

    fn open<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Head, BackplaneError>> {
        Box::pin(self.call_for_head(self.shared.names.head(topic)))
    }

    fn append<'a>(
        &'a self,
        topic: &'a Topic,
        draft: Draft,
        publisher: &'a Scope,
    ) -> BoxFuture<'a, Result<Appended, BackplaneError>> {
        Box::pin(self.append_now(topic, draft, publisher))
    }

    fn find<'a>(
        &'a self,
        topic: &'a Topic,
        publisher: &'a Scope,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Position>, BackplaneError>> {
        Box::pin(self.find_now(topic, publisher, id))
    }

    fn read<'a>(
        &'a self,
        topic: &'a Topic,
        after: Position,
        limit: Limit,
    ) -> BoxFuture<'a, Result<Slice, BackplaneError>> {
        Box::pin(self.read_now(topic, after, limit))
    }

    fn read_back<'a>(
        &'a self,
        topic: &'a Topic,
        before: Option<Seq>,
        limit: Limit,
    ) -> BoxFuture<'a, Result<(Head, Page), BackplaneError>> {
        Box::pin(self.read_back_now(topic, before, limit))
    }

    fn watch<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Head, BackplaneError>> {
        Box::pin(async move {
            self.shared.watch(&topic.name).await?;
            self.call_for_head(self.shared.names.head(topic)).await
        })
    }

    fn unwatch<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, ()> {
        Box::pin(self.shared.unwatch(&topic.name))
    }

    fn heads<'a>(&'a self, topics: &'a [Topic]) -> BoxFuture<'a, Vec<Result<Head, BackplaneError>>> {
        Box::pin(self.heads_now(topics))
    }

    fn renew<'a>(&'a self, topic: &'a Topic, epoch: Epoch) -> BoxFuture<'a, Result<Head, BackplaneError>> {
        Box::pin(self.call_for_head(self.shared.names.renew(topic, epoch)))
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(async { self.health_now() })
    }
}

/// An answer that is not understood is none, whatever was done.
fn misread(error: ReplyError) -> BackplaneError {
    Failure::after(error.to_string()).into()
}

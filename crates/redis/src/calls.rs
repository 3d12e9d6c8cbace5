//! Calls of scripts: to the right server, in bounded time, and again where nothing was done.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use redis::Value;
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{Failure, LinkError, chain};
use crate::link::Link;
use crate::random;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::request::Request;
use crate::shard::Shard;
use crate::shared::Shared;

/// Calls that are sent in one go, and so hold up others.
const AT_ONCE: usize = 128;

/// The longest pause before a call is tried again that was refused for now, in milliseconds.
const PAUSE_MS: u64 = 50;

/// What to do after a refusal.
enum Next {
    Again,
    Pause,
    Ask(Arc<Shard>),
    Move(Arc<Shard>),
}

impl Shared {
    /// Calls a script, and answers what it answered.
    pub(crate) async fn call(self: &Arc<Self>, request: &Request) -> Result<Reply, Failure> {
        let Ok(_permit) = self.calls.try_acquire() else { return Err(Failure::before(TOO_MANY)) };
        self.call_until(request, Instant::now() + self.dialer.timeout).await
    }

    /// Calls many scripts, and answers what each answered, in their order. A server that does not answer leaves those
    /// that it should have answered without one.
    pub(crate) async fn call_all(self: &Arc<Self>, requests: Vec<Request>) -> Vec<Result<Reply, Failure>> {
        let deadline = Instant::now() + self.dialer.timeout;
        let mut groups: Vec<(Arc<Shard>, Vec<usize>, Vec<Request>)> = Vec::new();
        let mut replies = Vec::with_capacity(requests.len());
        for (index, request) in requests.into_iter().enumerate() {
            let shard = match self.owner(&request) {
                Ok(shard) => shard,
                Err(failure) => {
                    replies.push((index, Err(failure)));
                    continue;
                }
            };
            let group = groups.iter_mut().find(|(it, _, some)| Arc::ptr_eq(it, &shard) && some.len() < AT_ONCE);
            match group {
                Some((_, indices, some)) => {
                    indices.push(index);
                    some.push(request);
                }
                None => groups.push((shard, vec![index], vec![request])),
            }
        }
        let calls = groups.into_iter().map(async |(shard, indices, requests)| {
            let answers = match self.call_group(&shard, &requests, deadline).await {
                Ok(answers) => answers,
                Err(failure) => requests.iter().map(|_| Err(failure.clone())).collect(),
            };
            indices.into_iter().zip(answers).collect::<Vec<_>>()
        });
        replies.extend(join_all(calls).await.into_iter().flatten());
        replies.sort_by_key(|(index, _)| *index);
        replies.into_iter().map(|(_, reply)| reply).collect()
    }

    async fn call_group(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        requests: &[Request],
        deadline: Instant,
    ) -> Result<Vec<Result<Reply, Failure>>, Failure> {
        let Ok(_permit) = self.calls.try_acquire() else { return Err(Failure::before(TOO_MANY)) };
        let link = shard.link(deadline).await?;
        let Ok(answers) = timeout_at(deadline, link.call_all(requests)).await else { return Err(self.late()) };
        let answers = answers.map_err(|refusal| self.failure(&link, refusal))?;
        let mut replies = Vec::with_capacity(requests.len());
        for (request, answer) in requests.iter().zip(answers) {
            replies.push(match answer {
                Ok(values) => Ok(Reply::new(values)),
                Err(refusal) => self.call_again(&link, refusal, request, deadline).await,
            });
        }
        Ok(replies)
    }

    async fn call_again(
        self: &Arc<Self>,
        link: &Link,
        refusal: Refusal,
        request: &Request,
        deadline: Instant,
    ) -> Result<Reply, Failure> {
        if Instant::now() >= deadline {
            return Err(Failure::before(REFUSED));
        }
        self.follow(link, refusal, request).await?;
        self.call_until(request, deadline).await
    }

    async fn call_until(self: &Arc<Self>, request: &Request, deadline: Instant) -> Result<Reply, Failure> {
        let mut shard = self.owner(request)?;
        let mut asking = false;
        loop {
            let link = shard.link(deadline).await?;
            let answer: Result<Result<Vec<Value>, Refusal>, _> = timeout_at(deadline, link.call(request, asking)).await;
            let refusal = match answer {
                Ok(Ok(values)) => return Ok(Reply::new(values)),
                Ok(Err(refusal)) => refusal,
                Err(_) => return Err(self.late()),
            };
            asking = false;
            match self.follow(&link, refusal, request).await? {
                Next::Again => {}
                Next::Pause => shard = self.owner(request)?,
                Next::Move(to) => shard = to,
                Next::Ask(to) => (shard, asking) = (to, true),
            }
            if Instant::now() >= deadline {
                return Err(Failure::before(REFUSED));
            }
        }
    }

    /// What to do after a refusal, of which nothing was done.
    async fn follow(self: &Arc<Self>, link: &Link, refusal: Refusal, request: &Request) -> Result<Next, Failure> {
        self.learn(&refusal);
        match refusal {
            Refusal::NoScript => {
                link.load().await.map_err(|refusal| self.failure(link, refusal))?;
                Ok(Next::Again)
            }
            Refusal::Moved(to) if self.is_cluster() => Ok(Next::Move(self.shard_at(&to))),
            Refusal::Ask(to) if self.is_cluster() => Ok(Next::Ask(self.shard_at(&to))),
            Refusal::Later(reason) => {
                tracing::debug!(channel = %request.channel, reason, "Redis wants to be asked later");
                sleep(Duration::from_millis(PAUSE_MS / 2 + random::below(PAUSE_MS / 2))).await;
                Ok(Next::Pause)
            }
            other => Err(self.failure(link, other)),
        }
    }

    fn failure(&self, link: &Link, refusal: Refusal) -> Failure {
        self.learn(&refusal);
        let at = |what: &str| format!("Redis at {}: {what}", link.address);
        match refusal {
            Refusal::Server(error) => {
                link.lose(error.clone());
                Failure::before(at(&chain(&error)))
            }
            Refusal::Lost(error) => {
                link.lose(error.clone());
                Failure::after(at(&chain(&error)))
            }
            Refusal::Not(reason) | Refusal::Later(reason) => Failure::before(at(&reason)),
            Refusal::NoScript => Failure::before(at("it does not keep scripts")),
            Refusal::Moved(to) | Refusal::Ask(to) => Failure::before(at(&format!("it is part of a cluster: ask {to}"))),
            Refusal::Fault(reason) => Failure::after(at(&reason)),
        }
    }

    fn owner(&self, request: &Request) -> Result<Arc<Shard>, Failure> {
        let owner = self.map().owner(&request.channel);
        owner.ok_or_else(|| {
            self.stale.notify_one();
            Failure::before("no server has the channel's slot")
        })
    }

    fn late(&self) -> Failure {
        Failure::after(chain(&LinkError::Silent(self.dialer.timeout)))
    }
}

const REFUSED: &str = "Redis refused it until the time was over";

const TOO_MANY: &str = "too many calls are under way";

//! The hooks that a builder is given.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Handle;
use tricast_core::channel::PatternError;

use super::{
    ByPattern, CallHook, Calling, ConnectHook, Connecting, DisconnectHook, Disconnected, Hooks, OnPublish, PublishHook,
    Refused, SubscribeHook, Subscribing, call, publish,
};
use crate::builder::Builder;

/// Hooks.
impl Builder {
    /// Asks the application before a message is appended to a channel of this pattern. The first such hook whose pattern
    /// matches is asked, after the rule has let the publisher publish; the application itself, publishing from Rust, is
    /// asked about as well.
    ///
    /// The hook returns the draft, as it is or changed, or says why nothing is published. A message that is in the log
    /// already under its publisher's id is answered without asking.
    ///
    /// # Examples
    /// ```
    /// use tricast::{Publishing, Refused, Rule, Tricast};
    /// let builder = Tricast::builder().rule("chat:{room}", Rule::stream()).on_publish(
    ///     "chat:{room}",
    ///     |publishing: Publishing| async move {
    ///         let text: String = publishing.json()?;
    ///         if text.is_empty() {
    ///             return Err(Refused::bad_request("say something"));
    ///         }
    ///         Ok(publishing.draft)
    ///     },
    /// );
    /// # let _ = builder;
    /// ```
    pub fn on_publish(mut self, pattern: impl Into<String>, hook: impl OnPublish) -> Self {
        self.hooks.publish.push((pattern.into(), publish::hook(hook)));
        self
    }

    /// Serves a method to callers, on a WebSocket or by `send`: its result is serialized. A method that no hook serves
    /// is answered `bad_request`.
    ///
    /// # Examples
    /// ```
    /// use tricast::{Calling, Refused, Tricast};
    /// let builder = Tricast::builder().on_call("sum", |calling: Calling| async move {
    ///     let numbers: Vec<i64> = calling.json()?;
    ///     Ok::<i64, Refused>(numbers.iter().sum())
    /// });
    /// # let _ = builder;
    /// ```
    pub fn on_call<F, A, T>(mut self, method: impl Into<String>, hook: F) -> Self
    where
        F: Fn(Calling) -> A + Send + Sync + 'static,
        A: Future<Output = Result<T, Refused>> + Send + 'static,
        T: Serialize,
    {
        self.hooks.calls.push((method.into(), call::hook(hook)));
        self
    }

    /// Asks the application before a WebSocket, an SSE stream or a poll is told anything. The last such hook counts.
    ///
    /// An application's own route ([`crate::Tricast::sse`]) is not asked about: it has decided already.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use tricast::{Refused, Tricast};
    /// let closed = Arc::new(AtomicBool::new(false));
    /// let builder = Tricast::builder().on_connect(move |_| {
    ///     let closed = closed.load(Ordering::Relaxed);
    ///     async move { if closed { Err(Refused::unavailable("closed for the night")) } else { Ok(()) } }
    /// });
    /// # let _ = builder;
    /// ```
    pub fn on_connect<F, A>(mut self, hook: F) -> Self
    where
        F: Fn(Connecting) -> A + Send + Sync + 'static,
        A: Future<Output = Result<(), Refused>> + Send + 'static,
    {
        self.hooks.connect = Some(Arc::new(move |asked| Box::pin(hook(asked))));
        self
    }

    /// Tells the application that a WebSocket or an SSE stream which was let in is over: once for each. Polls have no
    /// connection. The last such hook counts; [`crate::Tricast::drain`] waits for it.
    pub fn on_disconnect<F, A>(mut self, hook: F) -> Self
    where
        F: Fn(Disconnected) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        self.hooks.disconnect = Some(Arc::new(move |told| Box::pin(hook(told))));
        self
    }

    /// Asks the application before a caller reads a channel of this pattern. The first such hook whose pattern matches
    /// is asked, after the rule has let the caller subscribe: once for each subscription, and so for each poll.
    ///
    /// Reading from Rust and an application's own route ([`crate::Tricast::sse`]) are not asked about.
    ///
    /// # Examples
    /// ```
    /// use tricast::{Refused, Rule, Subscribing, Tricast};
    /// let builder = Tricast::builder().rule("doc:{id}", Rule::stream()).on_subscribe(
    ///     "doc:{id}",
    ///     |subscribing: Subscribing| async move {
    ///         match subscribing.param("id") {
    ///             Some("42") => Err(Refused::forbidden("not this one")),
    ///             _ => Ok(()),
    ///         }
    ///     },
    /// );
    /// # let _ = builder;
    /// ```
    pub fn on_subscribe<F, A>(mut self, pattern: impl Into<String>, hook: F) -> Self
    where
        F: Fn(Subscribing) -> A + Send + Sync + 'static,
        A: Future<Output = Result<(), Refused>> + Send + 'static,
    {
        self.hooks.subscribe.push((pattern.into(), Arc::new(move |asked| Box::pin(hook(asked)))));
        self
    }
}

/// The hooks that a builder was given.
#[derive(Default, Clone)]
pub(crate) struct HooksBuilder {
    publish: Vec<(String, PublishHook)>,
    subscribe: Vec<(String, SubscribeHook)>,
    calls: Vec<(String, CallHook)>,
    connect: Option<ConnectHook>,
    disconnect: Option<DisconnectHook>,
}

/// What is wrong with the hooks that a builder was given.
pub(crate) enum HooksProblem {
    Pattern(PatternError),
    Method(String),
}

impl HooksBuilder {
    /// Checks what the setters took. Must be called in a Tokio runtime.
    pub(crate) fn build(self, timeout: Duration) -> Result<Hooks, HooksProblem> {
        let mut calls = HashMap::with_capacity(self.calls.len());
        for (method, hook) in self.calls {
            if !call::is_method(&method) || calls.insert(Box::from(&*method), hook).is_some() {
                return Err(HooksProblem::Method(method));
            }
        }
        Ok(Hooks {
            timeout,
            runtime: Handle::current(),
            publish: ByPattern::parse(self.publish).map_err(HooksProblem::Pattern)?,
            subscribe: ByPattern::parse(self.subscribe).map_err(HooksProblem::Pattern)?,
            calls,
            connect: self.connect,
            disconnect: self.disconnect,
        })
    }
}

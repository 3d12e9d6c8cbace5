//! `on_call`: methods of the application, called on a WebSocket or by `send`.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tricast_core::access::Identity;
use tricast_core::json::Json;
use tricast_core::limits::METHOD_BYTES;
use tricast_core::protocol::{ClientId, Code};

use super::{Answer, CallHook, Refused, run};
use crate::handle::Tricast;
use crate::hub::Hub;

const NAME: &str = "on_call";

/// A call of a method of the application.
///
/// # Examples
/// ```
/// use tricast::{Calling, Refused};
///
/// async fn double(calling: Calling) -> Result<i64, Refused> {
///     let number: i64 = calling.json()?;
///     number.checked_mul(2).ok_or(Refused::too_large("no number is that large"))
/// }
/// # let _ = tricast::Tricast::builder().on_call("double", double);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Calling {
    /// Which method.
    pub method: Box<str>,
    /// Its argument.
    pub data: Option<Json>,
    /// Who calls.
    pub caller: Identity,
    /// The client id of the WebSocket on which the call came; `send` has none.
    pub client: Option<ClientId>,
    tricast: Tricast,
}

impl Calling {
    /// The argument as a `T`; one that is absent reads as `null`.
    ///
    /// # Errors
    /// `bad_request`: it is not a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        let text = self.data.as_ref().map_or("null", Json::as_str);
        serde_json::from_str(text).map_err(|error| Refused::bad_request(format!("data: {error}")))
    }

    /// The node, to publish from a method.
    #[must_use]
    pub fn tricast(&self) -> &Tricast {
        &self.tricast
    }
}

pub(crate) fn hook<F, A, T>(hook: F) -> CallHook
where
    F: Fn(Calling) -> A + Send + Sync + 'static,
    A: Future<Output = Result<T, Refused>> + Send + 'static,
    T: Serialize,
{
    Arc::new(move |calling| {
        let answer = hook(calling);
        Box::pin(async move {
            Json::of(&answer.await?).map_err(|error| {
                tracing::error!(%error, "a call's result");
                Refused::internal("the application's result cannot be told")
            })
        })
    })
}

/// Whether a client could call it: 1 to 128 bytes.
pub(super) fn is_method(method: &str) -> bool {
    (1..=METHOD_BYTES).contains(&method.len())
}

impl Hub {
    /// Begins a call; it is not cut short when whoever waits for it goes.
    pub(crate) fn begin_call(
        self: &Arc<Self>,
        caller: &Identity,
        client: Option<&ClientId>,
        method: Box<str>,
        data: Option<Json>,
    ) -> Result<Answer<Result<Json, Refused>>, Refused> {
        let Some(hook) = self.hooks.calls.get(&method) else {
            return Err(Refused::bad_request(format!("no method {method:?} to call is served")));
        };
        let (bytes, most) = (data.as_ref().map_or(0, |data| data.as_str().len()), self.config.message_bytes);
        if bytes > most {
            return Err(Refused::of(Code::TooLarge, format!("data has {bytes} bytes, at most {most} are allowed")));
        }
        let (hook, deadline) = (Arc::clone(hook), self.hooks.deadline());
        let tricast = Tricast::new(Arc::clone(self));
        let calling = Calling { method, data, caller: caller.clone(), client: client.cloned(), tricast };
        Ok(self.hooks.begin(NAME, async move { run(NAME, &hook, calling, deadline).await? }))
    }
}

//! `on_connect` and `on_disconnect`: the application lets a caller in, and is told when it has gone.

use std::sync::Arc;

use tricast_core::access::Identity;
use tricast_core::protocol::ClientId;

use super::{Refused, Transport, run};
use crate::handle::Tricast;
use crate::hub::Hub;

/// A caller who connects, and is told nothing yet.
///
/// Every WebSocket and every SSE stream is a connection, and so is every poll: it is one request.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connecting {
    /// Who.
    pub caller: Identity,
    /// The client id. A WebSocket has one always, an SSE stream or a poll only if the client chose one.
    pub client: Option<ClientId>,
    /// On which way.
    pub transport: Transport,
    tricast: Tricast,
}

impl Connecting {
    /// The node.
    #[must_use]
    pub fn tricast(&self) -> &Tricast {
        &self.tricast
    }
}

/// A connection that was let in and is over: a WebSocket's or an SSE stream's.
#[derive(Debug)]
#[non_exhaustive]
pub struct Disconnected {
    /// Whose it was.
    pub caller: Identity,
    /// Its client id, as [`Connecting::client`] told it.
    pub client: Option<ClientId>,
    /// On which way it came.
    pub transport: Transport,
    tricast: Tricast,
}

impl Disconnected {
    /// The node.
    #[must_use]
    pub fn tricast(&self) -> &Tricast {
        &self.tricast
    }
}

/// A caller that was let in. The application is told when this is dropped.
///
/// Where a connection counts while it is drained, this must be dropped before what makes it count.
#[derive(Debug, Default)]
pub(crate) struct Connected(Option<Box<Disconnected>>);

impl Drop for Connected {
    fn drop(&mut self) {
        let Some(disconnected) = self.0.take() else { return };
        let hub = Arc::clone(disconnected.tricast.hub());
        let Some(hook) = hub.hooks.disconnect.clone() else { return };
        // A drain waits for the hook as it does for a connection.
        let (counts, deadline) = (hub.connect(), hub.hooks.deadline());
        hub.hooks.begin("on_disconnect", async move {
            // A failure has been logged, and nobody is there to be told.
            let _ = run("on_disconnect", &hook, *disconnected, deadline).await;
            drop(counts);
        });
    }
}

impl Hub {
    /// Asks the application whether it lets a caller in.
    ///
    /// Whoever is let in is told to leave, though nobody waited for the answer.
    pub(crate) async fn connected(
        self: &Arc<Self>,
        caller: &Identity,
        client: Option<&ClientId>,
        transport: Transport,
    ) -> Result<Connected, Refused> {
        if self.hooks.connect.is_none() && self.hooks.disconnect.is_none() {
            return Ok(Connected::default());
        }
        let (caller, client, tricast) = (caller.clone(), client.cloned(), Tricast::new(Arc::clone(self)));
        let disconnected = Disconnected { caller, client, transport, tricast };
        let Some(hook) = self.hooks.connect.clone() else { return Ok(disconnected.connected()) };
        let deadline = self.hooks.deadline();
        let asked = self.hooks.begin("on_connect", async move {
            let Disconnected { caller, client, tricast, .. } = &disconnected;
            let (caller, client, tricast) = (caller.clone(), client.clone(), tricast.clone());
            run("on_connect", &hook, Connecting { caller, client, transport, tricast }, deadline).await??;
            Ok(disconnected.connected())
        });
        asked.get().await?
    }
}

impl Disconnected {
    fn connected(self) -> Connected {
        // A poll ends with its answer, which tells nothing about whoever polls.
        Connected((self.transport != Transport::Poll).then(|| Box::new(self)))
    }
}

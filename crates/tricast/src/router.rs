//! The routes: where each endpoint is, under whatever path the application nests them.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::any;

use crate::handle::Tricast;
use crate::transport::{assets, front, poll, send, sse, ws};

impl Tricast {
    /// The endpoints `ws`, `sse`, `poll`, `send`, `client.js` and `share.js`, to be nested into an application of any state.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tricast::BuildError> {
    /// use axum::Router;
    /// use tricast::Tricast;
    /// let tricast = Tricast::builder().build().await?;
    /// let app: Router = Router::new().nest("/rt", tricast.router());
    /// # Ok(())
    /// # }
    /// ```
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let hub = Arc::clone(self.hub());
        // Each endpoint judges methods itself: axum's `get` would answer HEAD, and upgrades have methods of their own.
        Router::new()
            .route("/ws", any(ws::ws))
            .route("/sse", any(sse::sse))
            .route("/poll", any(poll::poll))
            .route("/send", any(send::send))
            .route("/client.js", any(assets::client))
            .route("/share.js", any(assets::share))
            .layer(from_fn_with_state(Arc::clone(&hub), front))
            .with_state(hub)
    }
}

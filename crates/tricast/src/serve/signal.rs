//! When the operator asks the process to stop.

#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};

/// Resolves at SIGTERM or Ctrl-C (elsewhere than on Unix: at Ctrl-C).
///
/// On Unix the handlers are in place when this returns, not when the future is first polled: a signal that comes
/// right after is not lost. From then on these signals no longer end the process by themselves. One that cannot be
/// watched is logged, and keeps its ordinary effect.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn shutdown_signal() -> impl Future<Output = ()> + Send + 'static {
    #[cfg(unix)]
    let asked = {
        let terminate = next(SignalKind::terminate());
        let interrupt = next(SignalKind::interrupt());
        async move {
            tokio::select! {
                () = terminate => {}
                () = interrupt => {}
            }
        }
    };
    #[cfg(not(unix))]
    let asked = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "cannot watch for Ctrl-C");
            std::future::pending::<()>().await;
        }
    };
    async move {
        asked.await;
        tracing::info!("asked to stop");
    }
}

#[cfg(unix)]
fn next(kind: SignalKind) -> impl Future<Output = ()> + Send + 'static {
    let listener = signal(kind);
    async move {
        match listener {
            Ok(mut listener) => {
                listener.recv().await;
            }
            Err(error) => {
                tracing::error!(%error, ?kind, "cannot watch for a signal");
                std::future::pending::<()>().await;
            }
        }
    }
}

//! What operators and their machines ask a server beside its channels.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tricast::{NotReady, Tricast};

/// Begins to count, for the whole process.
///
/// # Errors
/// Somebody counts already.
pub(super) fn count() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().install_recorder()?;
    tricast::metrics::describe();
    Ok(handle)
}

/// `/healthz`, `/readyz` and `/metrics`.
pub(super) fn routes(tricast: &Tricast, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(readyz).with_state(tricast.clone()))
        .route("/metrics", get(exposition).with_state(metrics))
}

async fn readyz(State(tricast): State<Tricast>) -> Response {
    let told = match tricast.ready().await {
        Ok(()) => return "ready".into_response(),
        Err(NotReady::Draining) => "draining",
        Err(error) => {
            // Its reason may name what is behind this server, and everybody may ask.
            tracing::warn!(%error, "not ready");
            "the backplane is down"
        }
    };
    (StatusCode::SERVICE_UNAVAILABLE, told).into_response()
}

async fn exposition(State(metrics): State<PrometheusHandle>) -> Response {
    metrics.run_upkeep();
    ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], metrics.render()).into_response()
}

const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    async fn get(tricast: &Tricast, path: &str) -> (StatusCode, String) {
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = routes(tricast, metrics).oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readyz_is_red_while_the_node_drains_and_healthz_is_not() {
        let tricast = Tricast::builder().build().await.unwrap();
        assert_eq!(get(&tricast, "/readyz").await, (StatusCode::OK, "ready".to_owned()));
        tricast.drain(Duration::ZERO).await;
        assert_eq!(get(&tricast, "/readyz").await, (StatusCode::SERVICE_UNAVAILABLE, "draining".to_owned()));
        assert_eq!(get(&tricast, "/healthz").await, (StatusCode::OK, "ok".to_owned()));
    }
}

//! Serves `/metrics`, `/health` and `/ready`.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use serde::Serialize;
use tokio::net::TcpListener;

use crate::{Metrics, health::Health};

#[derive(Clone)]
struct Shared {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    refresh: Arc<dyn Fn(&Metrics) + Send + Sync>,
}

/// The form of the metrics' page.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Binds `address` and answers in the background until the runtime ends. `refresh` is called before
/// metrics and health are read. Gives the address that was bound.
pub(crate) async fn serve(
    address: SocketAddr,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    refresh: Arc<dyn Fn(&Metrics) + Send + Sync>,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let router = Router::new()
        .route("/metrics", get(metrics_page))
        .route("/health", get(alive))
        .route("/ready", get(ready))
        .with_state(Shared { metrics, health, refresh });
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "metrics and health are not served any more");
        }
    });
    Ok(bound)
}

async fn metrics_page(State(shared): State<Shared>) -> impl IntoResponse {
    (shared.refresh)(&shared.metrics);
    // So that the gauge and the answer of /ready never differ by more than a moment.
    let ready = shared.health.ready();
    shared.metrics.ready(ready.ready);
    ([(CONTENT_TYPE, OPEN_METRICS)], shared.metrics.encode())
}

async fn alive(State(shared): State<Shared>) -> impl IntoResponse {
    (shared.refresh)(&shared.metrics);
    let alive = shared.health.alive();
    answer(alive.alive, alive)
}

async fn ready(State(shared): State<Shared>) -> impl IntoResponse {
    (shared.refresh)(&shared.metrics);
    let ready = shared.health.ready();
    answer(ready.ready, ready)
}

fn answer<T: Serialize>(yes: bool, body: T) -> (StatusCode, Json<T>) {
    (if yes { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body))
}

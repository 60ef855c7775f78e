//! What a worker shows of itself: metrics, health, traces and logs.
//!
//! * [`JsonLog`] writes the log as JSON objects, each with the id of the request that it is about.
//! * [`checks`] are the questions of `outlayer doctor` and of `/ready`.
//! * [`Telemetry`] gathers what a running worker shows, and serves it.
//! * [`Metrics`] are what Prometheus reads.
//! * [`Traces`] sends a trace of each request to an OpenTelemetry collector.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod checks;
mod health;
mod json_log;
mod metrics;
mod requests;
mod server;
mod telemetry;
mod traces;

pub use json_log::JsonLog;
pub use metrics::Metrics;
pub use telemetry::Telemetry;
pub use traces::{Traces, TracesError};

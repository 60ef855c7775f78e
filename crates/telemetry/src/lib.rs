//! What a worker shows of itself: metrics, health, traces and logs.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod json_log;

pub use json_log::JsonLog;

//! The worker: looks at the pending requests, and answers them.

mod approvals;
mod attempt;
mod config;
mod discover;
mod observe;
mod parts;
mod refusal;
mod turn;
mod worker;

#[cfg(test)]
mod tests;

pub use config::WorkerConfig;
pub use observe::{Observer, Stage};
pub use worker::{Summary, Worker, WorkerError};

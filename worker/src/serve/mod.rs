//! The worker: it looks at the pending requests, and answers them.
//!
//! [`worker`] is the loop. It asks [`discover`] which requests to serve now, and starts an
//! [`attempt`] for each. An attempt that must agree with other workers goes through [`approvals`],
//! and one whose body is too large for a transaction through [`parts`]. [`services`] is what they
//! all use.

mod approvals;
mod attempt;
mod config;
mod discover;
mod error;
mod observe;
mod parts;
mod refusal;
mod services;
mod set_aside;
mod turn;
mod worker;

#[cfg(test)]
mod tests;

pub use config::WorkerConfig;
pub use error::WorkerError;
pub use observe::{Observer, Stage};
pub use worker::{Summary, Worker};

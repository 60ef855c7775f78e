//! The worker: it looks at the pending requests, and answers them.
//!
//! [`worker`] is the loop. It asks [`discover`] which requests to serve now, and starts an
//! [`attempt`] for each. [`alone`] serves those that one worker answers. [`agreement`] serves those
//! on which several must agree; [`seat`] decides its next step, [`salt`] keeps its commitments
//! secret, and [`shares`] tidies up after it. Both send the body through [`submit`], and one that
//! is too large for a transaction goes through [`parts`]. [`services`] is what they all use.

mod agreement;
mod alone;
mod attempt;
mod config;
mod discover;
mod error;
mod observe;
mod parts;
mod refusal;
mod salt;
mod seat;
mod services;
mod set_aside;
mod shares;
mod submit;
mod turn;
mod worker;

#[cfg(test)]
mod tests;

pub use config::WorkerConfig;
pub use error::WorkerError;
pub use observe::{Observer, Stage};
pub use worker::{Summary, Worker};

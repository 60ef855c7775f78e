//! The worker: it looks at the pending requests, and answers them.
//!
//! A request goes through [`stage`]s: discover, fetch, claim, execute, submit, confirm. Each has
//! its own places, so that what waits in one of them, for a download or for a block, holds up
//! nothing in the others. [`worker`] starts an [`attempt`] for a request when there is a place for
//! it; [`schedule`] says which request comes next, [`fleet`] which ones are left to other workers,
//! and [`replica`] which ones to other processes of the same account. [`alone`] takes a request
//! through the stages that one worker answers, and [`agreement`] one on which several must agree.
//! [`secrets`] opens what a request's guest is to be given. [`services`] is what they all use.
//! [`ahead`] compiles code that nobody has asked for yet.

mod agreement;
mod ahead;
mod alone;
mod attempt;
mod config;
mod error;
mod fleet;
mod observe;
mod replica;
mod schedule;
mod secrets;
mod services;
mod set_aside;
mod stage;
mod task;
mod worker;

#[cfg(test)]
mod tests;

pub use config::{Places, SecretsConfig, WorkerConfig};
pub use error::{ExecutionError, WorkerError};
pub use observe::{Observer, Stage};
pub use replica::{InvalidReplica, Replica};
pub use services::Pulse;
pub use stage::discover::source::{BlockSource, NextBlock};
pub use worker::{Summary, Worker};

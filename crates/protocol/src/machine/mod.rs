//! The life of a request as a pure transition function.
//!
//! ```text
//! Pending -> Staged -> settled       a worker answered (Resolve, or the last part of a body; then
//!                                    Deliver)
//! Pending -> Cancelling -> settled   the request was cancelled (Cancel, then Deliver)
//! Pending -> Disputing -> settled    the workers cannot agree any more (Reveal or Close, then
//!                                    Deliver)
//! Pending -> settled                 nobody answered (Deliver of a timeout)
//! Staged, Cancelling, Disputing -> settled
//!                                    as TimedOut, where a network lets a timeout overtake a resume
//! any -> settled                     as TimedOut, by Sweep, when the callback failed
//! ```
//!
//! "Settled" means that the record is deleted and only events remain, and where several workers had
//! to agree, [`OpenShares`] for a while. [`LiveRequest::step`] and
//! [`LiveRequest::take_part`] say which steps a request takes and what follows. The contract
//! carries the effects out and decides nothing itself. Nothing is paid, written or refunded before
//! `Deliver` or `Sweep`.

mod agreement;
mod claim;
mod effect;
mod input;
mod keep;
// The contract does without it. Code that it never calls would still change how the rest of it is
// compiled, and so what its calls cost.
#[cfg(not(target_family = "wasm"))]
mod paid;
mod refusal;
mod settle;
mod shares;
mod step;
mod upload;

pub use crate::live_request::{LiveRequest, Phase, Terms};
#[cfg(test)]
mod tests;

pub use effect::{Effect, Purse, Step, Taken};
pub use input::{Body, Delivery, Input};
#[cfg(not(target_family = "wasm"))]
pub use paid::Paid;
pub use refusal::{Reason, Refusal};
pub use shares::{OpenShares, SharesStep};
pub use upload::{CompleteBody, PartTaken};

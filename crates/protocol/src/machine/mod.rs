//! The life of a request as a pure transition function.
//!
//! ```text
//! Pending -> Staged -> settled          a worker answered (Resolve, after a Part or more if it is large; then Deliver)
//! Pending -> Cancelling -> settled      the requester took it back (Cancel, then Deliver)
//! Pending -> settled                    nobody answered (Deliver of a timeout)
//! Staged or Cancelling -> settled       as TimedOut, where a network lets a timeout overtake a resume
//! any -> settled                        as TimedOut, by Sweep, when the callback failed
//! ```
//!
//! "Settled" means that the record is deleted and only events remain. [`LiveRequest::step`] says what may
//! happen and what follows from it; the contract carries the effects out and decides nothing itself. Nothing is paid,
//! written or refunded before `Deliver` or `Sweep`.

mod effect;
mod input;
mod refusal;
mod settle;
mod step;
mod upload;

pub use crate::{
    commitment::Commitment,
    live_request::{LiveRequest, Phase, Terms},
};
#[cfg(test)]
mod tests;

pub use effect::{Effect, Step};
pub use input::{Body, Delivery, Input};
pub use refusal::{Reason, Refusal};
pub use upload::{CompleteBody, PartTaken};

//! The language that OutLayer's contract, workers and callers share.
//!
//! Everything here is plain data and pure functions: what a request is ([`request`]), what it may use
//! ([`limits`]), what the guest is told ([`context`]), how it can end ([`outcome`]), what is hashed so that
//! anyone can check it ([`record`]), what it costs ([`pricing`]), what a
//! network can carry ([`capacity`]), and how a live request moves from one
//! state to the next ([`machine`]). No I/O, no clock, no blockchain environment, no engine.
//!
//! Amounts are in yoctoNEAR, heights in blocks, timestamps in nanoseconds since the Unix epoch, sizes in
//! bytes. Borsh is the wire format between workers and the contract and the preimage of every hash; JSON is
//! what callers see (hashes in hex, bytes in base64, amounts in decimal strings).

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod bytes;
pub mod capacity;
pub mod commitment;
pub mod config;
pub mod context;
pub mod events;
pub mod hash;
pub mod limits;
pub mod live_request;
pub mod machine;
pub mod methods;
pub mod outcome;
pub mod payload;
pub mod pricing;
pub mod record;
pub mod refusal_code;
pub mod request;
pub mod reserve;
pub mod response;
pub mod status;
pub mod storage;
pub mod upload;
pub mod validation;
pub mod views;

#[cfg(feature = "abi")]
mod abi;
mod json;

pub use bytes::Bytes;
pub use config::Config;
pub use context::{ExecutionContext, random_seed};
pub use hash::Hash32;
pub use limits::{Compute, Limit, Meter, ResourceLimits};
pub use outcome::{Outcome, Settlement};
pub use payload::ResumePayload;
pub use record::ExecutionRecord;
pub use refusal_code::RefusalCode;
pub use request::{CodeRef, EngineVersion, ExecutionRequest, GuestKind, ResponseFormat};
pub use response::ExecutionResponse;
pub use status::Status;
pub use storage::{JournalEntry, ReadEntry};
pub use upload::ResponsePart;

pub use near_account_id::AccountId;
pub use near_token::NearToken;

/// Identifies a request within one contract; ids count up from 0 and are never used again.
pub type RequestId = u64;

//! The language that OutLayer's contract, workers and callers share.
//!
//! Everything here is plain data and pure functions. There is no I/O, no clock, no blockchain
//! environment, and no engine.
//!
//! * What a caller asks for: [`request`], [`code_name`], [`limits`], [`config`], and whether the
//!   contract takes it: [`validation`], [`window`], [`capacity`].
//! * What it costs: [`pricing`], [`reserve`].
//! * What the guest is told, and what comes of it: [`context`], [`storage`], [`http`],
//!   [`secrets`], [`plan`], [`status`], [`response`], [`upload`].
//! * What is hashed so that anyone can check it: [`record`], [`commitment`], [`hash`].
//! * How workers share the work: [`claims`], and how several of them agree: [`seats`],
//!   [`agreement`].
//! * How a request lives and ends: [`live_request`], [`machine`], [`payload`], [`outcome`],
//!   [`kept_result`].
//! * What the contract shows and says: [`views`], [`index`], [`events`], [`methods`],
//!   [`refusal_code`].
//!
//! Amounts are in yoctoNEAR, heights in blocks, timestamps in nanoseconds since the Unix epoch,
//! sizes in bytes. Borsh is the wire format between workers and the contract, and what every hash
//! is computed from. JSON is what callers see, with hashes in hex, bytes in base64 and amounts as
//! decimal strings.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod agreement;
pub mod bytes;
pub mod capacity;
pub mod claims;
pub mod code_name;
pub mod commitment;
pub mod config;
pub mod context;
pub mod events;
pub mod hash;
pub mod http;
pub mod index;
pub mod kept_result;
pub mod limits;
pub mod live_request;
pub mod machine;
pub mod methods;
mod object;
pub mod outcome;
pub mod payload;
pub mod plan;
pub mod pricing;
pub mod record;
pub mod refusal_code;
pub mod request;
pub mod reserve;
pub mod response;
pub mod seats;
pub mod secrets;
mod sha256;
pub mod status;
pub mod storage;
pub mod upload;
pub mod validation;
pub mod views;
pub mod window;

#[cfg(feature = "abi")]
mod abi;
mod json;

pub use agreement::Agreement;
pub use bytes::Bytes;
pub use claims::Claims;
pub use config::Config;
pub use context::{ExecutionContext, random_seed};
pub use hash::Hash32;
pub use http::{HttpAccess, HttpLimits};
pub use kept_result::KeptResult;
pub use limits::{Compute, Limit, Meter, ResourceLimits};
pub use outcome::{Outcome, Settlement, Supported};
pub use payload::ResumePayload;
pub use plan::Plan;
pub use record::ExecutionRecord;
pub use refusal_code::RefusalCode;
pub use request::{
    CancelBy, CodeRef, CodeSource, EngineVersion, ExecutionRequest, GuestKind, OnRefusal,
    ResponseFormat,
};
pub use response::ExecutionResponse;
pub use secrets::SecretRef;
pub use status::Status;
pub use storage::{JournalEntry, ReadEntry};
pub use upload::ResponsePart;

pub use near_account_id::AccountId;
pub use near_token::NearToken;

/// The id of a request within one contract. Ids count up from 0 and are never used again.
pub type RequestId = u64;

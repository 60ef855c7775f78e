//! Verifies a settled request from chain data alone.
//!
//! The requester's transaction names everything. Its receipts logged `execution_requested` and,
//! when an execution was settled, `execution_completed` with the record's digest. In the block
//! before the callback's, the request was still live: the contract's views at that block give the
//! request with its input, the code if it was published, and the namespace as the worker read it,
//! because the keys that the staged response had read were locked until the callback. The guest is
//! executed again on that, and the digest of its record is compared with the settled one.
//!
//! An execution with secrets is repeated by whoever has their openings; each is compared with the
//! commitment that the request pins. Without them the verdict is that they are needed.
//!
//! * [`verify()`] judges [`Evidence`] that it is given. It asks nobody for anything.
//! * [`mod@fetch`] finds the evidence on the chain.
//! * [`replay()`] does one after the other, and [`audit()`] does so for many requests.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod audit;
mod error;
pub mod fetch;
mod question;
mod replay;
mod secrets;
mod transaction;
mod verdict;
mod verify;

pub use audit::{AuditError, Audited, audit};
pub use error::{FetchError, ReplayError};
pub use question::Question;
pub use replay::replay;
pub use secrets::{OpeningError, Openings};
pub use verdict::{Difference, Replay, Verdict};
pub use verify::{Evidence, VerifyError, verify};

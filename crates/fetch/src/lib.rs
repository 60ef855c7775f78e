//! The network, for guests and for their code.
//!
//! Guests come from anyone, and so do the URLs that their requests name. A [`Guard`] says which
//! addresses may be reached. A [`Web`] makes the HTTP exchanges of executions: a [`Session`] is one
//! execution's [`Fetch`](outlayer_guest::Fetch), within the time that its request gives it.
//!
//! Nothing here looks into an answer. What a guest sees of it is the executor's to decide.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod failure;
mod guard;
mod probe;
mod session;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod web;

pub use guard::{Guard, UrlError};
pub use session::Session;
pub use web::{FetchConfig, Web, WebError};

//! Where a guest's code comes from, and the check that its bytes are the right ones.
//!
//! A [`CodeStore`] takes code from memory, from a folder, from a URL, or from the contract in which
//! it was published. Wherever it comes from, it is hashed before it is handed out, every time. The
//! caches know code by its hash alone, and never by any part of a URL.
//!
//! URLs stand in requests that anyone can make, so downloads are guarded: they are bounded in size
//! and time, and by default they do not reach into private networks.
//!
//! This crate does not compile code or look into it.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod disk;
mod error;
mod loading;
mod memory;
mod published;
mod store;
mod web;

#[cfg(test)]
mod tests;

pub use error::{CodeError, DownloadError};
pub use outlayer_fetch::UrlError;
pub use store::{CodeConfig, CodeStore};

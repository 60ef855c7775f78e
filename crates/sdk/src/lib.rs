//! What the author of an OutLayer guest imports.
//!
//! A guest is an ordinary Rust program for `wasm32-wasip1`: it reads its input from stdin, writes
//! its output to stdout and its log to stderr. This crate adds what WASI does not have:
//!
//! * [`context`]: the request, the block and the accounts that the guest runs for;
//! * [`storage`]: the key-value namespace of the account that asked;
//! * [`http`]: the hosts that the request may reach;
//! * [`plan`]: what the guest would have its caller do, as promises of NEAR;
//! * [`random`]: randomness from the request's seed, the same in every execution;
//! * [`input`] and [`output`]: the input as bytes or text, the output, and the log.
//!
//! ```
//! use outlayer_sdk::{context, output, storage};
//!
//! let caller = context::current().predecessor_id;
//! let marks = storage::read(b"marks").unwrap_or_default();
//! let marks = [&marks[..], b"|"].concat();
//! storage::write(b"marks", &marks);
//! output::write(format!("{caller} was here {} times", marks.len()));
//! ```
//!
//! No function here is `unsafe` to call, and none blocks: a guest runs alone, on a snapshot.
//!
//! # Modules and components
//!
//! Built for `wasm32-wasip1`, a guest is a core module, and this crate imports the host as the
//! module `outlayer`. With the feature `component` it imports the WIT package `outlayer:host`
//! instead, and `outlayer componentize`, or any tool that knows the adapter for WASI preview 1,
//! makes a component from the module:
//!
//! ```text
//! cargo build --release --target wasm32-wasip1 --features outlayer-sdk/component
//! outlayer componentize target/wasm32-wasip1/release/guest.wasm guest.component.wasm
//! ```
//!
//! The guest's source is the same, and so is what it sees, with two differences: a component that
//! exits with any code but 0 is reported to exit with 1, because WASI 0.2 cannot say more; and the
//! request's limit must be in fuel.
//!
//! # Outside OutLayer
//!
//! On any target but Wasm, the host is a small stand-in inside the thread, so that a guest's logic
//! can be tested with `cargo test`. Its storage starts empty. Its context is
//! [`Context::default`](context::Context) until [`testing::set_context`] sets another. Its
//! randomness is a fixed sequence that depends on the context's seed, but it is *not* the sequence
//! that OutLayer draws. See [`testing`].

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod context;
mod host;
pub mod http;
pub mod input;
pub mod output;
pub mod plan;
pub mod random;
pub mod storage;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

//! What a guest means, without an engine to run it.
//!
//! A guest is WebAssembly that somebody else wrote. Everything about it that must be the same
//! whichever engine executes it is decided here: whether its bytes are accepted, how its stack is
//! bounded, what the host answers when it calls, what each of its calls costs, and which words
//! describe how it ended.
//!
//! * [`prepare`] looks at the bytes before anything is compiled: what kind of guest they are,
//!   whether they are valid and small enough to compile, and adds stack metering.
//! * [`Host`](host::Host) is what the host keeps for one execution: the virtual clock, the random
//!   stream, the view of storage, the streams, and the limits on all of them.
//! * [`preview1`], [`preview0`] and [`outlayer`] are the functions that guests import, written
//!   against the traits [`HostCall`], [`MemoryCall`], [`StorageCall`] and [`FetchCall`].
//! * [`http`] says which requests a guest may send, and what is kept of an answer.
//! * [`Work`] names what host functions do for a guest; [`fuel`] says what that costs.
//! * A [`Job`] is what is to be executed, a [`Snapshot`] the storage that it reads, [`Fetch`] the
//!   network, and an [`Execution`] what came of it. A [`Stop`] is how a host function ends an
//!   execution, [`verdict`] has the statuses and reasons, and a [`Fault`] says that there is no
//!   verdict. A [`Backtrace`] says for people where a guest trapped.
//! * An [`Engine`] executes jobs. An [`EngineId`] names it, and [`Engines`] are those that a
//!   program has, each for the requests that pin it.
//!
//! The crate names neither wasmtime nor a crate of nearcore, and builds for
//! `wasm32-unknown-unknown`. Gas is NEAR's, so its costs and its instrumentation are the
//! executor's.
//!
//! # Using it with an engine
//!
//! An engine validates and instruments a module with [`prepare`], makes a [`Host`](host::Host) for
//! the [`Job`], and links each function of [`preview1`], [`preview0`] and [`outlayer`] to the
//! import of the same name. What the engine hands to a host function implements the traits of a
//! call, which give access to the guest's memory, to the host beside it, and to the meter that
//! pays.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod backtrace;
mod call;
mod engine;
mod execution;
mod fault;
mod fetch;
pub mod fuel;
mod functions;
pub mod host;
pub mod http;
mod job;
mod memory;
pub mod outlayer;
pub mod prepare;
pub mod preview0;
pub mod preview1;
mod secrets;
mod snapshot;
mod stop;
pub mod verdict;
mod version;
mod work;

pub use backtrace::Backtrace;
pub use call::{FetchCall, HostCall, MemoryCall, StorageCall};
pub use engine::{Engine, Engines, UnsupportedEngine};
pub use execution::Execution;
pub use fault::{Cause, Fault};
pub use fetch::{Fetch, FetchError, Fetched, Http, Outgoing};
pub use job::{Code, Job, PROGRAM_NAME};
pub use secrets::{Replayed, Secrets};
pub use snapshot::{Connected, EmptySnapshot, Snapshot, SnapshotError};
pub use stop::Stop;
pub use version::{ENGINE_VERSION, EngineId, NEAR_CONFIG_VERSION};
pub use work::Work;

//! The deterministic engine: runs a guest as a pure function of its code, arguments, environment, input,
//! limits, context and storage.
//!
//! [`Executor::execute`] takes a [`Job`] and a [`Snapshot`] of the namespace's storage and gives an [`Execution`]:
//! a verdict ([`Status`](outlayer_protocol::Status)) with all that belongs to it. The same job over the same values
//! gives the same execution on every machine that has the same [`ENGINE_VERSION`]. Where the host could not come to
//! a verdict (its deadline passed, the snapshot failed, it had no memory) the answer is a [`Fault`] instead, and
//! nothing about the guest follows from it.
//!
//! How the parts divide the work:
//!
//! * `prepare` looks at the bytes before anything is compiled: what kind of guest they are, whether they validate,
//!   whether they are small enough to compile, and adds the accounting of the guest's stack.
//! * `engine` holds wasmtime's configuration, one for each meter, `cache` keeps what was compiled, in memory and in a folder, `run` drives one execution and
//!   `meter` counts it.
//! * `host` is what guests of every kind share: the virtual clock, the random stream, storage, streams, and
//!   what each use of them costs. `wasi_p1` and `outlayer_abi` are what core
//!   modules import, `wasi_p2` and `outlayer_wit` what components do.
//! * `near` runs NEAR contracts, on near-vm-runner with its own engine.
//! * `verdict` turns what ended an execution into a status.
//!
//! # Guests and meters
//!
//! | guest | fuel | gas | stack |
//! |---|---|---|---|
//! | `wasi-p1` | yes | yes | [`prepare::stack`] under fuel, NEAR's bound under gas |
//! | `wasi-p2` | yes | `InvalidModule` | [`prepare::stack`], for each module inside |
//! | `near` | `InvalidModule` | yes | NEAR's bound |
//!
//! Gas is NEAR's, to the unit, by NEAR's own instrumentation; [`gas`] has the table of what is charged and what
//! differs from a node.
//!
//! Fuel is wasmtime's. One unit of fuel is one Wasm operator (`nop`, `drop`, `block`, `loop`, `else`, `end`, `unreachable` and `return` are
//! free, entering a function costs one); bulk operators cost one more for each byte or element, and growing a memory
//! 1 for each page. The accounting of the stack adds to each call what [`fuel`] says. Host functions charge
//! by the constants of [`fuel`]. An execution that would need more than its limit is `OutOfFuel` and has used the limit
//! exactly. A trap inside of compiled code (a division by zero, an access out of bounds) is billed up to the last
//! place at which the fuel was counted: a call, or [`fuel::ACCOUNTING_INTERVAL`] units, whichever came last.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod cache;
mod engine;
mod execution;
mod fault;
pub mod fuel;
pub mod gas;
mod host;
mod job;
mod meter;
pub mod near;
mod near_config;
mod outlayer_abi;
mod outlayer_wit;
pub mod prepare;
mod read_with;
mod run;
mod snapshot;
mod verdict;
mod version;
mod wasi_p1;
mod wasi_p2;

pub use cache::CacheCounts;
pub use engine::{Executor, ExecutorConfig};
pub use execution::Execution;
pub use fault::{EngineError, Fault};
pub use host::clock::CLOCK_STEP_NANOS;
pub use job::{Job, PROGRAM_NAME};
pub use read_with::ReadWith;
pub use snapshot::{EmptySnapshot, Snapshot, SnapshotError};
pub use version::{ENGINE_VERSION, NEAR_CONFIG_VERSION, UnsupportedVersion, check_version};

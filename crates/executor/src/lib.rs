//! The deterministic engine: runs a guest as a pure function of its code, arguments, environment,
//! input, limits, context and storage.
//!
//! [`Executor::execute`] takes a [`Job`] and a [`Snapshot`] of the namespace's storage and returns
//! an [`Execution`]: a verdict ([`Status`](outlayer_protocol::Status)) with everything that belongs
//! to it. The same job over the same values gives the same execution on every machine that has the
//! same [`ENGINE_VERSION`]. When the host cannot come to a verdict (its deadline passed, the
//! snapshot failed, it has no memory) the answer is a [`Fault`] instead, and nothing about the
//! guest follows from it.
//!
//! What a guest means, whichever engine runs it, is decided by `outlayer-guest`: which bytes are
//! accepted, what host functions answer and cost, how an execution ends. This crate is the engine
//! around it, and the only one that knows wasmtime:
//!
//! * `executor` decides which backend runs a job; `config` is how it uses its machine.
//! * `backend` is wasmtime, set up once for each meter and once for components. `cache` keeps what
//!   was compiled, in memory and in a folder.
//! * `run` drives one execution, `state` is what it keeps, and `meter` counts what it uses. `call`
//!   and `charge` connect host functions to the rules of `outlayer-guest`.
//! * `wasi_p1` and `outlayer::module` link what core modules import; `wasi_p2` and
//!   `outlayer::component` link what components import. `docs/wasi.md` says what that is.
//! * `transform` lets a guest reduce what came of an HTTP exchange, before it sees it.
//! * `near` runs NEAR contracts, on near-vm-runner with its own engine.
//! * `verdict` turns wasmtime's errors into statuses.
//!
//! # Guests and meters
//!
//! | guest | fuel | gas | stack |
//! |---|---|---|---|
//! | `wasi-p1` | yes | yes | [`prepare::meter`] under fuel, NEAR's bound under gas |
//! | `wasi-p2` | yes | `InvalidModule` | [`prepare::meter`], for all modules inside together |
//! | composition | by wasmtime | `InvalidModule` | [`prepare::meter`], for each module inside |
//! | `near` | `InvalidModule` | yes | NEAR's bound |
//!
//! Gas is NEAR's, to the unit, by NEAR's own instrumentation. [`gas`] lists what is charged, and
//! what differs from a node.
//!
//! Fuel is our own: a core module counts it by itself, in code that [`prepare::meter`] writes into
//! it, so that it is the same on every engine. One unit of fuel is one Wasm operator (`nop`,
//! `drop`, `block`, `loop`, `else`, `end`, `unreachable` and `return` are free). Entering a
//! function, bulk operators, `ref.func`, growth and host functions cost what [`fuel`] says. Bulk
//! operators cost one unit more for each byte or element, and growth costs
//! [`fuel::MEMORY_GROW_PAGE`] for each page that a memory really gets: a growth that fails costs a
//! constant.
//!
//! The modules of a component count in the same way, in one counter that they share. Host functions
//! add what they charge beside it, because the host reads that counter when the guest has ended. So
//! each side alone ends a guest that wants more than the limit. A guest that wants more by both
//! together runs on, and is `OutOfFuel` in the end: it may do twice the work of its limit, of which
//! nobody sees anything.
//!
//! A composition is a component that contains others with functions of their own
//! ([`prepare::is_composition`]). What these pass to each other goes through code that wasmtime
//! makes, and that no preparation sees. So wasmtime counts there, by the same costs, but entering a
//! function costs one unit and the operators of its stack metering. What one component passes to
//! another is charged where the receiver is asked for room, by [`fuel::REALLOC_BYTE`] for each
//! byte: wasmtime's functions, which check, copy and transcode strings, count nothing.
//!
//! An execution that would need more than its limit is `OutOfFuel` and has used exactly the limit.
//! A trap in the middle of code (a division by zero, an access out of bounds) is billed for all but
//! the straight stretch before it, without loop or call.
//!
//! In a composition wasmtime keeps the fuel that a function uses in a register, and writes it down
//! at calls, where a function ends, and every [`fuel::ACCOUNTING_INTERVAL`] units. One that ends in
//! between, by such a trap or by a limit on growth, is billed for what had been written down and
//! for one whole interval, within its limit.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod account;
mod backend;
mod backtrace;
mod cache;
mod call;
mod charge;
mod config;
mod counters;
mod deadline;
mod error;
mod executor;
pub mod gas;
mod limiter;
mod mailbox;
mod meter;
pub mod near;
mod near_config;
mod outlayer;
mod profile;
mod run;
mod state;
mod transform;
mod verdict;
mod wasi_p1;
mod wasi_p2;

pub use cache::CacheCounts;
pub use config::ExecutorConfig;
pub use error::EngineError;
pub use executor::Executor;
pub use outlayer_guest::{
    Backtrace, Cause, Code, ENGINE_VERSION, EmptySnapshot, Engine, EngineId, Engines, Execution,
    Fault, Job, NEAR_CONFIG_VERSION, PROGRAM_NAME, Snapshot, SnapshotError, UnsupportedEngine,
    fuel, host::CLOCK_STEP_NANOS, prepare,
};
pub use profile::{FunctionFuel, NoProfile, Profile};

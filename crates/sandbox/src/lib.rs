//! Runs guests in child processes, so that no guest comes near a key.
//!
//! A guest is bytes that a stranger wrote, and the engine that reads, compiles and runs them is
//! large. So the process that holds keys and speaks to the chain hands them, unread, to a child
//! that has nothing to lose: no key, no environment, no network, a folder of its own, few system
//! calls, and a bound on its memory. A child that crashes, hangs or runs out of memory costs the
//! request that it was serving, and nothing else.
//!
//! * [`Sandbox`] is an [`Engine`](outlayer_guest::Engine) whose executions happen in children. It
//!   starts a few of them, gives each one request at a time, uses them again, and replaces one
//!   after any fault. `budget` is the memory that all of them share, `process` is one child as its
//!   parent sees it.
//! * [`serve`] is the other side: what the child's program calls, with the engine that it brings.
//!   `confine` is what the child gives up before it reads anything that a guest wrote.
//! * `network` is what a child may ask of the network, through its parent.
//! * `wire` is what the two say to each other, over one socket.
//!
//! What a child may do, how that is kept, and what it does not protect against is in `SECURITY.md`.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod budget;
mod codes;
mod config;
mod confine;
mod machine;
mod memory;
mod network;
mod process;
mod progress;
mod sandbox;
mod scratch;
mod serve;
mod wire;

pub use config::{EngineSettings, SandboxConfig};
pub use confine::{Confinement, confine, hide_memory};
pub use machine::machine_memory;
pub use sandbox::{Sandbox, SandboxError};
pub use serve::{ServeError, serve};

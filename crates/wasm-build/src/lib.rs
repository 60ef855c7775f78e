//! Builds a developer's package to Wasm with the cargo that is installed: a program to a guest, a
//! dynamic library to a contract.
//!
//! * [`Package::read`] asks cargo what a package has, and [`Package::build`] builds it.
//! * The flags are those of the Wasm that the engine and a NEAR node both accept
//!   ([`Kind::flags`]). `scripts/lib/wasm-toolchain.sh` has the same, which a test checks.
//! * The same sources, compiler and settings give the same bytes in any folder: the paths of this
//!   machine do not get into the Wasm. Flags and profiles that the environment has for other builds
//!   are left out; what the package's own `.cargo/config.toml` says stays. A package depends on its
//!   place only if it has a path dependency outside of its workspace, or asks for a path itself
//!   (`env!("CARGO_MANIFEST_DIR")`).
//!
//! The command `outlayer` and the test kit build with this crate, so that a test's guest has the
//! hash of the one that is published.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod cargo;
mod compiler;
mod error;
mod package;

#[cfg(test)]
mod tests;

pub use cargo::{Options, Progress, WASM_CARGO};
pub use compiler::Kind;
pub use error::BuildError;
pub use package::{Package, Target, WasmFile};

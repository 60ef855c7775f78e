//! Makes a component (`wasi-p2`) from a guest that was built as a core module for `wasm32-wasip1`.
//!
//! The usual adapter provides what the module imports from WASI preview 1, over WASI 0.2. What the
//! module imports from `outlayer:host` it must describe in a section `component-type`. With its
//! feature `component`, `outlayer-sdk` puts that section there, as does every tool that generates
//! bindings from WIT. The same module always gives the same bytes.
//!
//! This crate is separate from the command `outlayer` so that `scripts/wasm` can build it in half a
//! minute.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod entry;
mod interfaces;

use std::panic::catch_unwind;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wit_component::ComponentEncoder;

/// The first bytes of a core module: magic and version.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Why a module cannot become a component.
#[derive(Debug, thiserror::Error)]
pub enum ComponentizeError {
    /// The bytes do not begin with the magic number and version of a core module.
    #[error("expected a core WebAssembly module, found bytes that begin otherwise")]
    NotACoreModule,
    /// The module imports `outlayer`, the host's interface for core modules.
    #[error(
        "the module imports \"outlayer\", which only core modules can; \
         build it with outlayer-sdk's feature \"component\""
    )]
    CoreImports,
    /// The module has nothing that a guest begins with. It is a library (a reactor).
    #[error(
        "the module exports no _start, so it is a library and no program: a guest exports a \
         function _start, without parameters and results. Build a program with main() \
         (for Rust `[[bin]]`, for C without -mexec-model=reactor), or export wasi:cli/run"
    )]
    NoStart,
    /// A custom section describes interfaces in a way that their reader could not follow.
    #[error("the custom section {section:?}: {reason}")]
    Interfaces {
        /// Its name, which begins with `component-type`.
        section: String,
        /// What nests too deep, or which package depends on itself.
        reason: String,
    },
    /// The encoder panicked, which is a defect of it. Its message is on standard error.
    #[error("the encoder panicked over this module")]
    Panic,
    /// Anything else that the encoder found wrong with the module, in its own words.
    #[error("{0}")]
    Encode(String),
}

/// Wraps the core module `module` in a component, and returns the component's bytes.
///
/// # Errors
/// [`ComponentizeError`] when the module is invalid, or imports something that a component cannot.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, ComponentizeError> {
    if !module.starts_with(CORE_MODULE) {
        return Err(ComponentizeError::NotACoreModule);
    }
    if !entry::exists(module) {
        return Err(ComponentizeError::NoStart);
    }
    interfaces::check(module)?;
    let adapter = (WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER);
    let encode = || {
        ComponentEncoder::default()
            .module(module)
            .and_then(|encoder| encoder.adapter(adapter.0, adapter.1))
            .and_then(|mut encoder| encoder.encode())
    };
    let encoded = catch_unwind(encode).map_err(|_| ComponentizeError::Panic)?;
    encoded.map_err(|error| {
        let reason = format!("{error:#}");
        if reason.contains("`outlayer`") {
            ComponentizeError::CoreImports
        } else {
            ComponentizeError::Encode(reason)
        }
    })
}

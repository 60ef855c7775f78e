//! Makes a component (`wasi-p2`) of a guest that was built as a core module for `wasm32-wasip1`.
//!
//! What the module imports from WASI preview 1 is given by the usual adapter, over WASI 0.2. What it imports from
//! `outlayer:host` it must describe in a section `component-type`, as `outlayer-sdk` with its feature `component` does, and
//! every tool that generates bindings from WIT. The same module gives the same bytes.
//!
//! It stands apart from the command `outlayer` so that `scripts/wasm` can build it in half a minute.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wit_component::ComponentEncoder;

/// The first bytes of a core module: magic and version.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum ComponentizeError {
    /// The bytes begin otherwise.
    #[error("expected a core WebAssembly module, found bytes that begin otherwise")]
    NotACoreModule,
    /// The module imports what the tool knows nothing of.
    #[error(
        "the module imports \"outlayer\", which only core modules can; build it with outlayer-sdk's feature \"component\""
    )]
    CoreImports,
    /// All else that is wrong with the module.
    #[error("{0}")]
    Encode(String),
}

/// The component around `module`.
///
/// # Errors
/// [`ComponentizeError`] when the module is invalid or imports what a component cannot.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, ComponentizeError> {
    if !module.starts_with(CORE_MODULE) {
        return Err(ComponentizeError::NotACoreModule);
    }
    let adapter = (WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER);
    let encoded = ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.adapter(adapter.0, adapter.1))
        .and_then(|mut encoder| encoder.encode());
    encoded.map_err(|error| {
        let reason = format!("{error:#}");
        if reason.contains("`outlayer`") {
            ComponentizeError::CoreImports
        } else {
            ComponentizeError::Encode(reason)
        }
    })
}

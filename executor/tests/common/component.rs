//! Components, made as tool chains make them.
#![allow(dead_code, clippy::unwrap_used)]

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wit_component::ComponentEncoder;

/// A component around a module of preview 1, by the usual adapter.
pub(crate) fn componentize(module: &[u8]) -> Vec<u8> {
    ComponentEncoder::default()
        .module(module)
        .unwrap()
        .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)
        .unwrap()
        .encode()
        .unwrap()
}

/// The prelude without what only core modules have.
pub(crate) fn prelude() -> String {
    let lines: Vec<_> =
        super::PRELUDE.lines().filter(|line| !line.contains("\"outlayer\"")).collect();
    lines.join("\n")
}

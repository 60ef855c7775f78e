//! Applies NEAR's preparation to a core WASI module.

use near_parameters::vm::VMKind;
use near_vm_runner::prepare::prepare_contract;
use outlayer_guest::{
    Fault,
    outlayer::module,
    prepare, preview0, preview1,
    verdict::{invalid_module, no_memory},
};
use outlayer_protocol::Status;
use wasmparser::{ExternalKind, Parser, Payload, WasmFeatures};

use super::{
    deferred::{self, Counts},
    imports::Imports,
    limits,
};
use crate::{error::Rejection, near_config::near_config};

/// What NEAR's runtime accepts.
const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::BULK_MEMORY);

/// How many pages a memory without a maximum can have.
const MAX_PAGES: u32 = 1 << 16;

/// Checks a core module as under the fuel meter and by NEAR's limits, and adds NEAR's
/// instrumentation. The result is what gets compiled.
///
/// # Errors
/// The verdict on a module that is invalid or out of bounds.
pub(crate) fn core_module(code: &[u8], counts: Counts) -> Result<Vec<u8>, Rejection> {
    prepare::check(code)?;
    wasmparser::Validator::new_with_features(FEATURES).validate_all(code).map_err(|error| {
        invalid_module(format!("not accepted under the gas meter: {}", error.message()))
    })?;
    let (initial, maximum) = memory(code)?;
    let mut config = near_config().wasm_config.as_ref().clone();
    config.limit_config.initial_memory_pages = initial;
    config.limit_config.max_memory_pages = maximum;
    let imports = Imports::read(code, &[preview1::MODULE, preview0::MODULE, module::MODULE])?;
    let prepared = prepare_contract(&imports.hide(code), &config, VMKind::Wasmtime)
        .map_err(|error| limits::refused(&error))?;
    let prepared = imports.give_back(&prepared).map_err(Fault::engine)?;
    Ok(deferred::module(&prepared, counts)?)
}

/// Initial and maximal pages of the memory that a validated module must export. NEAR's preparation
/// would put a memory and an export of its own in their place.
fn memory(code: &[u8]) -> Result<(u32, u32), Status> {
    let malformed = |error: wasmparser::BinaryReaderError| invalid_module(error.message());
    let (mut pages, mut exported) = (None, None);
    for payload in Parser::new(0).parse_all(code) {
        match payload.map_err(malformed)? {
            Payload::MemorySection(reader) => {
                for memory in reader {
                    let ty = memory.map_err(malformed)?;
                    let page = |pages: u64| u32::try_from(pages).unwrap_or(MAX_PAGES);
                    pages = Some((page(ty.initial), ty.maximum.map_or(MAX_PAGES, page)));
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export.map_err(malformed)?;
                    if export.name == "memory" {
                        exported = Some(export.kind);
                    }
                }
            }
            _ => {}
        }
    }
    match (exported, pages) {
        (Some(ExternalKind::Memory), Some(pages)) => Ok(pages),
        // The memory is imported. The host has none, so the imports will be rejected.
        (Some(ExternalKind::Memory), None) => Ok((0, 0)),
        (Some(_), _) => Err(invalid_module("the export memory must be a memory")),
        (None, _) => Err(no_memory()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declared_memory_stays() {
        let prepared = |memory: &str| {
            let text =
                format!(r#"(module (memory (export "memory") {memory}) (func (export "_start")))"#);
            let prepared = core_module(&wat::parse_str(text).unwrap(), Counts::ALL).unwrap();
            for payload in Parser::new(0).parse_all(&prepared) {
                if let Payload::MemorySection(reader) = payload.unwrap() {
                    let ty = reader.into_iter().next().unwrap().unwrap();
                    return (ty.initial, ty.maximum);
                }
            }
            panic!("no memory");
        };
        assert_eq!(prepared("3 5"), (3, Some(5)));
        assert_eq!(prepared("3"), (3, Some(65_536)));
    }
}

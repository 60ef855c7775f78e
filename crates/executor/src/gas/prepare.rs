//! Applies NEAR's preparation to a core WASI module.

use near_parameters::vm::VMKind;
use near_vm_runner::prepare::prepare_contract;
use outlayer_protocol::Status;
use wasmparser::{ExternalKind, Parser, Payload, WasmFeatures};

use super::{imports::Imports, limits};
use crate::{
    fault::Fault,
    near_config::near_config,
    outlayer_abi,
    prepare::{self, Refusal},
    verdict::invalid_module,
    wasi_p1,
};

/// What NEAR's runtime accepts.
const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::BULK_MEMORY);

/// A memory without a maximum can have this many pages.
const MAX_PAGES: u32 = 1 << 16;

/// Checks a core module as under the fuel meter and by NEAR's limits, and adds NEAR's instrumentation. The result is what
/// gets compiled.
///
/// # Errors
/// A verdict when the module is invalid or out of bounds.
pub(crate) fn core_module(code: &[u8]) -> Result<Vec<u8>, Refusal> {
    prepare::check(code)?;
    wasmparser::Validator::new_with_features(FEATURES).validate_all(code).map_err(|error| {
        invalid_module(format!("not accepted under the gas meter: {}", error.message()))
    })?;
    let (initial, maximum) = memory(code)?;
    let mut config = near_config().wasm_config.as_ref().clone();
    config.limit_config.initial_memory_pages = initial;
    config.limit_config.max_memory_pages = maximum;
    let imports = Imports::read(code, &[wasi_p1::MODULE, outlayer_abi::MODULE])?;
    let prepared = prepare_contract(&imports.hide(code), &config, VMKind::Wasmtime)
        .map_err(|error| limits::refused(&error))?;
    Ok(imports.give_back(&prepared).map_err(|error| Fault::Engine(error.message().to_owned()))?)
}

/// Initial and maximal pages of the memory that a validated module must export. NEAR's preparation would put its own in its
/// place, and its own export too.
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
        // An imported memory, which the host does not have.
        (Some(ExternalKind::Memory), None) => Ok((0, 0)),
        (Some(_), _) => Err(invalid_module("the export memory must be a memory")),
        (None, _) => Err(invalid_module("there is no export memory")),
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
            let prepared = core_module(&wat::parse_str(text).unwrap()).unwrap();
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

//! The WebAssembly that guests may use.

use wasmparser::WasmFeatures;

/// What core modules may use: WebAssembly 2.0 with extended constant expressions, without
/// `externref` (which needs a garbage collector). Left out are threads (not deterministic), relaxed
/// SIMD (differs between machines), 64-bit memories, several memories, tail calls and exceptions
/// (stack metering does not follow them), and everything newer.
pub const FEATURES: WasmFeatures =
    WasmFeatures::WASM2.union(WasmFeatures::EXTENDED_CONST).difference(WasmFeatures::GC_TYPES);

/// What components may use: their modules [`FEATURES`], and the component model around them.
pub const COMPONENT_FEATURES: WasmFeatures = FEATURES.union(WasmFeatures::COMPONENT_MODEL);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_differs_between_machines_is_accepted() {
        for off in [
            WasmFeatures::THREADS,
            WasmFeatures::RELAXED_SIMD,
            WasmFeatures::MEMORY64,
            WasmFeatures::MULTI_MEMORY,
            WasmFeatures::TAIL_CALL,
            WasmFeatures::EXCEPTIONS,
            WasmFeatures::GC,
            WasmFeatures::FUNCTION_REFERENCES,
            WasmFeatures::WIDE_ARITHMETIC,
            WasmFeatures::CUSTOM_PAGE_SIZES,
        ] {
            assert!(!FEATURES.intersects(off), "{off:?}");
        }
        assert!(FEATURES.contains(
            WasmFeatures::SIMD.union(WasmFeatures::BULK_MEMORY).union(WasmFeatures::MULTI_VALUE)
        ));
    }
}

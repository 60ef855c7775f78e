//! The WebAssembly that guests may use.

use wasmparser::WasmFeatures;

/// WebAssembly 2.0 with extended constant expressions, without `externref` (which needs a garbage collector). Left
/// out: threads (not deterministic), relaxed SIMD (differs between machines), 64-bit memories, several memories, tail calls and
/// exceptions (the accounting of the stack does not follow them), and all that is newer.
pub(crate) const FEATURES: WasmFeatures =
    WasmFeatures::WASM2.union(WasmFeatures::EXTENDED_CONST).difference(WasmFeatures::GC_TYPES);

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

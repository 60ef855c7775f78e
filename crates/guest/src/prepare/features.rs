//! The WebAssembly that guests may use.

use wasmparser::WasmFeatures;

/// What core modules may use under fuel: WebAssembly 2.0 with extended constant expressions, tail
/// calls, several memories, and relaxed SIMD, which becomes plain SIMD before anything is compiled.
///
/// Left out are threads (not deterministic), 64-bit memories (WASI's pointers have 32 bits), and
/// everything newer. So are `externref` and exceptions, which need wasmtime's garbage collector. It
/// makes an object for each exception that is thrown, in a heap beside the guest's memories. The
/// heap is not billed, a collector chooses when to free what, and one that never does ends a guest
/// that throws often enough. V8 has another heap, which ends elsewhere.
pub const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::MULTI_MEMORY)
    .difference(WasmFeatures::GC_TYPES);

/// What components may use: their modules [`FEATURES`] but for several memories, and the component
/// model around them. Hosts have room for one memory of each of a component's many instances.
pub const COMPONENT_FEATURES: WasmFeatures =
    FEATURES.union(WasmFeatures::COMPONENT_MODEL).difference(WasmFeatures::MULTI_MEMORY);

/// What a guest's author can do about features that are left out, by what the validator says.
const ADVICE: [(&str, &str); 6] = [
    ("gc types", "externref and other reference types; build without `reference-types`"),
    ("reference types", "reference types; build without `reference-types`"),
    ("exceptions", "exceptions; build without `exception-handling`, as with `-fno-exceptions`"),
    ("threads", "threads and shared memories; build without `atomics`"),
    ("memory64", "64-bit memories and tables; build for wasm32"),
    ("multiple memories", "several memories in a component; build without `multimemory`"),
];

/// The reason for which a guest is invalid, by what the validator says: where that is about a
/// feature that is left out, with what was found and what to do.
pub(super) fn reason(message: &str) -> String {
    let is_left_out = ["not enabled", "must be enabled", "disallowed", "multiple memories"]
        .iter()
        .any(|words| message.contains(words));
    match ADVICE.iter().find(|(about, _)| message.contains(about)) {
        Some((_, advice)) if is_left_out => format!("{message}: guests may not use {advice}"),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_named_with_what_to_do() {
        for (text, expected) in [
            ("(table 1 externref)", "build without `reference-types`"),
            ("(memory i64 1)", "build for wasm32"),
            ("(memory 1 1 shared)", "build without `atomics`"),
            ("(tag)", "-fno-exceptions"),
        ] {
            let code = wat::parse_str(format!("(module {text})")).unwrap();
            let validated = wasmparser::Validator::new_with_features(FEATURES).validate_all(&code);
            let error = validated.map(drop).unwrap_err();
            let reason = reason(error.message());
            assert!(reason.starts_with(error.message()), "{reason}");
            assert!(reason.contains(expected), "{text}: {reason}");
        }
        let two = "(component (core module (memory 1) (memory 1)))";
        let mut validator = wasmparser::Validator::new_with_features(COMPONENT_FEATURES);
        let error = validator.validate_all(&wat::parse_str(two).unwrap()).map(drop).unwrap_err();
        assert!(reason(error.message()).contains("build without `multimemory`"), "{error}");
        assert_eq!(reason("type mismatch"), "type mismatch");
    }

    #[test]
    fn nothing_that_differs_between_machines_is_accepted() {
        for off in [
            WasmFeatures::THREADS,
            WasmFeatures::MEMORY64,
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

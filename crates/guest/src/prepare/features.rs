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

/// What a guest's author can do about features that are left out, by what the validator says.
const ADVICE: [(&str, &str); 8] = [
    ("gc types", "externref and other reference types; build without `reference-types`"),
    ("reference types", "reference types; build without `reference-types`"),
    ("tail calls", "tail calls; build without `tail-call`"),
    ("exceptions", "exceptions; build without `exception-handling`, as with `-fno-exceptions`"),
    ("threads", "threads and shared memories; build without `atomics`"),
    ("relaxed SIMD", "relaxed SIMD, which differs between machines; build without `relaxed-simd`"),
    ("memory64", "64-bit memories and tables; build for wasm32"),
    ("multiple memories", "several memories; build without `multimemory`"),
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
            ("(memory 1) (memory 1)", "build without `multimemory`"),
            ("(memory i64 1)", "build for wasm32"),
            ("(memory 1 1 shared)", "build without `atomics`"),
            ("(func return_call 0)", "build without `tail-call`"),
            ("(tag)", "-fno-exceptions"),
            ("(func unreachable i32x4.relaxed_trunc_f32x4_s drop)", "build without `relaxed-simd`"),
        ] {
            let code = wat::parse_str(format!("(module {text})")).unwrap();
            let validated = wasmparser::Validator::new_with_features(FEATURES).validate_all(&code);
            let error = validated.map(drop).unwrap_err();
            let reason = reason(error.message());
            assert!(reason.starts_with(error.message()), "{reason}");
            assert!(reason.contains(expected), "{text}: {reason}");
        }
        assert_eq!(reason("type mismatch"), "type mismatch");
    }

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

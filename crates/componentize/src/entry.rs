//! Whether a module is a program, looked at before the encoder takes seconds for a large one.

use wasmparser::{Parser, Payload};

/// What a program for `wasm32-wasip1` exports.
const START: &str = "_start";
/// How the names begin under which a module exports functions of `wasi:cli/run` by itself.
const RUN: &str = "wasi:cli/run@0.2.";

/// Whether the module exports something that a guest begins with. The encoder reports what else is
/// wrong with it, and whether it parses.
pub(crate) fn exists(module: &[u8]) -> bool {
    for payload in Parser::new(0).parse_all(module) {
        let Ok(payload) = payload else { return true };
        if let Payload::ExportSection(exports) = payload {
            return exports
                .into_iter()
                .map_while(Result::ok)
                .any(|export| export.name == START || export.name.starts_with(RUN));
        }
    }
    false
}

//! Which kind of guest some bytes are.

use outlayer_protocol::GuestKind;
use wasmparser::{Parser, Payload};

/// The kind that `code` is: a component is `wasi-p2`; a core module that imports from `env` and
/// exports no `_start` is `near`; every other core module is `wasi-p1`. `None` when the bytes are
/// no WebAssembly.
///
/// Only imports and exports are looked at. Whether the module is valid is not decided here.
pub fn detect(code: &[u8]) -> Option<GuestKind> {
    if Parser::is_component(code) {
        return Some(GuestKind::WasiP2);
    }
    if !Parser::is_core_wasm(code) {
        return None;
    }
    let (mut from_env, mut starts) = (false, false);
    for payload in Parser::new(0).parse_all(code) {
        match payload {
            Ok(Payload::ImportSection(imports)) => {
                from_env = imports.into_imports().flatten().any(|import| import.module == "env");
            }
            Ok(Payload::ExportSection(exports)) => {
                starts = exports.into_iter().flatten().any(|export| export.name == "_start");
                break;
            }
            Ok(Payload::CodeSectionStart { .. }) | Err(_) => break,
            Ok(_) => {}
        }
    }
    Some(if from_env && !starts { GuestKind::Near } else { GuestKind::WasiP1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_follows_from_imports_and_exports() {
        let kind = |text: &str| detect(&wat::parse_str(text).unwrap());
        assert_eq!(kind("(component)"), Some(GuestKind::WasiP2));
        assert_eq!(kind(r#"(module (func (export "_start")))"#), Some(GuestKind::WasiP1));
        assert_eq!(
            kind(r#"(module (import "env" "input" (func (param i64))) (func (export "run")))"#),
            Some(GuestKind::Near)
        );
        assert_eq!(
            kind(r#"(module (import "env" "input" (func (param i64))) (func (export "_start")))"#),
            Some(GuestKind::WasiP1)
        );
        assert_eq!(kind("(module)"), Some(GuestKind::WasiP1));
        assert_eq!(detect(b"(module)"), None);
        assert_eq!(detect(b""), None);
        assert_eq!(detect(b"\0asm\x01\0\0\0\x02\xff"), Some(GuestKind::WasiP1));
    }
}

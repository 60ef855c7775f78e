//! What a guest has to do with its host, and nothing else: a guest with the same imports and
//! exports whose functions do nothing.
//!
//! It compiles in no time, however large the guest is. So an engine can see with its own eyes,
//! before it compiles the guest, whether the guest exports what it must and imports what there is.

use std::collections::BTreeMap;

use outlayer_protocol::Status;
use wasmparser::{BinaryReaderError, ExternalKind, GlobalType, Parser, Payload, TypeRef, ValType};

use super::{
    component::{HEADER_BYTES, section, sections},
    encode,
};
use crate::verdict::invalid_module;

const TYPE: u8 = 1;
const IMPORT: u8 = 2;
const FUNCTION: u8 = 3;
const TABLE: u8 = 4;
const MEMORY: u8 = 5;
const GLOBAL: u8 = 6;
const EXPORT: u8 = 7;
const CODE: u8 = 10;

/// A function without locals that ends at once.
const BODY: [u8; 4] = [3, 0, UNREACHABLE, END];
const UNREACHABLE: u8 = 0x00;
const END: u8 = 0x0b;

/// The outline of a core module that has been validated.
///
/// # Errors
/// `InvalidModule` for bytes that do not parse.
pub fn module(code: &[u8]) -> Result<Vec<u8>, Status> {
    outline(code).map_err(|error| invalid_module(error.message()))
}

/// The outline of a component that has been validated, and of everything inside of it.
///
/// # Errors
/// `InvalidModule` for bytes that do not parse.
pub fn component(code: &[u8]) -> Result<Vec<u8>, Status> {
    let mut out = code.get(..HEADER_BYTES).unwrap_or_default().to_vec();
    for section in sections(code) {
        let (id, content) = section?;
        let inside;
        let content = match id {
            section::CUSTOM => continue,
            section::CORE_MODULE => {
                inside = module(content)?;
                &inside
            }
            section::COMPONENT => {
                inside = component(content)?;
                &inside
            }
            _ => content,
        };
        encode::section(&mut out, id, content);
    }
    Ok(out)
}

/// The functions of an outline: those that the module imports, and those of its own that it
/// exports.
#[derive(Default)]
struct Functions {
    imported: u32,
    /// The types of those that the module defines.
    types: Vec<u32>,
    /// Their numbers in the outline, for those that are exported.
    kept: BTreeMap<u32, u32>,
    /// The types of those that are exported, in the order of their numbers.
    kept_types: Vec<u32>,
}

impl Functions {
    /// The index in the outline of an exported function.
    fn index(&mut self, index: u32) -> u32 {
        let Some(own) = index.checked_sub(self.imported) else {
            return index;
        };
        if let Some(kept) = self.kept.get(&index) {
            return *kept;
        }
        let next = self.imported + u32::try_from(self.kept_types.len()).unwrap_or(u32::MAX);
        self.kept_types.push(self.types.get(own as usize).copied().unwrap_or_default());
        self.kept.insert(index, next);
        next
    }
}

fn outline(code: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    let mut functions = Functions::default();
    let mut out = code.get(..HEADER_BYTES).unwrap_or_default().to_vec();
    // The functions' types are known only when the exports have been read.
    let (mut after, mut exports) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(code) {
        let payload = payload?;
        match &payload {
            Payload::ImportSection(reader) => {
                for import in reader.clone().into_imports() {
                    functions.imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::FunctionSection(reader) => {
                functions.types = reader.clone().into_iter().collect::<Result<_, _>>()?;
            }
            Payload::GlobalSection(reader) => {
                let mut globals = Vec::new();
                encode::unsigned(&mut globals, reader.count() as usize);
                for global in reader.clone() {
                    put_global(&mut globals, global?.ty);
                }
                encode::section(&mut after, GLOBAL, &globals);
            }
            Payload::ExportSection(reader) => {
                encode::unsigned(&mut exports, reader.count() as usize);
                for export in reader.clone() {
                    let export = export?;
                    encode::name(&mut exports, export.name);
                    let (kind, index) = match export.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => {
                            (0, functions.index(export.index))
                        }
                        ExternalKind::Table => (1, export.index),
                        ExternalKind::Memory => (2, export.index),
                        ExternalKind::Global => (3, export.index),
                        ExternalKind::Tag => (4, export.index),
                    };
                    exports.push(kind);
                    encode::unsigned(&mut exports, index as usize);
                }
            }
            _ => {}
        }
        match payload.as_section() {
            Some((id @ (TYPE | IMPORT), range)) => {
                encode::section(&mut out, id, code.get(range).unwrap_or_default());
            }
            Some((id @ (TABLE | MEMORY), range)) => {
                encode::section(&mut after, id, code.get(range).unwrap_or_default());
            }
            _ => {}
        }
    }
    let count = functions.kept_types.len();
    let (mut types, mut bodies) = (Vec::new(), Vec::new());
    encode::unsigned(&mut types, count);
    for ty in &functions.kept_types {
        encode::unsigned(&mut types, *ty as usize);
    }
    encode::unsigned(&mut bodies, count);
    bodies.extend(BODY.repeat(count));
    encode::section(&mut out, FUNCTION, &types);
    out.extend(after);
    if !exports.is_empty() {
        encode::section(&mut out, EXPORT, &exports);
    }
    encode::section(&mut out, CODE, &bodies);
    Ok(out)
}

/// A global of this type, with a first value of zero.
fn put_global(out: &mut Vec<u8>, ty: GlobalType) {
    let (code, zero): (u8, &[u8]) = match ty.content_type {
        ValType::I32 => (0x7f, &[0x41, 0]),
        ValType::I64 => (0x7e, &[0x42, 0]),
        ValType::F32 => (0x7d, &[0x43, 0, 0, 0, 0]),
        ValType::F64 => (0x7c, &[0x44, 0, 0, 0, 0, 0, 0, 0, 0]),
        ValType::V128 => (0x7b, &[0xfd, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        // The only type of references that guests may use.
        ValType::Ref(_) => (0x70, &[0xd0, 0x70]),
    };
    out.push(code);
    out.push(u8::from(ty.mutable));
    out.extend_from_slice(zero);
    out.push(END);
}

#[cfg(test)]
mod tests {
    use wasmparser::Validator;

    use super::*;
    use crate::prepare::{COMPONENT_FEATURES, FEATURES};

    fn text(code: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for payload in Parser::new(0).parse_all(code) {
            match payload.unwrap() {
                Payload::ImportSection(reader) => {
                    found.extend(reader.into_imports().map(|import| format!("{import:?}")));
                }
                Payload::ExportSection(reader) => {
                    found.extend(reader.into_iter().map(|export| {
                        let export = export.unwrap();
                        format!("{} {:?}", export.name, export.kind)
                    }));
                }
                _ => {}
            }
        }
        found
    }

    #[test]
    fn imports_and_exports_stay_and_everything_else_goes() {
        let large = "(drop (i32.const 1))".repeat(1_000);
        let code = wat::parse_str(format!(
            r#"(module
                (import "m" "f" (func $f (param i32)))
                (import "m" "g" (global $g i32))
                (type $t (func (param i64) (result i64)))
                (func $hidden {large}) (func $shown (type $t) (local.get 0))
                (func $other (param f32)) (table 3 funcref) (memory 1 2)
                (global $i (mut i32) (i32.const 7)) (global $v v128 (v128.const i64x2 1 2))
                (global $r funcref (ref.func $hidden)) (global $from i32 (global.get $g))
                (export "f" (func $f)) (export "shown" (func $shown)) (export "again" (func $shown))
                (export "other" (func $other)) (export "table" (table 0))
                (export "memory" (memory 0)) (export "r" (global $r)) (export "v" (global $v))
                (start $hidden) (elem (i32.const 0) $hidden $shown) (data (i32.const 0) "data"))"#
        ))
        .unwrap();
        let outline = module(&code).unwrap();
        assert!(outline.len() < 400, "{}", outline.len());
        assert_eq!(text(&outline), text(&code));
        let mut validator = Validator::new_with_features(FEATURES);
        let types = validator.validate_all(&outline).unwrap();
        let of = |name: &str| {
            let types = types.as_ref();
            let mut exports =
                Parser::new(0).parse_all(&outline).filter_map(|payload| match payload.unwrap() {
                    Payload::ExportSection(reader) => Some(reader),
                    _ => None,
                });
            let export = exports.next().unwrap().into_iter().map(Result::unwrap);
            let index = export.into_iter().find(|export| export.name == name).unwrap().index;
            let ty = &types[types.core_function_at(index)];
            format!("{ty:?}")
        };
        assert_eq!(of("shown"), of("again"));
        assert!(of("shown").contains("I64") && of("other").contains("F32"));
        for text in ["(module)", "(module (func))", r#"(module (func (export "f")))"#] {
            let outline = module(&wat::parse_str(text).unwrap()).unwrap();
            Validator::new_with_features(FEATURES).validate_all(&outline).unwrap();
        }
    }

    #[test]
    fn a_component_keeps_what_it_is_made_of() {
        let code = wat::parse_str(
            r#"(component
                (import "i" (instance $i (export "f" (func (param "a" (list u8))))))
                (core module $memory (memory (export "m") 1))
                (core instance $memory (instantiate $memory))
                (core func $f (canon lower (func $i "f") (memory (core memory $memory "m"))))
                (core instance $host (export "f" (func $f)))
                (component $c (core module $n (func $s nop) (start $s)))
                (core module $m (import "host" "f" (func (param i32 i32)))
                    (func (export "run") (result i32) (i32.const 0)))
                (core instance $m (instantiate $m (with "host" (instance $host))))
                (func (export "run") (result (result)) (canon lift (core func $m "run"))))"#,
        )
        .unwrap();
        let outline = component(&code).unwrap();
        let mut validator = Validator::new_with_features(COMPONENT_FEATURES);
        validator.validate_all(&outline).unwrap();
    }
}

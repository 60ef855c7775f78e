//! Writes wrappers around exported functions, which charge for the bytes that are asked for.

use std::collections::BTreeSet;

use wasmparser::{BinaryReaderError, ExternalKind, Parser, Payload, TypeRef};

use crate::prepare::{
    encode::{self, signed, unsigned},
    op,
};

mod section {
    pub(super) const IMPORT: u8 = 2;
    pub(super) const FUNCTION: u8 = 3;
    pub(super) const EXPORT: u8 = 7;
    pub(super) const CODE: u8 = 10;
    pub(super) const DATA: u8 = 11;
}

/// The parameters of a `realloc`: address, size, alignment, new size.
const PARAMETERS: u8 = 4;

/// The module, which stack metering has been added to, with a wrapper in place of each function in
/// `exports`. These have the type of a `realloc`.
///
/// The wrappers are appended, so that nothing is renumbered. Stack metering does not count them:
/// each calls one function that it does count, whose frame it adds little to.
pub(super) fn charge(
    module: &[u8],
    exports: &BTreeSet<&str>,
) -> Result<Vec<u8>, BinaryReaderError> {
    let known = Known::read(module)?;
    let mut wrappers = Wrappers { known: &known, types: Vec::new(), bodies: Vec::new(), count: 0 };
    let mut out = module.get(..8).unwrap_or_default().to_vec();
    // The export section stands between those of functions and of code, so what it needs is known
    // before either is written.
    let mut exported = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ExportSection(reader) = payload? {
            unsigned(&mut exported, reader.count() as usize);
            for export in reader {
                let export = export?;
                let index = if export.kind == ExternalKind::Func && exports.contains(export.name) {
                    wrappers.wrap(export.index)
                } else {
                    export.index
                };
                encode::name(&mut exported, export.name);
                exported.push(export.kind as u8);
                unsigned(&mut exported, index as usize);
            }
        }
    }
    let (mut wrote_functions, mut wrote_code) = (false, false);
    for payload in Parser::new(0).parse_all(module) {
        let Some((id, range)) = payload?.as_section() else {
            continue;
        };
        let content = module.get(range).unwrap_or_default();
        if id > section::IMPORT && id != section::FUNCTION && !wrote_functions {
            wrappers.functions(&mut out, &[0]);
            wrote_functions = true;
        }
        if id == section::DATA && !wrote_code {
            wrappers.code(&mut out, &[0]);
            wrote_code = true;
        }
        match id {
            section::FUNCTION => {
                wrappers.functions(&mut out, content);
                wrote_functions = true;
            }
            section::EXPORT => encode::section(&mut out, id, &exported),
            section::CODE => {
                wrappers.code(&mut out, content);
                wrote_code = true;
            }
            _ => encode::section(&mut out, id, content),
        }
    }
    if !wrote_code {
        wrappers.code(&mut out, &[0]);
    }
    Ok(out)
}

/// What must be known of a module before wrappers are added to it.
#[derive(Default)]
struct Known {
    /// The type of each function, imported ones first.
    functions: Vec<u32>,
    /// How many tables there are. The last is the one that stack metering has added.
    tables: usize,
}

impl Known {
    fn read(module: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut known = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(reader) => {
                    for import in reader.into_imports() {
                        match import?.ty {
                            TypeRef::Func(ty) => known.functions.push(ty),
                            TypeRef::Table(_) => known.tables += 1,
                            _ => {}
                        }
                    }
                }
                Payload::FunctionSection(reader) => {
                    for ty in reader {
                        known.functions.push(ty?);
                    }
                }
                Payload::TableSection(reader) => known.tables += reader.count() as usize,
                _ => {}
            }
        }
        Ok(known)
    }
}

/// The functions to be appended.
struct Wrappers<'a> {
    known: &'a Known,
    types: Vec<u8>,
    bodies: Vec<u8>,
    count: usize,
}

impl Wrappers<'_> {
    /// Adds a wrapper around a function, and returns its index.
    fn wrap(&mut self, function: u32) -> u32 {
        let ty = self.known.functions.get(function as usize).copied().unwrap_or_default();
        unsigned(&mut self.types, ty as usize);
        // No locals.
        let mut body = vec![0];
        body.extend([op::REF_NULL, op::FUNCREF, op::LOCAL_GET, PARAMETERS - 1]);
        body.push(op::I32_CONST);
        signed(&mut body, 2);
        body.extend([op::I32_OR, op::PREFIX, op::TABLE_GROW]);
        unsigned(&mut body, self.known.tables.saturating_sub(1));
        body.push(op::DROP);
        for parameter in 0..PARAMETERS {
            body.extend([op::LOCAL_GET, parameter]);
        }
        body.push(op::CALL);
        unsigned(&mut body, function as usize);
        body.push(op::END);
        unsigned(&mut self.bodies, body.len());
        self.bodies.append(&mut body);
        let index = self.known.functions.len() + self.count;
        self.count += 1;
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    fn functions(&self, out: &mut Vec<u8>, content: &[u8]) {
        let types = encode::extended(content, self.count, &self.types);
        encode::section(out, section::FUNCTION, &types);
    }

    fn code(&self, out: &mut Vec<u8>, content: &[u8]) {
        let bodies = encode::extended(content, self.count, &self.bodies);
        encode::section(out, section::CODE, &bodies);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::{FEATURES, meter};

    fn wrapped(text: &str) -> Vec<u8> {
        let code = wat::parse_str(text).unwrap();
        let metered = meter::instrument_in_composition(&code, meter::STACK_BYTES).unwrap();
        let wrapped = charge(&metered, &BTreeSet::from(["r"])).unwrap();
        wasmparser::Validator::new_with_features(FEATURES)
            .validate_all(&wrapped)
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        wrapped
    }

    /// The index of the function that is exported as `name`, and how many functions there are.
    fn export(module: &[u8], name: &str) -> (u32, u32) {
        let (mut index, mut count) = (None, 0);
        for payload in Parser::new(0).parse_all(module) {
            match payload.unwrap() {
                Payload::ImportSection(reader) => count += reader.count(),
                Payload::FunctionSection(reader) => count += reader.count(),
                Payload::ExportSection(reader) => {
                    let mut exports = reader.into_iter().map(Result::unwrap);
                    index = exports.find(|export| export.name == name).map(|export| export.index);
                }
                _ => {}
            }
        }
        (index.unwrap(), count)
    }

    #[test]
    fn the_export_leads_to_the_wrapper_and_others_stay() {
        let wrapped = wrapped(
            r#"(module (memory 1) (table 3 funcref) (func (export "other"))
                (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 8))
                (data (i32.const 0) "x"))"#,
        );
        assert_eq!(export(&wrapped, "other"), (0, 3));
        assert_eq!(export(&wrapped, "r"), (2, 3));
    }

    #[test]
    fn whatever_sections_a_module_has_the_result_is_valid() {
        let r = r#"(func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 8))"#;
        let imported = r#"(import "m" "r" (func $r (param i32 i32 i32 i32) (result i32)))"#;
        for text in [
            format!("(module {r})"),
            format!("(module (memory 1) {r} (data \"x\") (func (data.drop 0)))"),
            // The function is an import, and the module defines none of its own.
            format!(r#"(module {imported} (export "r" (func $r)))"#),
            format!(
                r#"(module {imported} (memory 1) (global i32 (i32.const 1)) (table 2 funcref)
                    (export "r" (func $r)) (elem (i32.const 0) func $r) (data (i32.const 0) "x"))"#
            ),
        ] {
            let (index, count) = export(&wrapped(&text), "r");
            assert_eq!(index + 1, count, "{text}");
        }
    }
}

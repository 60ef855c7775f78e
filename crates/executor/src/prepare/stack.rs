//! The deterministic bound on a guest's stack.
//!
//! finite-wasm computes what each function needs at most: its frame (a fixed part and its locals) and its operands.
//! [`instrument`] writes the accounting into the module: a global holds what is left of [`STACK_BYTES`], each function
//! takes its need from it on entry and gives it back on return. Where it does not suffice, the global becomes
//! -1 and the guest runs into an `unreachable`, which the executor tells from the guest's own by that value.
//! The native stack is far larger than the bound ([`NATIVE_STACK_BYTES`]), so that the bound is met first.
//!
//! Nothing in the module is renumbered: types, the global and the exports are appended. A start function becomes an export, which
//! the executor calls after instantiation, and custom sections are left out.
//!
//! Inside of a component the host cannot look at a module's global. There the start function stays, and the module gets
//! a table of its own, which it grows where the stack does not suffice: the host knows the table by its maximum, which
//! no guest's table may have. Modules there cannot share a counter, so they share the bytes: every instance of a module
//! has its part of [`COMPONENT_STACK_BYTES`], at most [`STACK_BYTES`]. However they call each other, they need no more than that in all.

use outlayer_protocol::Status;
use wasmparser::{
    BinaryReaderError, CompositeInnerType, ExternalKind, FunctionBody, Operator, Parser, Payload,
    TableType, TypeRef, ValType,
};

use super::{
    encode::{self, signed, unsigned},
    stack_size,
};
use crate::verdict::invalid_module;

/// What all frames of a guest may need together, in the bytes of the accounting: 64 a frame and the sizes of
/// its locals and operands. NEAR allows a contract a quarter of it.
pub const STACK_BYTES: u32 = 1 << 20;

/// What all frames of all modules inside of a component may need together.
pub const COMPONENT_STACK_BYTES: u32 = 4 << 20;

/// What each instance of a module may need, inside of a component that makes so many.
pub(crate) fn share(module_instances: u64) -> u32 {
    let shares = u32::try_from(module_instances.max(1)).unwrap_or(u32::MAX);
    STACK_BYTES.min(COMPONENT_STACK_BYTES / shares)
}

/// The native stack on which a guest runs. Compiled frames are mostly smaller than the accounting says; a function made to keep many
/// values has one of up to 16 times that. This is 64 times the bound of a module, 16 times that of a component. Where even that should
/// end, the execution is a fault without a verdict.
pub const NATIVE_STACK_BYTES: usize = 64 << 20;

/// The exported global that holds what is left of the stack; -1 after an overflow.
pub(crate) const STACK_EXPORT: &str = "outlayer:stack";
/// The export under which a module's start function is found.
pub(crate) const START_EXPORT: &str = "outlayer:start";

mod section {
    pub(super) const TYPE: u8 = 1;
    pub(super) const TABLE: u8 = 4;
    pub(super) const GLOBAL: u8 = 6;
    pub(super) const EXPORT: u8 = 7;
    pub(super) const START: u8 = 8;
    pub(super) const CODE: u8 = 10;
}

mod op {
    pub(super) const UNREACHABLE: u8 = 0x00;
    pub(super) const BLOCK: u8 = 0x02;
    pub(super) const IF: u8 = 0x04;
    pub(super) const END: u8 = 0x0b;
    pub(super) const BR: u8 = 0x0c;
    pub(super) const GLOBAL_GET: u8 = 0x23;
    pub(super) const GLOBAL_SET: u8 = 0x24;
    pub(super) const I32_CONST: u8 = 0x41;
    pub(super) const I32_LT_U: u8 = 0x49;
    pub(super) const I32_ADD: u8 = 0x6a;
    pub(super) const I32_SUB: u8 = 0x6b;
    pub(super) const DROP: u8 = 0x1a;
    pub(super) const REF_NULL: u8 = 0xd0;
    pub(super) const PREFIX: u8 = 0xfc;
    pub(super) const TABLE_GROW: u8 = 0x0f;
}

/// The empty block type.
const EMPTY: u8 = 0x40;
const I32: u8 = 0x7f;
const FUNCTION_TYPE: u8 = 0x60;
const FUNCREF: u8 = 0x70;

/// The maximum of the table by which a module inside of a component tells that its stack does not suffice. No
/// guest may have such a table.
pub(crate) const ALARM_TABLE: usize = 0x5ac_0f10;

/// Where a module runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Host {
    /// By itself.
    Core,
    /// Inside of a component.
    Component,
}

/// Adds the accounting to a module that has been validated.
///
/// # Errors
/// `InvalidModule` when the module exports one of the names that the accounting needs.
pub fn instrument(code: &[u8]) -> Result<Vec<u8>, Status> {
    instrument_for(code, Host::Core, STACK_BYTES)
}

/// Adds the accounting to a module inside of a component that has been validated. Each of its instances has `stack_bytes`.
///
/// # Errors
/// `InvalidModule` when the module has names or a table that the accounting needs.
pub(crate) fn instrument_inside(code: &[u8], stack_bytes: u32) -> Result<Vec<u8>, Status> {
    instrument_for(code, Host::Component, stack_bytes)
}

fn instrument_for(code: &[u8], host: Host, stack_bytes: u32) -> Result<Vec<u8>, Status> {
    let charges = stack_size::charges(code)?;
    let layout = Layout::read(code)?;
    Writer {
        code,
        host,
        stack_bytes,
        layout,
        charges,
        out: Vec::with_capacity(code.len() * 5 / 4),
        wrote_table: host == Host::Core,
        wrote_global: false,
        wrote_export: false,
    }
    .run()
    .map_err(|error| invalid_module(error.message()))
}

/// What the writer must know before it starts.
struct Layout {
    /// Number of types.
    types: u32,
    /// Types to be added, each a function without parameters and with these results.
    added_types: Vec<Vec<u8>>,
    /// For each function that the module defines, the type of a block that has its results.
    block_types: Vec<Vec<u8>>,
    /// Index of the global that is added.
    global: u32,
    /// Index of the table that is added inside of a component.
    table: u32,
    start: Option<u32>,
}

impl Layout {
    fn read(code: &[u8]) -> Result<Self, Status> {
        let mut results: Vec<Vec<u8>> = Vec::new();
        let mut layout = Self {
            types: 0,
            added_types: Vec::new(),
            block_types: Vec::new(),
            global: 0,
            table: 0,
            start: None,
        };
        for payload in Parser::new(0).parse_all(code) {
            match payload.map_err(malformed)? {
                Payload::TypeSection(reader) => {
                    layout.types = reader.count();
                    for group in reader {
                        for subtype in group.map_err(malformed)?.types() {
                            let CompositeInnerType::Func(function) = &subtype.composite_type.inner
                            else {
                                return Err(invalid_module("a type that is no function type"));
                            };
                            results.push(
                                function
                                    .results()
                                    .iter()
                                    .map(|ty| encode(*ty))
                                    .collect::<Result<_, _>>()?,
                            );
                        }
                    }
                }
                Payload::ImportSection(reader) => {
                    for import in reader.into_imports() {
                        match import.map_err(malformed)?.ty {
                            TypeRef::Global(_) => layout.global += 1,
                            TypeRef::Table(ty) => {
                                check_table(ty)?;
                                layout.table += 1;
                            }
                            _ => {}
                        }
                    }
                }
                Payload::FunctionSection(reader) => {
                    for ty in reader {
                        let ty = ty.map_err(malformed)? as usize;
                        let results =
                            results.get(ty).ok_or_else(|| invalid_module("unknown type"))?;
                        let block_type = layout.block_type(results);
                        layout.block_types.push(block_type);
                    }
                }
                Payload::TableSection(reader) => {
                    layout.table += reader.count();
                    for table in reader {
                        check_table(table.map_err(malformed)?.ty)?;
                    }
                }
                Payload::GlobalSection(reader) => layout.global += reader.count(),
                Payload::ExportSection(reader) => {
                    for export in reader {
                        let name = export.map_err(malformed)?.name;
                        if name == STACK_EXPORT || name == START_EXPORT {
                            return Err(invalid_module(format!("the export {name:?} is reserved")));
                        }
                    }
                }
                Payload::StartSection { func, .. } => layout.start = Some(func),
                _ => {}
            }
        }
        Ok(layout)
    }

    fn block_type(&mut self, results: &[u8]) -> Vec<u8> {
        match results {
            [] => vec![EMPTY],
            [one] => vec![*one],
            several => {
                let known = self.added_types.iter().position(|added| added == several);
                let added = known.unwrap_or_else(|| {
                    self.added_types.push(several.to_vec());
                    self.added_types.len() - 1
                });
                let mut block_type = Vec::new();
                signed(
                    &mut block_type,
                    i64::from(self.types) + i64::try_from(added).unwrap_or(i64::MAX),
                );
                block_type
            }
        }
    }
}

fn check_table(ty: TableType) -> Result<(), Status> {
    if ty.maximum == Some(ALARM_TABLE as u64) {
        return Err(invalid_module(format!(
            "a table with a maximum of {ALARM_TABLE} elements is reserved"
        )));
    }
    Ok(())
}

fn malformed(error: BinaryReaderError) -> Status {
    invalid_module(error.message())
}

fn encode(ty: ValType) -> Result<u8, Status> {
    match ty {
        ValType::I32 => Ok(I32),
        ValType::I64 => Ok(0x7e),
        ValType::F32 => Ok(0x7d),
        ValType::F64 => Ok(0x7c),
        ValType::V128 => Ok(0x7b),
        ValType::Ref(ty) if ty.is_func_ref() => Ok(0x70),
        ValType::Ref(_) => Err(invalid_module("a reference type other than funcref")),
    }
}

struct Writer<'a> {
    code: &'a [u8],
    host: Host,
    /// What the counter starts with.
    stack_bytes: u32,
    layout: Layout,
    charges: Vec<u32>,
    out: Vec<u8>,
    wrote_table: bool,
    wrote_global: bool,
    wrote_export: bool,
}

impl Writer<'_> {
    fn run(mut self) -> Result<Vec<u8>, BinaryReaderError> {
        self.out.extend_from_slice(self.code.get(..8).unwrap_or_default());
        let mut bodies = Vec::new();
        let mut defined = 0;
        for payload in Parser::new(0).parse_all(self.code) {
            let payload = payload?;
            if let Payload::CodeSectionEntry(body) = &payload {
                let mut written = Vec::new();
                self.body(&mut written, body, defined)?;
                unsigned(&mut bodies, written.len());
                bodies.extend(written);
                defined += 1;
                continue;
            }
            // Sections after the code's (the data) come when all bodies are known.
            if defined > 0 && !matches!(payload, Payload::CustomSection(_)) {
                self.code_section(&mut bodies, &mut defined);
            }
            let Some((id, range)) = payload.as_section() else {
                continue;
            };
            let content = self.code.get(range).unwrap_or_default();
            if id > section::TABLE {
                self.before_memory();
            }
            match id {
                section::TYPE => self.type_section(content),
                section::TABLE if self.host == Host::Component => self.table_section(content),
                section::GLOBAL => self.global_section(content),
                section::EXPORT => {
                    self.before_exports();
                    self.export_section(content);
                }
                section::START if self.host == Host::Core => {}
                section::CODE => self.before_code(),
                0 => {}
                _ => {
                    if id > section::EXPORT && id != 13 {
                        self.before_code();
                    }
                    self.section(id, content);
                }
            }
        }
        if defined > 0 {
            self.code_section(&mut bodies, &mut defined);
        }
        Ok(self.out)
    }

    fn section(&mut self, id: u8, content: &[u8]) {
        encode::section(&mut self.out, id, content);
    }

    /// Writes a section that holds a vector, with `count` items more at its end.
    fn extended(&mut self, id: u8, content: &[u8], count: usize, items: &[u8]) {
        self.section(id, &encode::extended(content, count, items));
    }

    fn type_section(&mut self, content: &[u8]) {
        let mut items = Vec::new();
        for results in &self.layout.added_types {
            items.extend([FUNCTION_TYPE, 0]);
            unsigned(&mut items, results.len());
            items.extend_from_slice(results);
        }
        let count = self.layout.added_types.len();
        self.extended(section::TYPE, content, count, &items);
    }

    fn table_section(&mut self, content: &[u8]) {
        let mut table = vec![FUNCREF, 1, 0];
        unsigned(&mut table, ALARM_TABLE);
        self.extended(section::TABLE, content, 1, &table);
        self.wrote_table = true;
    }

    fn before_memory(&mut self) {
        if !self.wrote_table {
            self.table_section(&[0]);
        }
    }

    fn global_section(&mut self, content: &[u8]) {
        let mut global = vec![I32, 1, op::I32_CONST];
        signed(&mut global, self.stack_bytes.into());
        global.push(op::END);
        self.extended(section::GLOBAL, content, 1, &global);
        self.wrote_global = true;
    }

    fn export_section(&mut self, content: &[u8]) {
        let mut items = Vec::new();
        let mut export = |name: &str, kind: u8, index: u32| {
            unsigned(&mut items, name.len());
            items.extend_from_slice(name.as_bytes());
            items.push(kind);
            unsigned(&mut items, index as usize);
        };
        export(STACK_EXPORT, ExternalKind::Global as u8, self.layout.global);
        let start = self.layout.start.filter(|_| self.host == Host::Core);
        if let Some(start) = start {
            export(START_EXPORT, ExternalKind::Func as u8, start);
        }
        let count = 1 + usize::from(start.is_some());
        self.extended(section::EXPORT, content, count, &items);
        self.wrote_export = true;
    }

    fn before_exports(&mut self) {
        self.before_memory();
        if !self.wrote_global {
            self.global_section(&[0]);
        }
    }

    fn before_code(&mut self) {
        self.before_exports();
        if !self.wrote_export {
            self.export_section(&[0]);
        }
    }

    fn code_section(&mut self, bodies: &mut Vec<u8>, defined: &mut usize) {
        let mut section = Vec::with_capacity(bodies.len() + 5);
        unsigned(&mut section, *defined);
        section.append(bodies);
        self.section(section::CODE, &section);
        *defined = 0;
    }

    fn body(
        &self,
        out: &mut Vec<u8>,
        body: &FunctionBody<'_>,
        index: usize,
    ) -> Result<(), BinaryReaderError> {
        let charge = self.charges.get(index).copied().unwrap_or(u32::MAX);
        let mut operators = body.get_operators_reader()?;
        let mut copied = operators.original_position();
        let range = body.range();
        out.extend_from_slice(self.code.get(range.start..copied).unwrap_or_default());
        self.check(out, charge);
        if is_leaf(body)? {
            out.extend_from_slice(self.code.get(copied..range.end).unwrap_or_default());
            return Ok(());
        }
        self.adjust(out, op::I32_SUB, charge);
        out.push(op::BLOCK);
        out.extend_from_slice(
            self.layout.block_types.get(index).map_or(&[EMPTY][..], Vec::as_slice),
        );
        // A branch to the function's own label reaches the new block as it is; a return must branch there.
        let mut depth = 0usize;
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset()?;
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => depth += 1,
                Operator::End => depth = depth.saturating_sub(1),
                Operator::Return => {
                    out.extend_from_slice(self.code.get(copied..offset).unwrap_or_default());
                    out.push(op::BR);
                    unsigned(out, depth);
                    copied = operators.original_position();
                }
                _ => {}
            }
        }
        out.extend_from_slice(self.code.get(copied..range.end).unwrap_or_default());
        self.adjust(out, op::I32_ADD, charge);
        out.push(op::END);
        Ok(())
    }

    /// `if left < charge { left = -1; unreachable }`, and inside of a component the table is grown in between.
    fn check(&self, out: &mut Vec<u8>, charge: u32) {
        self.global(out, op::GLOBAL_GET);
        constant(out, charge);
        out.extend([op::I32_LT_U, op::IF, EMPTY]);
        constant(out, u32::MAX);
        self.global(out, op::GLOBAL_SET);
        if self.host == Host::Component {
            out.extend([op::REF_NULL, FUNCREF]);
            constant(out, 1);
            out.extend([op::PREFIX, op::TABLE_GROW]);
            unsigned(out, self.layout.table as usize);
            out.push(op::DROP);
        }
        out.extend([op::UNREACHABLE, op::END]);
    }

    /// `left = left <operator> charge`
    fn adjust(&self, out: &mut Vec<u8>, operator: u8, charge: u32) {
        self.global(out, op::GLOBAL_GET);
        constant(out, charge);
        out.push(operator);
        self.global(out, op::GLOBAL_SET);
    }

    fn global(&self, out: &mut Vec<u8>, operator: u8) {
        out.push(operator);
        unsigned(out, self.layout.global as usize);
    }
}

fn is_leaf(body: &FunctionBody<'_>) -> Result<bool, BinaryReaderError> {
    for operator in body.get_operators_reader()? {
        if let Operator::Call { .. } | Operator::CallIndirect { .. } = operator? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn constant(out: &mut Vec<u8>, value: u32) {
    out.push(op::I32_CONST);
    signed(out, value.cast_signed().into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::FEATURES;

    fn check(text: &str) -> Vec<u8> {
        let code = wat::parse_str(text).unwrap();
        let instrumented = instrument(&code).unwrap();
        for instrumented in [&instrumented, &instrument_inside(&code, STACK_BYTES).unwrap()] {
            wasmparser::Validator::new_with_features(FEATURES)
                .validate_all(instrumented)
                .unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        instrumented
    }

    #[test]
    fn whatever_sections_a_module_has_the_result_is_valid() {
        let sections = [
            r#"(import "m" "g" (global $imported i32)) (import "m" "f" (func $f (param i32) (result i32 i64)))"#,
            "(type $pair (func (result i32 i64)))",
            "(table 1 funcref)",
            "(memory 1)",
            "(global $own (mut i64) (i64.const 1))",
            r#"(export "p" (func $p))"#,
            "(start $s)",
            "(elem (table 0) (i32.const 0) func $p)",
            r#"(data (memory 0) (i32.const 0) "x")"#,
        ];
        let functions =
            "(func $p (result i32 i64) (call $s) (return (i32.const 1) (i64.const 2))) (func $s)";
        for left_out in 0..1usize << sections.len() {
            let has = |index: usize| left_out >> index & 1 == 0;
            if (has(7) && !has(2)) || (has(8) && !has(3)) {
                continue;
            }
            let chosen: String = sections
                .iter()
                .enumerate()
                .filter(|(index, _)| has(*index))
                .map(|(_, text)| *text)
                .collect();
            check(&format!("(module {chosen} {functions})"));
        }
        for text in [
            "(module)",
            "(module (memory 1))",
            r#"(module (func) (data "x") (func (data.drop 0)))"#,
        ] {
            check(text);
        }
    }

    #[test]
    fn the_start_function_becomes_an_export() {
        let instrumented = check("(module (func $s) (start $s))");
        let mut exports = Vec::new();
        for payload in Parser::new(0).parse_all(&instrumented) {
            match payload.unwrap() {
                Payload::ExportSection(reader) => {
                    exports.extend(reader.into_iter().map(|export| export.unwrap().name))
                }
                Payload::StartSection { .. } => panic!("a start section is left"),
                _ => {}
            }
        }
        assert_eq!(exports, [STACK_EXPORT, START_EXPORT]);
    }

    #[test]
    fn reserved_names_are_refused() {
        let module = wat::parse_str(r#"(module (func (export "outlayer:start")))"#).unwrap();
        assert_eq!(
            instrument(&module),
            Err(invalid_module("the export \"outlayer:start\" is reserved"))
        );
    }
}

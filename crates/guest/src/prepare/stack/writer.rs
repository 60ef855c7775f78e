//! Writes a module with stack metering.

use wasmparser::{BinaryReaderError, ExternalKind, FunctionBody, Operator, Parser, Payload};

use super::{
    layout::{EMPTY_BLOCK, Layout},
    reserved::{ALARM_TABLE, STACK_EXPORT, START_EXPORT},
};
use crate::prepare::encode::{self, ColdBranches, signed, unsigned};

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

const I32: u8 = 0x7f;
const FUNCTION_TYPE: u8 = 0x60;
const FUNCREF: u8 = 0x70;

/// Where a module runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// By itself.
    Alone,
    /// Inside of a component.
    InComponent,
}

/// Writes the module again, section by section.
pub(super) struct Writer<'a> {
    code: &'a [u8],
    place: Place,
    /// What the counter starts with.
    stack_bytes: u32,
    layout: Layout,
    /// What each function that the module defines needs.
    charges: Vec<u32>,
    out: Vec<u8>,
    /// Where the functions look at whether their stack suffices.
    checks: ColdBranches,
    wrote_table: bool,
    wrote_global: bool,
    wrote_export: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        code: &'a [u8],
        place: Place,
        stack_bytes: u32,
        layout: Layout,
        charges: Vec<u32>,
    ) -> Self {
        Self {
            code,
            place,
            stack_bytes,
            layout,
            charges,
            out: Vec::with_capacity(code.len() * 5 / 4),
            checks: ColdBranches::default(),
            wrote_table: place == Place::Alone,
            wrote_global: false,
            wrote_export: false,
        }
    }

    /// The module with metering.
    pub(super) fn run(mut self) -> Result<Vec<u8>, BinaryReaderError> {
        self.out.extend_from_slice(self.code.get(..8).unwrap_or_default());
        let mut bodies = Vec::new();
        let mut defined = 0;
        for payload in Parser::new(0).parse_all(self.code) {
            let payload = payload?;
            if let Payload::CodeSectionEntry(body) = &payload {
                let mut written = Vec::new();
                let check = self.body(&mut written, body, defined)?;
                self.checks.push(self.layout.imported + defined, &[check]);
                unsigned(&mut bodies, written.len());
                bodies.extend(written);
                defined += 1;
                continue;
            }
            // The sections after the code (the data) come when all bodies are known.
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
                section::TABLE if self.place == Place::InComponent => self.table_section(content),
                section::GLOBAL => self.global_section(content),
                section::EXPORT => {
                    self.before_exports();
                    self.export_section(content);
                }
                section::START if self.place == Place::Alone => {}
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

    /// Writes a section that is a list, with `count` more items at its end.
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
        let start = self.layout.start.filter(|_| self.place == Place::Alone);
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
        std::mem::take(&mut self.checks).write(&mut self.out);
        let mut section = Vec::with_capacity(bodies.len() + 5);
        unsigned(&mut section, *defined);
        section.append(bodies);
        self.section(section::CODE, &section);
        *defined = 0;
    }

    /// Writes a body, and says where in it the check is.
    fn body(
        &self,
        out: &mut Vec<u8>,
        body: &FunctionBody<'_>,
        index: usize,
    ) -> Result<usize, BinaryReaderError> {
        let charge = self.charges.get(index).copied().unwrap_or(u32::MAX);
        let mut operators = body.get_operators_reader()?;
        let mut copied = operators.original_position();
        let range = body.range();
        out.extend_from_slice(self.code.get(range.start..copied).unwrap_or_default());
        let check = self.check(out, charge);
        if is_leaf(body)? {
            out.extend_from_slice(self.code.get(copied..range.end).unwrap_or_default());
            return Ok(check);
        }
        self.adjust(out, op::I32_SUB, charge);
        out.push(op::BLOCK);
        out.extend_from_slice(
            self.layout.block_types.get(index).map_or(&[EMPTY_BLOCK][..], Vec::as_slice),
        );
        // A branch to the function's own label reaches the new block as it is. A return must become
        // a branch to it.
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
        Ok(check)
    }

    /// `if left < charge { left = -1; unreachable }`, and inside of a component the table is grown
    /// in between. Returns where the branch is.
    fn check(&self, out: &mut Vec<u8>, charge: u32) -> usize {
        self.global(out, op::GLOBAL_GET);
        constant(out, charge);
        out.push(op::I32_LT_U);
        let branch = out.len();
        out.extend([op::IF, EMPTY_BLOCK]);
        constant(out, u32::MAX);
        self.global(out, op::GLOBAL_SET);
        if self.place == Place::InComponent {
            out.extend([op::REF_NULL, FUNCREF]);
            constant(out, 1);
            out.extend([op::PREFIX, op::TABLE_GROW]);
            unsigned(out, self.layout.table as usize);
            out.push(op::DROP);
        }
        out.extend([op::UNREACHABLE, op::END]);
        branch
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

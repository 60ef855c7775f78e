//! Writes a module with its metering, section by section.

use wasmparser::{
    BinaryReader, BinaryReaderError, ExportSectionReader, ExternalKind, Parser, Payload,
};

use super::{
    body::{self, Added, Fuel},
    growth,
    layout::{Function, Layout},
    reserved::{
        ALARM_TABLE, FUEL_EXPORT, METER_MODULE, STACK_EXPORT, START_EXPORT, WHY_EXPORT, paid_export,
    },
    told::{Growth, Teller},
};
use crate::prepare::{
    encode::{self, ColdBranches, signed, unsigned},
    nans, op,
};

mod section {
    pub(super) const TYPE: u8 = 1;
    pub(super) const IMPORT: u8 = 2;
    pub(super) const FUNCTION: u8 = 3;
    pub(super) const TABLE: u8 = 4;
    pub(super) const GLOBAL: u8 = 6;
    pub(super) const EXPORT: u8 = 7;
    pub(super) const START: u8 = 8;
    pub(super) const CODE: u8 = 10;
}

/// Where a module runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// By itself.
    Alone,
    /// By itself, and it counts what each of its functions pays.
    Profiled,
    /// By itself, on an engine that tells less than wasmtime, within this growth.
    Elsewhere(Growth),
    /// Inside of a component that contains no other. All its modules share what counts.
    InComponent,
    /// Inside of a composition, whose fuel the engine counts.
    InComposition,
}

impl Place {
    /// Whether the module counts its fuel.
    fn counts_fuel(self) -> bool {
        self != Self::InComposition
    }

    /// Whether the host sees what the module exports, and runs its start function.
    fn is_alone(self) -> bool {
        matches!(self, Self::Alone | Self::Profiled | Self::Elsewhere(_))
    }

    /// Whether what counts comes from elsewhere.
    fn shares(self) -> bool {
        self == Self::InComponent
    }
}

/// Writes the module again, section by section.
pub(super) struct Writer<'a> {
    code: &'a [u8],
    place: Place,
    /// What the counter starts with.
    stack_bytes: u32,
    layout: Layout,
    /// What each function that the module defines needs.
    needs: Vec<u32>,
    out: Vec<u8>,
    /// Where the functions look at whether their stack suffices.
    checks: ColdBranches,
    wrote_import: bool,
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
        needs: Vec<u32>,
    ) -> Self {
        Self {
            code,
            place,
            stack_bytes,
            layout,
            needs,
            out: Vec::with_capacity(code.len() * 5 / 4),
            checks: ColdBranches::default(),
            wrote_import: !place.shares(),
            wrote_table: place.counts_fuel(),
            wrote_global: place.shares(),
            wrote_export: place.shares(),
        }
    }

    /// The module with metering.
    pub(super) fn run(mut self) -> Result<Vec<u8>, BinaryReaderError> {
        self.out.extend_from_slice(self.code.get(..8).unwrap_or_default());
        let mut bodies = Vec::new();
        let mut defined = 0;
        let mut module = nans::Module::default();
        for payload in Parser::new(0).parse_all(self.code) {
            let payload = payload?;
            module.read(&payload)?;
            if let Payload::CodeSectionEntry(body) = &payload {
                let (mut written, mut checks) = (Vec::new(), Vec::new());
                let unknown = Function::default();
                let function = self.layout.functions.get(defined).unwrap_or(&unknown);
                let need = self.needs.get(defined).copied().unwrap_or(u32::MAX);
                let (function, out) = ((&module, function), (&mut written, &mut checks));
                let added = (self.added(), self.teller());
                body::write(self.code, body, function, defined, need, added, out)?;
                self.checks.push(self.layout.imported + defined, &checks);
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
            if id > section::IMPORT {
                self.before_functions();
            }
            if id > section::TABLE {
                self.before_memory();
            }
            match id {
                section::TYPE => self.type_section(content),
                section::IMPORT if self.place.shares() => self.import_section(content),
                section::FUNCTION if self.growing() > 0 => {
                    let mut ty = Vec::new();
                    let added = self.layout.added_types.len();
                    unsigned(&mut ty, self.layout.types as usize + added);
                    let count = self.growing();
                    self.extended(section::FUNCTION, content, count, &ty.repeat(count));
                }
                section::TABLE if !self.place.counts_fuel() => self.table_section(content),
                section::GLOBAL if !self.place.shares() => self.global_section(content),
                section::EXPORT => {
                    self.before_exports();
                    if self.place.shares() {
                        let renumbered = self.renumbered_exports(content)?;
                        self.section(section::EXPORT, &renumbered);
                    } else {
                        self.export_section(content);
                    }
                }
                section::START if self.place.is_alone() => {}
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
            items.extend([op::FUNCTION_TYPE, 0]);
            unsigned(&mut items, results.len());
            items.extend_from_slice(results);
        }
        items.extend(growth::TYPE);
        let count = self.layout.added_types.len() + 1;
        self.extended(section::TYPE, content, count, &items);
    }

    fn import_section(&mut self, content: &[u8]) {
        let mut imports = Vec::new();
        for counter in [FUEL_EXPORT, STACK_EXPORT] {
            encode::name(&mut imports, METER_MODULE);
            encode::name(&mut imports, counter);
            imports.extend([ExternalKind::Global as u8, op::I64, 1]);
        }
        self.extended(section::IMPORT, content, 2, &imports);
        self.wrote_import = true;
    }

    fn before_functions(&mut self) {
        if !self.wrote_import {
            self.import_section(&[0]);
        }
    }

    fn table_section(&mut self, content: &[u8]) {
        let mut table = vec![op::FUNCREF, 1, 0];
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
        let mut globals = vec![op::I64, 1, op::I64_CONST];
        signed(&mut globals, self.stack_bytes.into());
        globals.push(op::END);
        let counters = usize::from(self.place.counts_fuel()) + self.profiled();
        globals.extend([op::I64, 1, op::I64_CONST, 0, op::END].repeat(counters));
        let mut count = 1 + counters;
        if self.teller().is_some() {
            count += 2;
            globals.extend([op::I64, 1, op::I64_CONST, 0, op::END, op::I64, 1, op::I64_CONST]);
            let elements = i64::try_from(self.layout.table_elements).unwrap_or(i64::MAX);
            signed(&mut globals, elements);
            globals.push(op::END);
        }
        self.extended(section::GLOBAL, content, count, &globals);
        self.wrote_global = true;
    }

    /// The exports, whose globals have other numbers because some are imported before them.
    fn renumbered_exports(&self, content: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
        let reader = ExportSectionReader::new(BinaryReader::new(content, 0))?;
        let mut out = Vec::with_capacity(content.len() + 5);
        unsigned(&mut out, reader.count() as usize);
        for export in reader {
            let export = export?;
            let index = match export.kind {
                ExternalKind::Global => self.added().global(export.index),
                _ => export.index,
            };
            encode::name(&mut out, export.name);
            out.push(export.kind as u8);
            unsigned(&mut out, index as usize);
        }
        Ok(out)
    }

    fn export_section(&mut self, content: &[u8]) {
        let mut items = Vec::new();
        let mut export = |name: &str, kind: u8, index: u32| {
            encode::name(&mut items, name);
            items.push(kind);
            unsigned(&mut items, index as usize);
        };
        let added = self.added();
        export(STACK_EXPORT, ExternalKind::Global as u8, added.stack);
        if let Some(fuel) = added.fuel {
            export(FUEL_EXPORT, ExternalKind::Global as u8, fuel.left);
        }
        let why = self.teller().map(|teller| teller.why);
        if let Some(why) = why {
            export(WHY_EXPORT, ExternalKind::Global as u8, why);
        }
        let start = self.layout.start.filter(|_| self.place.is_alone());
        if let Some(start) = start {
            export(START_EXPORT, ExternalKind::Func as u8, start);
        }
        if let Some(first) = added.fuel.and_then(|fuel| fuel.paid) {
            for function in 0..self.profiled() {
                let global = first.saturating_add(u32::try_from(function).unwrap_or(u32::MAX));
                export(&paid_export(function), ExternalKind::Global as u8, global);
            }
        }
        let several = [added.fuel.is_some(), start.is_some(), why.is_some()];
        let count = 1 + several.map(usize::from).iter().sum::<usize>() + self.profiled();
        self.extended(section::EXPORT, content, count, &items);
        self.wrote_export = true;
    }

    fn before_exports(&mut self) {
        self.before_functions();
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

    /// How many functions the module gets through which it grows its memories, one for each.
    fn growing(&self) -> usize {
        let grows = self.place.counts_fuel() && !self.layout.functions.is_empty();
        if grows { self.layout.memory_maxima.len() } else { 0 }
    }

    /// Of how many functions it is counted what they pay.
    fn profiled(&self) -> usize {
        if self.place == Place::Profiled { self.layout.functions.len() } else { 0 }
    }

    /// What this adds to the module.
    fn added(&self) -> Added {
        let grow = self.layout.imported + self.layout.functions.len();
        let globals = self.layout.globals;
        match self.place {
            Place::Alone | Place::Profiled | Place::Elsewhere(_) => Added {
                stack: globals,
                fuel: Some(Fuel {
                    left: globals + 1,
                    grow,
                    paid: (self.place == Place::Profiled).then_some(globals + 2),
                }),
                alarm: None,
                renumbered_from: u32::MAX,
            },
            Place::InComponent => {
                let imported = self.layout.imported_globals;
                let fuel = Fuel { left: imported, grow, paid: None };
                Added {
                    stack: imported + 1,
                    fuel: Some(fuel),
                    alarm: None,
                    renumbered_from: imported,
                }
            }
            Place::InComposition => Added {
                stack: globals,
                fuel: None,
                alarm: Some(self.layout.table),
                renumbered_from: u32::MAX,
            },
        }
    }

    /// What the module tells by itself. Its globals come after those that count.
    fn teller(&self) -> Option<Teller<'_>> {
        let Place::Elsewhere(growth) = self.place else { return None };
        Some(Teller {
            why: self.layout.globals + 2,
            elements: self.layout.globals + 3,
            growth,
            tables: &self.layout.table_maxima,
            memories: &self.layout.memory_maxima,
        })
    }

    fn code_section(&mut self, bodies: &mut Vec<u8>, defined: &mut usize) {
        if let Some(fuel) = self.added().fuel {
            for memory in 0..self.growing() {
                let growth = growth::body(fuel, memory, self.teller());
                unsigned(bodies, growth.len());
                bodies.extend(growth);
                *defined += 1;
            }
        }
        std::mem::take(&mut self.checks).write(&mut self.out);
        let mut section = Vec::with_capacity(bodies.len() + 5);
        unsigned(&mut section, *defined);
        section.append(bodies);
        self.section(section::CODE, &section);
        *defined = 0;
    }
}

//! What stack metering must know of a module before it is rewritten.

use outlayer_protocol::Status;
use wasmparser::{
    BinaryReaderError, CompositeInnerType, Parser, Payload, TableType, TypeRef, ValType,
};

use super::reserved::{ALARM_TABLE, METER_MODULE, SUPPLY_TABLE, is_reserved};
use crate::{
    prepare::{encode::signed, op},
    verdict::invalid_module,
};

/// A function that the module defines.
#[derive(Default)]
pub(super) struct Function {
    /// How many parameters it has.
    pub(super) parameters: u32,
    /// The encoded type of a block with its results.
    pub(super) block_type: Vec<u8>,
}

impl Function {
    /// Whether the function has no results.
    pub(super) fn is_procedure(&self) -> bool {
        self.block_type == [op::EMPTY_BLOCK]
    }
}

/// Where the appended items go, and which types they need.
pub(super) struct Layout {
    /// How many types the module has.
    pub(super) types: u32,
    /// The results of the function types to be added, encoded. They have no parameters.
    pub(super) added_types: Vec<Vec<u8>>,
    /// The functions that the module defines.
    pub(super) functions: Vec<Function>,
    /// How many functions the module imports.
    pub(super) imported: usize,
    /// How many globals the module has, imported ones included.
    pub(super) globals: u32,
    /// How many globals the module imports.
    pub(super) imported_globals: u32,
    /// Index of the table that is added inside of a composition.
    pub(super) table: u32,
    /// The maximum of each memory, in pages, if it has one. Imported ones come first.
    pub(super) memory_maxima: Vec<Option<u64>>,
    /// The maximum of each table, if it has one.
    pub(super) table_maxima: Vec<Option<u64>>,
    /// How many elements all tables have at first.
    pub(super) table_elements: u64,
    /// The start function.
    pub(super) start: Option<u32>,
}

impl Layout {
    pub(super) fn read(code: &[u8]) -> Result<Self, Status> {
        let mut types: Vec<(u32, Vec<u8>)> = Vec::new();
        let mut layout = Self {
            types: 0,
            added_types: Vec::new(),
            functions: Vec::new(),
            imported: 0,
            globals: 0,
            imported_globals: 0,
            table: 0,
            memory_maxima: Vec::new(),
            table_maxima: Vec::new(),
            table_elements: 0,
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
                            let results = function.results().iter().map(|ty| encode(*ty));
                            types.push((
                                u32::try_from(function.params().len()).unwrap_or(u32::MAX),
                                results.collect::<Result<_, _>>()?,
                            ));
                        }
                    }
                }
                Payload::ImportSection(reader) => {
                    for import in reader.into_imports() {
                        let import = import.map_err(malformed)?;
                        if import.module == METER_MODULE {
                            return Err(invalid_module(format!(
                                "imports from {METER_MODULE:?} are reserved"
                            )));
                        }
                        match import.ty {
                            TypeRef::Func(_) => layout.imported += 1,
                            TypeRef::Global(_) => {
                                layout.globals += 1;
                                layout.imported_globals += 1;
                            }
                            TypeRef::Table(ty) => {
                                layout.table(ty)?;
                            }
                            TypeRef::Memory(ty) => layout.memory_maxima.push(ty.maximum),
                            _ => {}
                        }
                    }
                }
                Payload::MemorySection(reader) => {
                    for memory in reader {
                        layout.memory_maxima.push(memory.map_err(malformed)?.maximum);
                    }
                }
                Payload::FunctionSection(reader) => {
                    for ty in reader {
                        let ty = ty.map_err(malformed)? as usize;
                        let (parameters, results) =
                            types.get(ty).ok_or_else(|| invalid_module("unknown type"))?;
                        let block_type = layout.block_type(results);
                        layout.functions.push(Function { parameters: *parameters, block_type });
                    }
                }
                Payload::TableSection(reader) => {
                    for table in reader {
                        layout.table(table.map_err(malformed)?.ty)?;
                    }
                }
                Payload::GlobalSection(reader) => layout.globals += reader.count(),
                Payload::ExportSection(reader) => {
                    for export in reader {
                        let name = export.map_err(malformed)?.name;
                        if is_reserved(name) {
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

    fn table(&mut self, ty: TableType) -> Result<(), Status> {
        check_table(ty)?;
        self.table += 1;
        self.table_maxima.push(ty.maximum);
        self.table_elements = self.table_elements.saturating_add(ty.initial);
        Ok(())
    }

    fn block_type(&mut self, results: &[u8]) -> Vec<u8> {
        match results {
            [] => vec![op::EMPTY_BLOCK],
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
    match ty.maximum {
        Some(maximum) if [ALARM_TABLE as u64, SUPPLY_TABLE as u64].contains(&maximum) => {
            Err(invalid_module(format!("a table with a maximum of {maximum} elements is reserved")))
        }
        _ => Ok(()),
    }
}

fn malformed(error: BinaryReaderError) -> Status {
    invalid_module(error.message())
}

fn encode(ty: ValType) -> Result<u8, Status> {
    match ty {
        ValType::I32 => Ok(0x7f),
        ValType::I64 => Ok(0x7e),
        ValType::F32 => Ok(0x7d),
        ValType::F64 => Ok(0x7c),
        ValType::V128 => Ok(0x7b),
        ValType::Ref(ty) if ty.is_func_ref() => Ok(0x70),
        ValType::Ref(_) => Err(invalid_module("a reference type other than funcref")),
    }
}

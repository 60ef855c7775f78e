//! A guest's module: whether it can be linked, and what is run in its place.

use outlayer_guest::{
    prepare::{self, meter::Growth},
    verdict::{invalid_module, no_memory, no_start, unknown_import},
};
use outlayer_protocol::{ResourceLimits, Status};
use wasmparser::{
    CompositeInnerType, ExternalKind, FuncType, MemoryType, Parser, Payload, TableType, TypeRef,
};

use crate::functions::{self, Function};

/// Why a guest is not run.
pub(crate) enum Refused {
    /// The verdict on it.
    Verdict(Status),
    /// This host has no words for it.
    CannotDecide(String),
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self::Verdict(status)
    }
}

/// A module that can be run.
pub(crate) struct Prepared {
    pub(crate) code: Vec<u8>,
    /// Its imports, in their order.
    pub(crate) imports: Vec<&'static Function>,
    pub(crate) memories: Vec<MemoryType>,
    pub(crate) tables: Vec<TableType>,
}

/// Validates a module and prepares it to be run within these limits.
pub(crate) fn prepare(code: &[u8], limits: &ResourceLimits) -> Result<Prepared, Refused> {
    let growth =
        Growth { memory_bytes: limits.memory_bytes, table_elements: limits.table_elements };
    let prepared = prepare::core_module_telling(code, growth)?;
    let shape = Shape::read(code).map_err(|error| invalid_module(error.message()))?;
    shape.check_exports()?;
    let imports = shape.imports()?;
    Ok(Prepared { code: prepared, imports, memories: shape.memories, tables: shape.tables })
}

#[derive(Default)]
struct Shape<'a> {
    types: Vec<Option<FuncType>>,
    /// The type of each function, imports first.
    functions: Vec<u32>,
    imports: Vec<(&'a str, &'a str, TypeRef)>,
    exports: Vec<(&'a str, ExternalKind, u32)>,
    memories: Vec<MemoryType>,
    tables: Vec<TableType>,
}

impl<'a> Shape<'a> {
    fn read(code: &'a [u8]) -> Result<Self, wasmparser::BinaryReaderError> {
        let mut shape = Self::default();
        for payload in Parser::new(0).parse_all(code) {
            match payload? {
                Payload::TypeSection(reader) => {
                    for group in reader {
                        for ty in group?.into_types() {
                            shape.types.push(match ty.composite_type.inner {
                                CompositeInnerType::Func(ty) => Some(ty),
                                _ => None,
                            });
                        }
                    }
                }
                Payload::ImportSection(reader) => {
                    for import in reader.into_imports() {
                        let import = import?;
                        if let TypeRef::Func(ty) = import.ty {
                            shape.functions.push(ty);
                        }
                        shape.imports.push((import.module, import.name, import.ty));
                    }
                }
                Payload::FunctionSection(reader) => {
                    for ty in reader {
                        shape.functions.push(ty?);
                    }
                }
                Payload::MemorySection(reader) => {
                    shape.memories = reader.into_iter().collect::<Result<_, _>>()?;
                }
                Payload::TableSection(reader) => {
                    for table in reader {
                        shape.tables.push(table?.ty);
                    }
                }
                Payload::ExportSection(reader) => {
                    for export in reader {
                        let export = export?;
                        shape.exports.push((export.name, export.kind, export.index));
                    }
                }
                _ => {}
            }
        }
        Ok(shape)
    }

    fn ty(&self, ty: u32) -> Option<&FuncType> {
        self.types.get(ty as usize)?.as_ref()
    }

    /// Checks that a command exports its memory and `_start`, which has no parameters and results.
    fn check_exports(&self) -> Result<(), Status> {
        let export = |wanted| self.exports.iter().find(|(name, ..)| *name == wanted);
        match export("_start") {
            Some((_, ExternalKind::Func, index)) => {
                let ty = self.functions.get(*index as usize).and_then(|ty| self.ty(*ty));
                if !ty.is_some_and(|ty| ty.params().is_empty() && ty.results().is_empty()) {
                    return Err(invalid_module(
                        "the export _start must be a function without parameters and results",
                    ));
                }
            }
            Some(_) => {
                return Err(invalid_module(
                    "the export _start must be a function without parameters and results",
                ));
            }
            None => return Err(no_start()),
        }
        match export("memory") {
            Some((_, ExternalKind::Memory, _)) => Ok(()),
            Some(_) => Err(invalid_module("the export memory must be a memory")),
            None => Err(no_memory()),
        }
    }

    /// The host's functions that the module imports.
    fn imports(&self) -> Result<Vec<&'static Function>, Refused> {
        let mut found = Vec::new();
        for (module, name, ty) in &self.imports {
            let function =
                functions::find(module, name).ok_or_else(|| unknown_import(module, name))?;
            let ty = match ty {
                TypeRef::Func(ty) => self.ty(*ty),
                _ => None,
            };
            let results: &[_] = function.result.as_slice();
            if !ty.is_some_and(|ty| ty.params() == function.parameters && ty.results() == results) {
                return Err(Refused::CannotDecide(format!(
                    "{module}.{name} is imported with another signature"
                )));
            }
            found.push(function);
        }
        Ok(found)
    }
}

//! Work between components is paid for where memory is allocated for it.
//!
//! When a component calls another one inside of the same guest, the engine copies the arguments
//! from one memory to the other, and the results back. Numbers and lists are copied by generated
//! code, which counts its operators like any other. A string is checked, copied and transcoded by a
//! function of the engine's, which counts nothing, and whose work grows with the string.
//!
//! All such work has one thing in common, whatever the encodings: the engine asks the receiver for
//! room before it looks at the first byte, and whenever it needs more room to go on. It does so by
//! calling the `realloc` that the receiver names, with the number of bytes, at least one for each
//! unit of the string. So that is where the work is charged: each function that is named as a
//! `realloc` is called through a wrapper, which first pays [`REALLOC_BYTE`] for each byte.
//!
//! The wrapper pays by growing a table by as many elements, which is charged for and then fails:
//! the table is the one with which stack metering tells of an overflow, and the host knows that it
//! never grows. A growth by one element means an overflow, so the wrapper asks for at least two.
//!
//! [`REALLOC_BYTE`]: crate::fuel::REALLOC_BYTE
//!
//! A component that contains no other never calls one, and stays as it is. What it passes to the
//! host, and gets from it, is charged by the host functions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use outlayer_protocol::Status;
use wasmparser::{
    BinaryReader, BinaryReaderError, CanonicalFunction, CanonicalOption, ComponentAlias,
    ComponentAliasSectionReader, ComponentCanonicalSectionReader, ComponentExportSectionReader,
    ComponentExternalKind, ComponentImportSectionReader, ComponentOuterAliasKind, ComponentTypeRef,
    ExternalKind, Instance, InstanceSectionReader,
};

use super::{malformed, section, sections};
use crate::verdict::invalid_module;

/// The exports that are named as a `realloc`, by the number of the module that has them, counted
/// among those that the component defines itself.
pub(super) type Reallocs<'a> = BTreeMap<usize, BTreeSet<&'a str>>;

/// Finds what a validated component names as a `realloc`. Components inside of it are not looked
/// into.
///
/// # Errors
/// `InvalidModule` when a `realloc` is no export of a module that the component defines itself.
pub(super) fn reallocs(code: &[u8]) -> Result<Reallocs<'_>, Status> {
    let mut indices = Indices::default();
    for section in sections(code) {
        let (id, content) = section?;
        indices.section(id, content).map_err(malformed)??;
    }
    Ok(indices.reallocs)
}

/// Where a core function comes from.
#[derive(Clone, Copy)]
enum Origin<'a> {
    /// It is this export of the module of this number.
    Export(usize, &'a str),
    /// It is a lowered function or one of the component model's own, or comes from a module that
    /// another component defines.
    Elsewhere,
}

/// What an instance of a module exports.
enum CoreInstance<'a> {
    /// What the module of this number exports; `None` for a module that another component defines.
    OfModule(Option<usize>),
    /// Functions of other instances, under new names.
    Bundle(HashMap<&'a str, Origin<'a>>),
}

/// What the indices in a component stand for.
#[derive(Default)]
struct Indices<'a> {
    defined: usize,
    modules: Vec<Option<usize>>,
    instances: Vec<CoreInstance<'a>>,
    functions: Vec<Origin<'a>>,
    reallocs: Reallocs<'a>,
}

impl<'a> Indices<'a> {
    fn section(
        &mut self,
        id: u8,
        content: &'a [u8],
    ) -> Result<Result<(), Status>, BinaryReaderError> {
        let reader = BinaryReader::new(content, 0);
        match id {
            section::CORE_MODULE => {
                self.modules.push(Some(self.defined));
                self.defined += 1;
            }
            section::CORE_INSTANCE => {
                for instance in InstanceSectionReader::new(reader)? {
                    let instance = self.instance(instance?);
                    self.instances.push(instance);
                }
            }
            section::ALIAS => {
                for alias in ComponentAliasSectionReader::new(reader)? {
                    self.alias(alias?);
                }
            }
            section::IMPORT => {
                for import in ComponentImportSectionReader::new(reader)? {
                    if let ComponentTypeRef::Module(_) = import?.ty {
                        self.modules.push(None);
                    }
                }
            }
            section::EXPORT => {
                for export in ComponentExportSectionReader::new(reader)? {
                    // What is exported gets another index.
                    let export = export?;
                    if export.kind == ComponentExternalKind::Module {
                        self.modules.push(self.module(export.index));
                    }
                }
            }
            section::CANONICAL => {
                for function in ComponentCanonicalSectionReader::new(reader)? {
                    if let Err(status) = self.canonical(function?) {
                        return Ok(Err(status));
                    }
                }
            }
            _ => {}
        }
        Ok(Ok(()))
    }

    fn module(&self, index: u32) -> Option<usize> {
        self.modules.get(index as usize).copied().flatten()
    }

    fn function(&self, index: u32) -> Origin<'a> {
        self.functions.get(index as usize).copied().unwrap_or(Origin::Elsewhere)
    }

    fn instance(&self, instance: Instance<'a>) -> CoreInstance<'a> {
        match instance {
            Instance::Instantiate { module_index, .. } => {
                CoreInstance::OfModule(self.module(module_index))
            }
            Instance::FromExports(exports) => CoreInstance::Bundle(
                exports
                    .iter()
                    .filter(|export| export.kind == ExternalKind::Func)
                    .map(|export| (export.name, self.function(export.index)))
                    .collect(),
            ),
        }
    }

    fn alias(&mut self, alias: ComponentAlias<'a>) {
        match alias {
            ComponentAlias::CoreInstanceExport {
                kind: ExternalKind::Func,
                instance_index,
                name,
            } => {
                let origin = match self.instances.get(instance_index as usize) {
                    Some(CoreInstance::OfModule(Some(module))) => Origin::Export(*module, name),
                    Some(CoreInstance::Bundle(functions)) => {
                        functions.get(name).copied().unwrap_or(Origin::Elsewhere)
                    }
                    Some(CoreInstance::OfModule(None)) | None => Origin::Elsewhere,
                };
                self.functions.push(origin);
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. }
            | ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, .. } => {
                self.modules.push(None);
            }
            _ => {}
        }
    }

    fn canonical(&mut self, function: CanonicalFunction) -> Result<(), Status> {
        match function {
            CanonicalFunction::Lift { options, .. } => self.options(&options),
            CanonicalFunction::Lower { options, .. } => {
                self.options(&options)?;
                self.functions.push(Origin::Elsewhere);
                Ok(())
            }
            _ => {
                self.functions.push(Origin::Elsewhere);
                Ok(())
            }
        }
    }

    fn options(&mut self, options: &[CanonicalOption]) -> Result<(), Status> {
        for option in options {
            let CanonicalOption::Realloc(index) = option else {
                continue;
            };
            let Origin::Export(module, name) = self.function(*index) else {
                return Err(invalid_module(
                    "a realloc that is no export of a module which the same component defines, in \
                     a component that contains others: what they pass to each other is charged \
                     there",
                ));
            };
            self.reallocs.entry(module).or_default().insert(name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<Vec<(usize, Vec<String>)>, Status> {
        let code = wat::parse_str(text).unwrap();
        let reallocs = reallocs(&code)?;
        Ok(reallocs
            .into_iter()
            .map(|(module, names)| (module, names.into_iter().map(str::to_owned).collect()))
            .collect())
    }

    const ALLOCATOR: &str = r#"(module (memory (export "m") 1) (func (export "f") (param i32 i32))
        (func (export "r") (param i32 i32 i32 i32) (result i32) i32.const 0))"#;

    fn lift(realloc: &str) -> String {
        format!(
            r#"(func (param "s" string) (canon lift (core func $i "f")
                (memory (core memory $i "m")) (realloc {realloc})))"#
        )
    }

    fn component(realloc: &str) -> String {
        let module = ALLOCATOR.replacen("(module", "(core module $m", 1);
        format!("(component (core module) {module} (core instance $i (instantiate $m)) {realloc})")
    }

    #[test]
    fn a_realloc_is_found_behind_bundles_and_exports() {
        let expected = Ok(vec![(1, vec!["r".to_owned()])]);
        assert_eq!(found(&component(&lift(r#"(core func $i "r")"#))), expected);
        let bundles = r#"(core instance $a (export "x" (func $i "r")))
            (core instance $b (export "y" (func $a "x")))"#;
        assert_eq!(
            found(&component(&format!("{bundles} {}", lift(r#"(core func $b "y")"#)))),
            expected
        );
        // The module has a second index after its export.
        let exported = format!(
            r#"(component (core module) {} (export $e "m" (core module $m))
                (core instance $i (instantiate $e)) {})"#,
            ALLOCATOR.replacen("(module", "(core module $m", 1),
            lift(r#"(core func $i "r")"#)
        );
        assert_eq!(found(&exported), expected);
    }

    #[test]
    fn functions_that_are_no_realloc_are_not_found() {
        assert_eq!(found(&component("")), Ok(vec![]));
        let plain = r#"(func (param "a" u32) (param "b" u32) (canon lift (core func $i "f")))"#;
        assert_eq!(found(&component(plain)), Ok(vec![]));
    }

    #[test]
    fn a_realloc_from_elsewhere_is_rejected() {
        let lowered = format!(
            r#"(component (import "r" (func $r (param "a" u32) (param "b" u32) (param "c" u32)
                (param "d" u32) (result u32))) (core func $l (canon lower (func $r)))
                {} (core instance $i (instantiate $m)) {})"#,
            ALLOCATOR.replacen("(module", "(core module $m", 1),
            lift("(core func $l)")
        );
        let outer = format!(
            r#"(component {} (component (alias outer 1 0 (core module $m))
                (core instance $i (instantiate $m)) {}))"#,
            ALLOCATOR.replacen("(module", "(core module", 1),
            lift(r#"(core func $i "r")"#)
        );
        let code = wat::parse_str(&outer).unwrap();
        let rejected = [found(&lowered).map(|_| ()), super::super::component(&code).map(|_| ())];
        for status in rejected {
            let Err(Status::InvalidModule { reason }) = status else { panic!("{status:?}") };
            assert!(reason.starts_with("a realloc that is no export of a module"), "{reason}");
        }
    }
}

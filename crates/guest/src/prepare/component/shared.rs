//! One meter for all modules of a component.
//!
//! The component gets one module more, before all others: it holds what is left of fuel and stack,
//! and every module of the guest imports that. The host finds its instance by the exports, which no
//! module of a guest may have.
//!
//! So modules and their instances have numbers that are higher by one. Nothing else of a component
//! is renumbered. Components inside of it have no functions, and no use for modules.
//!
//! The component model has no globals that a host could set, and start functions run while the
//! component is instantiated. So the module asks how much fuel there is as soon as it is
//! instantiated: it grows a table for each bit, and the host lets it grow where the bit is set. A
//! function that the component exports gives what is left.

use outlayer_protocol::Status;
use wasmparser::{
    BinaryReader, BinaryReaderError, ComponentAlias, ComponentAliasSectionReader,
    ComponentExportSectionReader, ComponentExternName, ComponentExternalKind,
    ComponentImportSectionReader, ComponentOuterAliasKind, ComponentTypeRef, FromReader, Instance,
    InstanceSectionReader, SectionLimited,
};

use super::{HEADER_BYTES, counters, malformed, section, sections, types::Counts};
use crate::{
    prepare::{
        encode::{self, unsigned},
        meter::{self, FUEL_LEFT_EXPORT, METER_MODULE},
        names,
    },
    verdict::invalid_module,
};

/// How instances of modules are told apart from other things.
const INSTANCE: u8 = 0x12;
/// How modules are told apart from other things.
const MODULE: [u8; 2] = [0x00, 0x11];
/// An instance of a module or component, where instances are defined.
const INSTANTIATE: u8 = 0x00;
/// An alias of what an instance of a module exports.
const OF_CORE_INSTANCE: u8 = 0x01;
/// An alias of what a surrounding component has.
const OUTER: u8 = 0x02;

/// The component, which has been validated and is no composition, with its modules metered and what
/// they share. It defines `counts`. Custom sections are left out.
///
/// # Errors
/// `InvalidModule` when it has names that metering needs, or hands its modules to components.
pub(super) fn rewrite(code: &[u8], counts: &Counts) -> Result<Vec<u8>, Status> {
    let mut ordinal = 0;
    let mut out = Vec::with_capacity(code.len() * 5 / 4);
    out.extend_from_slice(code.get(..HEADER_BYTES).unwrap_or_default());
    encode::section(&mut out, section::CORE_MODULE, &counters::module());
    // One instance: of the first module, without arguments.
    encode::section(&mut out, section::CORE_INSTANCE, &[1, INSTANTIATE, 0, 0]);
    for part in sections(code) {
        let (id, content) = part?;
        let content = match id {
            section::CUSTOM => continue,
            section::CORE_MODULE => {
                ordinal += 1;
                &module(content, ordinal - 1)?
            }
            section::CORE_INSTANCE => &core_instances(content).map_err(malformed)??,
            section::ALIAS => &aliases(content).map_err(malformed)?,
            section::INSTANCE => &instances(content).map_err(malformed)??,
            section::COMPONENT => &without_functions(content)?,
            section::EXPORT => &exports(content).map_err(malformed)??,
            _ => content,
        };
        encode::section(&mut out, id, content);
    }
    out.extend(counters::export(counts));
    Ok(out)
}

/// A module of the component, metered.
fn module(code: &[u8], ordinal: u32) -> Result<Vec<u8>, Status> {
    let mut metered = meter::instrument_in_component(code)?;
    names::number(&mut metered, ordinal);
    Ok(metered)
}

/// A component that has no functions, without its custom sections.
fn without_functions(code: &[u8]) -> Result<Vec<u8>, Status> {
    let mut out = code.get(..HEADER_BYTES).unwrap_or_default().to_vec();
    for part in sections(code) {
        let (id, content) = part?;
        let content = match id {
            section::CUSTOM => continue,
            section::COMPONENT => &without_functions(content)?,
            section::ALIAS | section::IMPORT if has_module(id, content).map_err(malformed)? => {
                return Err(handed_on());
            }
            _ => content,
        };
        encode::section(&mut out, id, content);
    }
    Ok(out)
}

/// Whether a component gets a module by this section, which has aliases or imports.
fn has_module(id: u8, content: &[u8]) -> Result<bool, BinaryReaderError> {
    let reader = BinaryReader::new(content, 0);
    if id == section::IMPORT {
        for import in ComponentImportSectionReader::new(reader)? {
            if matches!(import?.ty, ComponentTypeRef::Module(_)) {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    for alias in ComponentAliasSectionReader::new(reader)? {
        if matches!(
            alias?,
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, .. }
                | ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. }
        ) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn handed_on() -> Status {
    invalid_module("a component hands a module to one inside of it, which has no functions")
}

/// The number that a module or an instance of one has in the rewritten component.
fn renumbered(out: &mut Vec<u8>, index: u32) {
    unsigned(out, index as usize + 1);
}

fn core_instances(content: &[u8]) -> Result<Result<Vec<u8>, Status>, BinaryReaderError> {
    let reader = InstanceSectionReader::new(BinaryReader::new(content, 0))?;
    let mut out = Vec::with_capacity(content.len() * 2);
    unsigned(&mut out, reader.count() as usize);
    let ends = ends(reader.clone(), content)?;
    for (instance, end) in reader.into_iter_with_offsets().zip(ends) {
        let (start, instance) = instance?;
        let Instance::Instantiate { module_index, args } = instance else {
            out.extend_from_slice(content.get(start..end).unwrap_or_default());
            continue;
        };
        out.push(INSTANTIATE);
        renumbered(&mut out, module_index);
        unsigned(&mut out, args.len() + 1);
        for arg in &args {
            if arg.name == METER_MODULE {
                return Ok(Err(invalid_module(format!(
                    "arguments with the name {METER_MODULE:?} are reserved"
                ))));
            }
            encode::name(&mut out, arg.name);
            out.push(INSTANCE);
            renumbered(&mut out, arg.index);
        }
        encode::name(&mut out, METER_MODULE);
        out.extend([INSTANCE, 0]);
    }
    Ok(Ok(out))
}

fn aliases(content: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    let reader = ComponentAliasSectionReader::new(BinaryReader::new(content, 0))?;
    let mut out = Vec::with_capacity(content.len() + 5);
    unsigned(&mut out, reader.count() as usize);
    let ends = ends(reader.clone(), content)?;
    for (alias, end) in reader.into_iter_with_offsets().zip(ends) {
        let (start, alias) = alias?;
        let own = content.get(start..end).unwrap_or_default();
        match alias {
            ComponentAlias::CoreInstanceExport { instance_index, name, .. } => {
                // What is exported takes two bytes to say.
                out.extend_from_slice(own.get(..2).unwrap_or_default());
                out.push(OF_CORE_INSTANCE);
                renumbered(&mut out, instance_index);
                encode::name(&mut out, name);
            }
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, count, index } => {
                out.extend(MODULE);
                out.push(OUTER);
                unsigned(&mut out, count as usize);
                renumbered(&mut out, index);
            }
            _ => out.extend_from_slice(own),
        }
    }
    Ok(out)
}

/// Where each item of a section ends.
fn ends<'a, T: FromReader<'a>>(
    reader: SectionLimited<'a, T>,
    content: &[u8],
) -> Result<Vec<usize>, BinaryReaderError> {
    let mut starts = Vec::new();
    for item in reader.into_iter_with_offsets() {
        starts.push(item?.0);
    }
    starts.push(content.len());
    starts.remove(0);
    Ok(starts)
}

fn exports(content: &[u8]) -> Result<Result<Vec<u8>, Status>, BinaryReaderError> {
    for export in ComponentExportSectionReader::new(BinaryReader::new(content, 0))? {
        let name = export?.name.name;
        // Names that differ by case alone are one name.
        if name.eq_ignore_ascii_case(FUEL_LEFT_EXPORT) {
            return Ok(Err(invalid_module(format!("the export {name:?} is reserved"))));
        }
    }
    let mut reader = BinaryReader::new(content, 0);
    let mut out = Vec::with_capacity(content.len() + 5);
    let count = reader.read_var_u32()?;
    unsigned(&mut out, count as usize);
    for _ in 0..count {
        let kind = export(&mut reader, content, &mut out)?;
        let start = reader.original_position();
        // The type, if one is given. That of a module would have to name what it imports now.
        if reader.read_u8()? != 0 {
            reader.read::<ComponentTypeRef>()?;
        }
        let ty = content.get(start..reader.original_position()).unwrap_or_default();
        out.extend_from_slice(if kind == ComponentExternalKind::Module { &[0] } else { ty });
    }
    Ok(Ok(out))
}

/// Instances of components, and of what the component itself has.
fn instances(content: &[u8]) -> Result<Result<Vec<u8>, Status>, BinaryReaderError> {
    let mut reader = BinaryReader::new(content, 0);
    let mut out = Vec::with_capacity(content.len() + 5);
    let count = reader.read_var_u32()?;
    unsigned(&mut out, count as usize);
    for _ in 0..count {
        let how = reader.read_u8()?;
        out.push(how);
        if how == INSTANTIATE {
            let start = reader.original_position();
            reader.read_var_u32()?;
            for _ in 0..reader.read_var_u32()? {
                reader.read_string()?;
                if reader.read::<ComponentExternalKind>()? == ComponentExternalKind::Module {
                    return Ok(Err(handed_on()));
                }
                reader.read_var_u32()?;
            }
            let end = reader.original_position();
            out.extend_from_slice(content.get(start..end).unwrap_or_default());
            continue;
        }
        let exports = reader.read_var_u32()?;
        unsigned(&mut out, exports as usize);
        for _ in 0..exports {
            export(&mut reader, content, &mut out)?;
        }
    }
    Ok(Ok(out))
}

/// Reads a name and what it stands for, and writes both. Returns what kind of thing that is.
fn export(
    reader: &mut BinaryReader<'_>,
    content: &[u8],
    out: &mut Vec<u8>,
) -> Result<ComponentExternalKind, BinaryReaderError> {
    let start = reader.original_position();
    reader.read::<ComponentExternName<'_>>()?;
    let kind = reader.read::<ComponentExternalKind>()?;
    out.extend_from_slice(content.get(start..reader.original_position()).unwrap_or_default());
    let index = reader.read_var_u32()?;
    match kind {
        ComponentExternalKind::Module => renumbered(out, index),
        _ => unsigned(out, index as usize),
    }
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use wasmparser::Validator;

    use super::*;
    use crate::prepare::{COMPONENT_FEATURES, component::component};

    fn rewritten(text: &str) -> Vec<u8> {
        let code = wat::parse_str(text).unwrap();
        Validator::new_with_features(COMPONENT_FEATURES).validate_all(&code).unwrap();
        let rewritten = component(&code).unwrap();
        Validator::new_with_features(COMPONENT_FEATURES)
            .validate_all(&rewritten)
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        rewritten
    }

    #[test]
    fn modules_and_instances_keep_their_meaning_wherever_they_are_named() {
        const MODULE: &str = r#"(core module $m (global $own (export "own") (mut i32) (i32.const 1))
            (memory (export "memory") 1) (func $f (export "f") (global.set $own (i32.const 2))))"#;
        for rest in [
            "",
            // By itself, through another, through a bundle of its exports.
            r#"(core instance $i (instantiate $m)) (alias core export $i "f" (core func))
                (core instance $b (export "f" (func $i "f")) (export "memory" (memory $i "memory")))
                (core module $n (import "b" "f" (func)) (import "b" "memory" (memory 1)))
                (core instance (instantiate $n (with "b" (instance $b))))"#,
            // A module is exported, and then has a second number.
            r#"(export $e "m" (core module $m)) (core instance (instantiate $e))"#,
            r#"(instance (export "m" (core module $m)))"#,
            r#"(instance $i (export "m" (core module $m))) (alias export $i "m" (core module $e))
                (core instance (instantiate $e))"#,
            r#"(export $e "m" (core module $m)
                (core module (export "f" (func)))) (core instance (instantiate $e))"#,
            // Functions of the host's.
            r#"(import "h" (func $h)) (core func $l (canon lower (func $h)))
                (core module $n (import "h" "h" (func)) (start 0))
                (core instance (instantiate $n (with "h" (instance (export "h" (func $l))))))"#,
            r#"(core instance $i (instantiate $m))
                (func (export "run") (canon lift (core func $i "f")))"#,
            // Around an interface that is exported.
            r#"(core instance $i (instantiate $m)) (func $run (canon lift (core func $i "f")))
                (component $c (import "run" (func $run)) (export "run" (func $run)))
                (instance $e (instantiate $c (with "run" (func $run)))) (export "e" (instance $e))
                (alias export $e "run" (func $again))"#,
        ] {
            rewritten(&format!("(component {MODULE} {rest})"));
        }
    }

    #[test]
    fn every_instance_gets_the_counters_and_the_module_comes_first() {
        let rewritten = rewritten(
            "(component (core module $m) (core module $n)
                (core instance (instantiate $m)) (core instance (instantiate $n)))",
        );
        let mut given = Vec::new();
        for part in sections(&rewritten) {
            let (id, content) = part.unwrap();
            if id != section::CORE_INSTANCE {
                continue;
            }
            let reader = InstanceSectionReader::new(BinaryReader::new(content, 0)).unwrap();
            for instance in reader {
                let Instance::Instantiate { module_index, args } = instance.unwrap() else {
                    panic!("a bundle")
                };
                let args = args.iter().map(|arg| (arg.name.to_owned(), arg.index));
                given.push((module_index, args.collect::<Vec<_>>()));
            }
        }
        let counters = vec![(METER_MODULE.to_owned(), 0)];
        assert_eq!(given, [(0, vec![]), (1, counters.clone()), (2, counters)]);
    }

    #[test]
    fn a_component_without_functions_gets_no_module() {
        for inside in [
            r#"(component $c (alias outer 1 $m (core module $n)) (export "m" (core module $n)))
                (instance (instantiate $c))"#,
            r#"(component $c (import "m" (core module))) (instance (instantiate $c
                (with "m" (core module $m))))"#,
            r#"(component (component (alias outer 2 $m (core module))))"#,
        ] {
            let code = wat::parse_str(format!("(component (core module $m) {inside})")).unwrap();
            Validator::new_with_features(COMPONENT_FEATURES).validate_all(&code).unwrap();
            assert_eq!(component(&code), Err(handed_on()), "{inside}");
        }
    }

    #[test]
    fn nobody_else_reaches_the_counters() {
        let import = format!(
            r#"(component (core module (import "{METER_MODULE}" "f" (func)))
                (core module $m) (core instance (instantiate $m)))"#
        );
        let argument = format!(
            r#"(component (core module $m) (core instance $i (instantiate $m))
                (core instance (instantiate $m (with "{METER_MODULE}" (instance $i)))))"#
        );
        let exported = r#"(component (core module $m (func (export "outlayer:fuel"))))"#.to_owned();
        let export =
            r#"(component (import "f" (func $f)) (export "OUTLAYER-fuel-left" (func $f)))"#
                .to_owned();
        for text in [import, argument, exported, export] {
            let refused = component(&wat::parse_str(text).unwrap());
            let Err(Status::InvalidModule { reason }) = refused else { panic!("{refused:?}") };
            assert!(reason.ends_with("reserved"), "{reason}");
        }
    }
}

//! A component's bytes: validation, bounds, metering in each of its modules, and a charge for what
//! components pass to each other.

mod adapters;
mod counters;
pub mod nesting;
mod shared;
mod types;
mod wrapper;

use outlayer_protocol::Status;
use wasmparser::{
    BinaryReader, BinaryReaderError, ComponentAlias, ComponentAliasSectionReader,
    ComponentExportSectionReader, ComponentExternalKind, ComponentImportSectionReader,
    ComponentInstance, ComponentInstanceSectionReader, ComponentOuterAliasKind, ComponentTypeRef,
    Instance, InstanceSectionReader,
};

use super::{encode, features, meter, names, shape::Totals};
use crate::verdict::invalid_module;

/// Components are nested at most this deep.
const MAX_DEPTH: u32 = 16;
/// A component has at most this many sections, those of nested components included. Tools make some
/// tens.
const MAX_SECTIONS: u32 = 10_000;

/// The sections of a component, those of nested components included, have at most this many items
/// that are not modules or components: types, imports, exports, aliases, instances, lifted and
/// lowered functions.
const MAX_ITEMS: u64 = 20_000;

/// A component defines at most this many modules, nested components included.
///
/// wasmtime has eight bits for the number of a module where it tells memories, tables and globals
/// apart. It also counts its own modules between components, of which there is at most one for each
/// instance: together they stay below 256.
const MAX_MODULES: u32 = 100;

/// A component makes at most this many instances of modules and components in all, however they
/// nest.
///
/// A compiler follows every instantiation: a few dozen components in a row that each instantiate
/// the one before twice would keep it busy for ever. For the number to be known, a component may
/// instantiate only components that it defines itself.
const MAX_INSTANTIATIONS: u64 = 150;

/// All instances of modules that a component makes have at most this many tables together. Each
/// counts with one more, which it needs for stack metering in a composition. A host that sets
/// places aside for guests has room for them.
pub const MAX_TABLES: u32 = 128;

pub(super) const HEADER_BYTES: usize = 8;

pub(super) mod section {
    pub(in crate::prepare) const CUSTOM: u8 = 0;
    pub(in crate::prepare) const CORE_MODULE: u8 = 1;
    pub(in crate::prepare) const CORE_INSTANCE: u8 = 2;
    pub(in crate::prepare) const COMPONENT: u8 = 4;
    pub(in crate::prepare) const INSTANCE: u8 = 5;
    pub(in crate::prepare) const ALIAS: u8 = 6;
    pub(in crate::prepare) const TYPE: u8 = 7;
    pub(in crate::prepare) const CANONICAL: u8 = 8;
    pub(in crate::prepare) const IMPORT: u8 = 10;
    pub(in crate::prepare) const EXPORT: u8 = 11;
}

/// Validates a component, checks the shape of all its modules together, and adds metering to each:
/// of fuel and stack, or in a [composition](is_composition) of the stack alone. There it also adds
/// a charge for the bytes that components receive from each other. The result is what gets
/// compiled.
///
/// # Errors
/// The verdict on a component that is invalid or out of bounds.
pub fn component(code: &[u8]) -> Result<Vec<u8>, Status> {
    // The bounds come first: validation recurses into what they bound.
    nesting::check(code)?;
    let mut walk = Walk::default();
    let made = walk.check(code, 0)?;
    let counts = types::validate(code)?;
    if is_composition(code) {
        rewrite_composition(code, meter::share(made.modules), &mut 0)
    } else {
        shared::rewrite(code, &counts)
    }
}

/// Whether this component contains others that have functions of their own. Its fuel is then
/// counted by the engine: what components pass to each other is copied by code that the engine
/// makes, and that no preparation sees.
///
/// Tools put a component around every interface that is exported. It has types and names, and no
/// function, so it makes no composition.
pub fn is_composition(code: &[u8]) -> bool {
    fn contains_functions(code: &[u8], depth: u32) -> bool {
        sections(code).flatten().any(|(id, content)| match id {
            // What is too deep is refused, whatever it is.
            section::COMPONENT => depth >= MAX_DEPTH || contains_functions(content, depth + 1),
            section::CORE_MODULE | section::CORE_INSTANCE | section::CANONICAL => depth > 0,
            _ => false,
        })
    }
    contains_functions(code, 0)
}

/// What one instance of a component makes.
#[derive(Clone, Copy, Default)]
struct Made {
    /// Instances of modules and components, itself included.
    instances: u64,
    /// Those of them that are instances of modules.
    modules: u64,
    /// The tables that these define, those for stack metering included.
    tables: u64,
}

impl Made {
    const NONE: Self = Self { instances: 0, modules: 0, tables: 0 };
    /// An instance of a component that makes nothing.
    const EMPTY: Self = Self { instances: 1, modules: 0, tables: 0 };

    /// An instance of a module that defines this many tables.
    fn module(tables: u64) -> Self {
        Self { instances: 1, modules: 1, tables: tables.saturating_add(1) }
    }

    fn add(&mut self, more: Self) {
        self.tables = self.tables.saturating_add(more.tables);
        self.instances = self.instances.saturating_add(more.instances);
        self.modules = self.modules.saturating_add(more.modules);
    }
}

/// What has been counted in a component and the components inside of it.
#[derive(Default)]
struct Walk {
    sections: u32,
    items: u64,
    modules: u32,
    /// The most tables that a module has.
    most_tables: u64,
    totals: Totals,
}

/// What a component has defined so far.
#[derive(Default)]
struct Defined {
    /// What an instance of each component makes.
    components: Vec<Made>,
    /// How many tables each module has, by its index.
    modules: Vec<u64>,
}

impl Walk {
    fn check(&mut self, code: &[u8], depth: u32) -> Result<Made, Status> {
        if depth > MAX_DEPTH {
            return Err(invalid_module(format!(
                "components within components, at most {MAX_DEPTH} deep are allowed"
            )));
        }
        let (mut defined, mut made) = (Defined::default(), Made::EMPTY);
        for section in sections(code) {
            let (id, content) = section?;
            self.sections += 1;
            if self.sections > MAX_SECTIONS {
                return Err(invalid_module(format!(
                    "a component has more than the {MAX_SECTIONS} sections allowed"
                )));
            }
            match id {
                section::CUSTOM => {}
                section::CORE_MODULE => {
                    self.modules += 1;
                    if self.modules > MAX_MODULES {
                        return Err(invalid_module(format!(
                            "a component has more than the {MAX_MODULES} modules allowed"
                        )));
                    }
                    let tables = self.totals.add(content)?;
                    self.most_tables = self.most_tables.max(tables);
                    defined.modules.push(tables);
                }
                section::COMPONENT => defined.components.push(self.check(content, depth + 1)?),
                _ => {
                    let items = encode::split_count_checked(content).map_or(0, |(count, _)| count);
                    self.items += items as u64;
                    if self.items > MAX_ITEMS {
                        return Err(invalid_module(format!(
                            "a component has more than the {MAX_ITEMS} items allowed"
                        )));
                    }
                    let more = instances(id, content, &mut defined, self.most_tables);
                    made.add(more.map_err(malformed)??);
                }
            }
            if made.instances > MAX_INSTANTIATIONS {
                return Err(invalid_module(format!(
                    "a component makes more than the {MAX_INSTANTIATIONS} instances allowed"
                )));
            }
            if made.tables > MAX_TABLES.into() {
                return Err(invalid_module(format!(
                    "a component's instances have {} tables, one more in each for its stack \
                     included; at most {MAX_TABLES} are allowed",
                    made.tables
                )));
            }
        }
        Ok(made)
    }
}

fn malformed(error: BinaryReaderError) -> Status {
    invalid_module(features::reason(error.message()))
}

/// What the instantiations of a section make, given what is `defined` so far. A section that brings
/// components from elsewhere is rejected. A module from elsewhere counts with `most_tables`, as
/// many as any has.
fn instances(
    id: u8,
    content: &[u8],
    defined: &mut Defined,
    most_tables: u64,
) -> Result<Result<Made, Status>, BinaryReaderError> {
    let reader = BinaryReader::new(content, 0);
    let (mut made, mut foreign) = (Made::NONE, false);
    match id {
        section::CORE_INSTANCE => {
            for instance in InstanceSectionReader::new(reader)? {
                if let Instance::Instantiate { module_index, .. } = instance? {
                    let tables = defined.modules.get(module_index as usize).copied();
                    made.add(Made::module(tables.unwrap_or(most_tables)));
                }
            }
        }
        section::INSTANCE => {
            for instance in ComponentInstanceSectionReader::new(reader)? {
                if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                    let component = defined.components.get(component_index as usize);
                    made.add(component.copied().unwrap_or(Made::EMPTY));
                }
            }
        }
        section::ALIAS => {
            for alias in ComponentAliasSectionReader::new(reader)? {
                let alias = alias?;
                if matches!(
                    alias,
                    ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. }
                        | ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, .. }
                ) {
                    defined.modules.push(most_tables);
                }
                foreign |= matches!(
                    alias,
                    ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. }
                        | ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, .. }
                );
            }
        }
        section::IMPORT => {
            for import in ComponentImportSectionReader::new(reader)? {
                let ty = import?.ty;
                if matches!(ty, ComponentTypeRef::Module(_)) {
                    defined.modules.push(most_tables);
                }
                foreign |= matches!(ty, ComponentTypeRef::Component(_));
            }
        }
        section::EXPORT => {
            for export in ComponentExportSectionReader::new(reader)? {
                let kind = export?.kind;
                if kind == ComponentExternalKind::Module {
                    defined.modules.push(most_tables);
                }
                foreign |= kind == ComponentExternalKind::Component;
            }
        }
        _ => {}
    }
    Ok(if foreign {
        Err(invalid_module(
            "a component may instantiate only components that it defines itself: \
             none can be imported, exported or aliased",
        ))
    } else {
        Ok(made)
    })
}

/// The composition with its modules instrumented, each of whose instances has `stack_bytes`. Each
/// `realloc` is charged for. Custom sections are left out. `ordinal` counts the modules.
fn rewrite_composition(
    code: &[u8],
    stack_bytes: u32,
    ordinal: &mut u32,
) -> Result<Vec<u8>, Status> {
    let reallocs = adapters::reallocs(code)?;
    let mut modules = 0;
    let mut out = code.get(..HEADER_BYTES).unwrap_or_default().to_vec();
    for section in sections(code) {
        let (id, content) = section?;
        let mut rewritten;
        let content = match id {
            section::CUSTOM => continue,
            section::CORE_MODULE => {
                let metered = meter::instrument_in_composition(content, stack_bytes)?;
                rewritten = match reallocs.get(&modules) {
                    Some(exports) => wrapper::charge(&metered, exports).map_err(malformed)?,
                    None => metered,
                };
                modules += 1;
                names::number(&mut rewritten, *ordinal);
                *ordinal += 1;
                &rewritten
            }
            section::COMPONENT => {
                rewritten = rewrite_composition(content, stack_bytes, ordinal)?;
                &rewritten
            }
            _ => content,
        };
        encode::section(&mut out, id, content);
    }
    Ok(out)
}

/// Shows each module of a component that has been accepted, in the order in which [`component`]
/// numbers them.
pub(super) fn each_module<'a>(code: &'a [u8], show: &mut impl FnMut(&'a [u8])) {
    for (id, content) in sections(code).map_while(Result::ok) {
        match id {
            section::CORE_MODULE => show(content),
            section::COMPONENT => each_module(content, show),
            _ => {}
        }
    }
}

/// The sections of a component, each with its number.
pub(super) fn sections(code: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), Status>> {
    let mut rest = code.get(HEADER_BYTES..).unwrap_or_default();
    std::iter::from_fn(move || next_section(&mut rest))
}

/// The first of the sections that are left, which it is taken from.
fn next_section<'a>(rest: &mut &'a [u8]) -> Option<Result<(u8, &'a [u8]), Status>> {
    let (id, sized) = rest.split_first()?;
    let section = encode::split_count_checked(sized)
        .and_then(|(bytes, content)| content.split_at_checked(bytes));
    Some(match section {
        Some((content, after)) => {
            *rest = after;
            Ok((*id, content))
        }
        None => {
            *rest = &[];
            Err(invalid_module("a section that does not end"))
        }
    })
}

#[cfg(test)]
mod tests {
    use wasmparser::Validator;

    use super::*;
    use crate::prepare::COMPONENT_FEATURES;

    #[test]
    fn every_module_is_instrumented_however_deep() {
        let code = wat::parse_str(
            "(component
                (core module (func (export \"f\")) (func $s) (start $s))
                (component (core module $m (table 1 funcref) (memory 1) (func))
                    (core instance (instantiate $m))))",
        )
        .unwrap();
        let rewritten = component(&code).unwrap();
        Validator::new_with_features(COMPONENT_FEATURES).validate_all(&rewritten).unwrap();
        let name = meter::STACK_EXPORT.as_bytes();
        let found = rewritten.windows(name.len()).filter(|part| part == &name);
        assert_eq!(found.count(), 2);
    }

    #[test]
    fn instances_are_counted_however_they_nest() {
        // Each level makes three of the level below.
        let levels = |count: u32| {
            let text = (0..count).fold("(component)".to_owned(), |inner, _| {
                let inner = inner.replacen("(component", "(component $c", 1);
                format!("(component {inner} {})", "(instance (instantiate $c))".repeat(3))
            });
            component(&wat::parse_str(text).unwrap()).map(|_| ())
        };
        assert_eq!(levels(4), Ok(()));
        assert_eq!(
            levels(5),
            Err(invalid_module("a component makes more than the 150 instances allowed"))
        );
    }

    #[test]
    fn many_modules_are_rejected() {
        let modules = |count: usize| {
            let text = format!("(component {})", "(core module)".repeat(count));
            component(&wat::parse_str(text).unwrap()).map(|_| ())
        };
        assert_eq!(modules(100), Ok(()));
        let nested = format!("(component (component {0}) {0})", "(core module)".repeat(51));
        let rejected = invalid_module("a component has more than the 100 modules allowed");
        assert_eq!(modules(101), Err(rejected.clone()));
        assert_eq!(component(&wat::parse_str(nested).unwrap()), Err(rejected));
    }

    #[test]
    fn tables_are_counted_in_every_instance_wherever_the_module_comes_from() {
        let checked = |text: &str| component(&wat::parse_str(text).unwrap()).map(|_| ());
        let rejected = |tables: u32| {
            Err(invalid_module(format!(
                "a component's instances have {tables} tables, one more in each for its stack \
                 included; at most 128 are allowed"
            )))
        };
        let module = format!("(core module $m {})", "(table 0 funcref)".repeat(63));
        let make = "(core instance (instantiate $m))";
        assert_eq!(checked(&format!("(component {module} {})", make.repeat(2))), Ok(()));
        assert_eq!(checked(&format!("(component {module} {})", make.repeat(3))), rejected(192));
        // An alias of a module outside, in the first and in the second of two components.
        let inner = format!("(component $c (alias outer $o $m (core module $m)) {make})");
        let nested = |count: usize| {
            let instances = "(instance (instantiate $c))".repeat(count);
            checked(&format!("(component $o {module} {inner} {instances})"))
        };
        assert_eq!(nested(2), Ok(()));
        assert_eq!(nested(3), rejected(192));
    }

    #[test]
    fn many_items_are_rejected() {
        let types = |count: usize| format!("(component {})", "(type u8)".repeat(count));
        let nested = format!(
            "(component (component {}) {})",
            "(type u8)".repeat(9_000),
            "(type u8)".repeat(11_001)
        );
        assert_eq!(component(&wat::parse_str(types(20_000)).unwrap()).map(|_| ()), Ok(()));
        for text in [types(20_001), nested] {
            assert_eq!(
                component(&wat::parse_str(text).unwrap()),
                Err(invalid_module("a component has more than the 20000 items allowed"))
            );
        }
    }

    #[test]
    fn components_from_elsewhere_are_rejected() {
        for text in [
            "(component (import \"c\" (component)))",
            "(component (component $c) (export \"c\" (component $c)))",
            "(component $o (component $c) (component (alias outer $o $c (component))))",
            "(component (import \"i\" (instance $i (export \"c\" (component))))
                (alias export $i \"c\" (component)))",
        ] {
            let Err(Status::InvalidModule { reason }) = component(&wat::parse_str(text).unwrap())
            else {
                panic!("{text}")
            };
            assert!(reason.starts_with("a component may instantiate only"), "{text}: {reason}");
        }
    }

    #[test]
    fn deep_nests_and_broken_sections_are_rejected() {
        let nested =
            (0..40).fold("(component)".to_owned(), |inner, _| format!("(component {inner})"));
        assert_eq!(
            component(&wat::parse_str(nested).unwrap()),
            Err(invalid_module("components within components, at most 16 deep are allowed"))
        );
        for broken in [
            &b"\0asm\x0d\0\x01\0\x01"[..],
            b"\0asm\x0d\0\x01\0\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(component(broken), Err(invalid_module("a section that does not end")));
        }
    }
}

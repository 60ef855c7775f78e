//! What is checked of the descriptions of a module's interfaces before the encoder reads them. It
//! follows both types and packages by recursion, so types that nest too deep and packages that
//! depend on each other would end the process.

use std::collections::{BTreeMap, BTreeSet};

use outlayer_guest::prepare::nesting;
use outlayer_protocol::Status;
use wasmparser::{
    BinaryReader, BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentImport,
    ComponentOuterAliasKind, ComponentType, ComponentTypeDeclaration, ComponentTypeRef,
    InstanceTypeDeclaration, Parser, Payload, TypeBounds,
};

use crate::ComponentizeError;

/// The beginning of the names of the custom sections that describe interfaces. Each holds the types
/// of a component.
const INTERFACES: &str = "component-type";
/// The first byte of such a section in its oldest form, in which an encoding and a name stand
/// before the types.
const OLDEST_FORM: u8 = 3;
/// A description names at most this many packages. WASI 0.2 has seven.
const MAX_PACKAGES: usize = 500;

/// Checks the descriptions in `module`. The encoder reports whatever else is wrong with them.
pub(crate) fn check(module: &[u8]) -> Result<(), ComponentizeError> {
    for payload in Parser::new(0).parse_all(module) {
        let Ok(payload) = payload else { break };
        let Payload::CustomSection(section) = payload else { continue };
        if !section.name().starts_with(INTERFACES) {
            continue;
        }
        let rejected = |reason| {
            let section = section.name().to_owned();
            Err(ComponentizeError::Interfaces { section, reason })
        };
        let types = types(section.data());
        if let Err(Status::InvalidModule { reason }) = nesting::check(types) {
            return rejected(reason);
        }
        let dependencies = dependencies(types);
        let packages = dependencies.keys().filter(|package| *package != OWN).count();
        if packages > MAX_PACKAGES {
            return rejected(format!("{packages} packages, at most {MAX_PACKAGES} are allowed"));
        }
        if let Some(package) = in_circles(dependencies) {
            return rejected(format!("the package {package:?} depends on itself through others"));
        }
    }
    Ok(())
}

/// The component whose types describe the interfaces.
fn types(section: &[u8]) -> &[u8] {
    let after_name = || {
        let mut reader = BinaryReader::new(section, 0);
        reader.read_u8()?;
        reader.read_u8()?;
        reader.read_string()?;
        Ok::<_, BinaryReaderError>(reader.original_position())
    };
    match section.first() {
        Some(&OLDEST_FORM) => {
            after_name().ok().and_then(|at| section.get(at..)).unwrap_or_default()
        }
        _ => section,
    }
}

/// The packages that something refers to.
type Packages = BTreeSet<String>;
/// The packages that each package refers to.
type Dependencies = BTreeMap<String, Packages>;

/// The package of interfaces that are named without one: the world's own.
const OWN: &str = "";

/// What the packages of a description depend on, as far as it can be read.
fn dependencies(code: &[u8]) -> Dependencies {
    let mut found = Dependencies::new();
    for payload in Parser::new(0).parse_all(code).map_while(Result::ok) {
        if let Payload::ComponentTypeSection(reader) = payload {
            for ty in reader.into_iter().map_while(Result::ok) {
                if let ComponentType::Component(declarations) = &ty {
                    Scope::default().read(declarations, &mut found);
                }
            }
        }
    }
    found
}

/// The index spaces of the type of a component: from which packages each item comes.
#[derive(Default)]
struct Scope {
    types: Vec<Packages>,
    instances: Vec<Packages>,
    /// Everything that an alias of something further outside may come from.
    outside: Packages,
}

impl Scope {
    fn read(&mut self, declarations: &[ComponentTypeDeclaration<'_>], found: &mut Dependencies) {
        for declaration in declarations {
            match declaration {
                ComponentTypeDeclaration::Type(ty) => {
                    let from = self.used(ty, found);
                    self.types.push(from);
                }
                ComponentTypeDeclaration::Alias(alias) => self.alias(alias),
                ComponentTypeDeclaration::Import(ComponentImport { name, ty }) => {
                    self.declare(name.name, *ty, found);
                }
                ComponentTypeDeclaration::Export { name, ty } => {
                    self.declare(name.name, *ty, found);
                }
                ComponentTypeDeclaration::CoreType(_) => {}
            }
        }
    }

    fn all(&self) -> Packages {
        self.types.iter().chain([&self.outside]).flatten().cloned().collect()
    }

    /// The packages from which a type takes what it uses.
    fn used(&self, ty: &ComponentType<'_>, found: &mut Dependencies) -> Packages {
        match ty {
            ComponentType::Component(declarations) => {
                let mut inner = Self { outside: self.all(), ..Self::default() };
                inner.read(declarations, found);
                inner.all()
            }
            ComponentType::Instance(declarations) => {
                let mut from = Packages::new();
                for declaration in declarations {
                    match declaration {
                        InstanceTypeDeclaration::Alias(ComponentAlias::Outer {
                            count: 1,
                            index,
                            kind: ComponentOuterAliasKind::Type,
                        }) => from
                            .extend(self.types.get(*index as usize).into_iter().flatten().cloned()),
                        InstanceTypeDeclaration::Alias(ComponentAlias::Outer { .. }) => {
                            from.extend(self.outside.iter().cloned());
                        }
                        InstanceTypeDeclaration::Type(ty @ ComponentType::Instance(_)) => {
                            let inner = Self { outside: self.all(), ..Self::default() };
                            from.extend(inner.used(ty, found));
                        }
                        _ => {}
                    }
                }
                from
            }
            // No interface uses such a type of the world's, so it does not matter from which of
            // them it takes its parts.
            _ => self.all(),
        }
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        match *alias {
            ComponentAlias::InstanceExport { kind, instance_index, .. } => {
                let from = self.instances.get(instance_index as usize).cloned();
                match kind {
                    ComponentExternalKind::Type => self.types.push(from.unwrap_or_default()),
                    ComponentExternalKind::Instance => {
                        self.instances.push(from.unwrap_or_default());
                    }
                    _ => {}
                }
            }
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Type, count, index } => {
                let own = self.types.get(index as usize).filter(|_| count == 0).cloned();
                let from = own.unwrap_or_else(|| self.outside.clone());
                self.types.push(from);
            }
            _ => {}
        }
    }

    fn declare(&mut self, name: &str, ty: ComponentTypeRef, found: &mut Dependencies) {
        let used = |index: u32| self.types.get(index as usize).cloned().unwrap_or_default();
        match ty {
            ComponentTypeRef::Instance(index) => {
                let (package, mut used) = (package(name), used(index));
                used.remove(&package);
                // The world imports what its interfaces need.
                if package != OWN {
                    found
                        .entry(OWN.to_owned())
                        .or_default()
                        .extend(used.iter().filter(|package| *package != OWN).cloned());
                }
                found.entry(package.clone()).or_default().extend(used);
                self.instances.push([package].into());
            }
            ComponentTypeRef::Type(TypeBounds::Eq(index)) => self.types.push(used(index)),
            ComponentTypeRef::Type(TypeBounds::SubResource) => self.types.push(Packages::new()),
            _ => {}
        }
    }
}

/// The package of an interface: `wasi:io@0.2.0` of `wasi:io/streams@0.2.0`.
fn package(interface: &str) -> String {
    let Some((package, rest)) = interface.split_once('/') else {
        return OWN.to_owned();
    };
    match rest.split_once('@') {
        Some((_, version)) => format!("{package}@{version}"),
        None => package.to_owned(),
    }
}

/// A package that depends on itself through others, if there is one.
fn in_circles(mut left: Dependencies) -> Option<String> {
    loop {
        let before = left.len();
        let names: Packages = left.keys().cloned().collect();
        left.retain(|_, used| used.iter().any(|package| names.contains(package)));
        if left.len() == before {
            break;
        }
    }
    // Each that is left depends on another that is left, so whoever goes on far enough walks in a
    // circle.
    let mut at = left.keys().next()?;
    for _ in 0..left.len() {
        at = left.get(at)?.iter().find(|package| left.contains_key(*package))?;
    }
    Some(at.clone())
}

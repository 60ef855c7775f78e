//! How deep a component nests, found without recursion.
//!
//! Components stand inside of components, the types of components and instances inside of one
//! another, and every type may refer to types before it, and so to a chain of thousands. It takes
//! three bytes a level, and whoever reads, compares or copies what nests follows it by recursion:
//! ten thousand levels exhaust the stack of an ordinary thread. This scan keeps its levels in a
//! list, so it can look at any bytes, and nobody else sees what it rejects.

use outlayer_protocol::Status;
use wasmparser::{
    BinaryReader, BinaryReaderError, ComponentAlias, ComponentDefinedType, ComponentExport,
    ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentType,
    ComponentTypeDeclaration, ComponentTypeRef, ComponentValType, InstanceTypeDeclaration,
    TypeBounds,
};

use super::{HEADER_BYTES, MAX_DEPTH, next_section, section};
use crate::verdict::invalid_module;

/// Types of components and instances are nested at most this deep. Tools make three or four levels.
pub(super) const MAX_TYPE_DEPTH: usize = 16;

/// A type refers to types that refer to types, at most this far. What an instance exports counts
/// for as deep as the deepest type in the type of that instance. Tools make some tens of levels.
pub(super) const MAX_CHAIN: u32 = 100;

/// The first byte of a declaration that declares a type.
const DECLARES_TYPE: u8 = 0x01;
/// The first byte of the type of a component.
const COMPONENT_TYPE: u8 = 0x41;
/// The first byte of the type of an instance.
const INSTANCE_TYPE: u8 = 0x42;

/// Checks how deep a component nests: its components, the types inside of its types, and the types
/// that refer to types.
///
/// Bytes that are malformed pass, as far as what stands before them is not too deep. A parser stops
/// where they are malformed, and has not gone deeper by then than this scan.
///
/// # Errors
/// The verdict on what nests too deep.
pub fn check(code: &[u8]) -> Result<(), Status> {
    let mut scan = Scan::default();
    match scan.component(code) {
        Ok(()) | Err(Stop::Malformed) => Ok(()),
        Err(Stop::TooDeep(what)) => Err(invalid_module(what)),
    }
}

/// Why a scan ends early.
enum Stop {
    Malformed,
    TooDeep(String),
}

impl From<BinaryReaderError> for Stop {
    fn from(_: BinaryReaderError) -> Self {
        Self::Malformed
    }
}

/// What the items of an open list are.
enum Inside<'a> {
    /// Sections of a component; these bytes are left of them.
    Sections(&'a [u8]),
    /// Declarations of the type of a component; this many are left.
    Component(u32),
    /// Declarations of the type of an instance; this many are left.
    Instance(u32),
}

/// A component, or the type of one or of an instance, that the scan is inside of. It has index
/// spaces of its own, of which only those matter that lead to types: what is kept is how deep each
/// of them is.
struct Scope<'a> {
    inside: Inside<'a>,
    types: Vec<u32>,
    instances: Vec<u32>,
    components: Vec<u32>,
    /// The deepest type so far.
    deepest: u32,
}

impl<'a> Scope<'a> {
    fn new(inside: Inside<'a>) -> Self {
        let (types, instances, components) = (Vec::new(), Vec::new(), Vec::new());
        Self { inside, types, instances, components, deepest: 0 }
    }

    /// The depth at an index. One that is out of range is as deep as the deepest type, in case it
    /// is the scan that is wrong about the index; validation rejects it.
    fn at(&self, space: &[u32], index: u32) -> u32 {
        space.get(index as usize).copied().unwrap_or(self.deepest)
    }

    fn ty(&self, index: u32) -> u32 {
        self.at(&self.types, index)
    }

    fn value(&self, ty: ComponentValType) -> u32 {
        match ty {
            ComponentValType::Primitive(_) => 0,
            ComponentValType::Type(index) => self.ty(index),
        }
    }

    fn deepest_of(&self, values: impl IntoIterator<Item = ComponentValType>) -> u32 {
        values.into_iter().map(|ty| self.value(ty)).max().unwrap_or_default()
    }

    /// The deepest type that a type of values names.
    fn defined(&self, ty: &ComponentDefinedType<'_>) -> u32 {
        match ty {
            ComponentDefinedType::Record(fields) => {
                self.deepest_of(fields.iter().map(|(_, ty)| *ty))
            }
            ComponentDefinedType::Variant(cases) => {
                self.deepest_of(cases.iter().filter_map(|case| case.ty))
            }
            ComponentDefinedType::Tuple(types) => self.deepest_of(types.iter().copied()),
            ComponentDefinedType::List(ty)
            | ComponentDefinedType::FixedLengthList(ty, _)
            | ComponentDefinedType::Option(ty) => self.value(*ty),
            ComponentDefinedType::Map(key, value) => self.deepest_of([*key, *value]),
            ComponentDefinedType::Result { ok, err } => {
                self.deepest_of([*ok, *err].into_iter().flatten())
            }
            ComponentDefinedType::Future(ty) | ComponentDefinedType::Stream(ty) => {
                self.deepest_of(*ty)
            }
            ComponentDefinedType::Own(index) | ComponentDefinedType::Borrow(index) => {
                self.ty(*index)
            }
            ComponentDefinedType::Primitive(_)
            | ComponentDefinedType::Flags(_)
            | ComponentDefinedType::Enum(_) => 0,
        }
    }

    /// Adds a type that is this deep.
    fn define(&mut self, depth: u32) -> Result<(), Stop> {
        if depth > MAX_CHAIN {
            return Err(Stop::TooDeep(format!(
                "types that refer to types, at most {MAX_CHAIN} deep are allowed"
            )));
        }
        self.deepest = self.deepest.max(depth);
        self.types.push(depth);
        Ok(())
    }

    /// Adds what has a kind that leads to types.
    fn add(&mut self, kind: ComponentExternalKind, depth: u32) -> Result<(), Stop> {
        match kind {
            ComponentExternalKind::Type => self.define(depth)?,
            ComponentExternalKind::Instance => self.instances.push(depth),
            ComponentExternalKind::Component => self.components.push(depth),
            ComponentExternalKind::Module
            | ComponentExternalKind::Func
            | ComponentExternalKind::Value => {}
        }
        Ok(())
    }

    /// Adds what is imported, or declared to be exported.
    fn declare(&mut self, ty: ComponentTypeRef) -> Result<(), Stop> {
        let depth = match ty {
            ComponentTypeRef::Type(TypeBounds::Eq(index))
            | ComponentTypeRef::Instance(index)
            | ComponentTypeRef::Component(index) => self.ty(index),
            _ => 0,
        };
        self.add(ty.kind(), depth)
    }

    /// How deep what a component or an inline instance exports is.
    fn exported(&self, export: &ComponentExport<'_>) -> u32 {
        let space = match export.kind {
            ComponentExternalKind::Type => &self.types,
            ComponentExternalKind::Instance => &self.instances,
            ComponentExternalKind::Component => &self.components,
            ComponentExternalKind::Module
            | ComponentExternalKind::Func
            | ComponentExternalKind::Value => return 0,
        };
        self.at(space, export.index)
    }
}

/// The scopes that are open, the innermost last.
#[derive(Default)]
struct Scan<'a> {
    scopes: Vec<Scope<'a>>,
    /// How many types the outermost component has when it ends.
    #[cfg(test)]
    types: usize,
}

impl<'a> Scan<'a> {
    fn component(&mut self, code: &'a [u8]) -> Result<(), Stop> {
        self.open(code)?;
        while let Some(scope) = self.scopes.last_mut() {
            let Inside::Sections(rest) = &mut scope.inside else {
                return Err(Stop::Malformed);
            };
            match next_section(rest) {
                Some(Ok((section::COMPONENT, content))) => self.open(content)?,
                Some(Ok((id, content))) => self.section(id, content)?,
                Some(Err(_)) => return Err(Stop::Malformed),
                None => self.close()?,
            }
        }
        Ok(())
    }

    fn open(&mut self, code: &'a [u8]) -> Result<(), Stop> {
        if self.scopes.len() > MAX_DEPTH as usize {
            return Err(Stop::TooDeep(format!(
                "components within components, at most {MAX_DEPTH} deep are allowed"
            )));
        }
        let sections = code.get(HEADER_BYTES..).unwrap_or_default();
        self.scopes.push(Scope::new(Inside::Sections(sections)));
        Ok(())
    }

    /// Ends the innermost component, which is one of the one around it.
    fn close(&mut self) -> Result<(), Stop> {
        let Some(inner) = self.scopes.pop() else {
            return Ok(());
        };
        #[cfg(test)]
        {
            self.types = inner.types.len();
        }
        match self.scopes.last_mut() {
            Some(outer) => outer.add(ComponentExternalKind::Component, inner.deepest),
            None => Ok(()),
        }
    }

    fn innermost(&mut self) -> Result<&mut Scope<'a>, Stop> {
        self.scopes.last_mut().ok_or(Stop::Malformed)
    }

    fn section(&mut self, id: u8, content: &'a [u8]) -> Result<(), Stop> {
        let mut reader = BinaryReader::new(content, 0);
        if id == section::TYPE {
            for _ in 0..reader.read_var_u32()? {
                self.ty(&mut reader)?;
            }
            return Ok(());
        }
        let is_relevant =
            matches!(id, section::INSTANCE | section::ALIAS | section::IMPORT | section::EXPORT);
        let count = if is_relevant { reader.read_var_u32()? } else { 0 };
        for _ in 0..count {
            match id {
                section::INSTANCE => self.instance(&reader.read()?)?,
                section::ALIAS => self.alias(&reader.read()?)?,
                section::IMPORT => {
                    let import: wasmparser::ComponentImport<'_> = reader.read()?;
                    self.innermost()?.declare(import.ty)?;
                }
                _ => {
                    let export: ComponentExport<'_> = reader.read()?;
                    let scope = self.innermost()?;
                    let depth = scope.exported(&export);
                    scope.add(export.kind, depth)?;
                }
            }
        }
        Ok(())
    }

    fn instance(&mut self, instance: &ComponentInstance<'_>) -> Result<(), Stop> {
        let scope = self.innermost()?;
        let depth = match instance {
            ComponentInstance::Instantiate { component_index, .. } => {
                scope.at(&scope.components, *component_index)
            }
            ComponentInstance::FromExports(exports) => {
                exports.iter().map(|export| scope.exported(export)).max().unwrap_or_default()
            }
        };
        scope.add(ComponentExternalKind::Instance, depth)
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) -> Result<(), Stop> {
        match *alias {
            ComponentAlias::InstanceExport { kind, instance_index, .. } => {
                let scope = self.innermost()?;
                let depth = scope.at(&scope.instances, instance_index);
                scope.add(kind, depth)
            }
            ComponentAlias::Outer { kind, count, index } => {
                let outer = self.scopes.len().checked_sub(count as usize + 1);
                let outer = outer.and_then(|outer| self.scopes.get(outer));
                let outer = outer.ok_or(Stop::Malformed)?;
                let (kind, depth) = match kind {
                    ComponentOuterAliasKind::Type => (ComponentExternalKind::Type, outer.ty(index)),
                    ComponentOuterAliasKind::Component => {
                        (ComponentExternalKind::Component, outer.at(&outer.components, index))
                    }
                    ComponentOuterAliasKind::CoreModule | ComponentOuterAliasKind::CoreType => {
                        return Ok(());
                    }
                };
                self.innermost()?.add(kind, depth)
            }
            ComponentAlias::CoreInstanceExport { .. } => Ok(()),
        }
    }

    /// Reads one type with everything inside of it, and adds it to the innermost scope.
    fn ty(&mut self, reader: &mut BinaryReader<'a>) -> Result<(), Stop> {
        let around = self.scopes.len();
        self.begin_type(reader, around)?;
        while self.scopes.len() > around {
            let scope = self.innermost()?;
            let left = match &mut scope.inside {
                Inside::Component(left) | Inside::Instance(left) => left,
                Inside::Sections(_) => return Err(Stop::Malformed),
            };
            let Some(fewer) = left.checked_sub(1) else {
                let deepest = scope.deepest;
                self.scopes.pop();
                self.innermost()?.define(deepest.saturating_add(1))?;
                continue;
            };
            *left = fewer;
            self.declaration(reader, around)?;
        }
        Ok(())
    }

    fn declaration(&mut self, reader: &mut BinaryReader<'a>, around: usize) -> Result<(), Stop> {
        let declaration = reader.clone();
        if reader.read_u8()? == DECLARES_TYPE {
            return self.begin_type(reader, around);
        }
        // No other declaration has a type of a component or an instance inside.
        *reader = declaration;
        let declaration = match self.innermost()?.inside {
            Inside::Component(_) => reader.read()?,
            Inside::Instance(_) | Inside::Sections(_) => {
                match reader.read::<InstanceTypeDeclaration<'_>>()? {
                    InstanceTypeDeclaration::CoreType(ty) => ComponentTypeDeclaration::CoreType(ty),
                    InstanceTypeDeclaration::Type(ty) => ComponentTypeDeclaration::Type(ty),
                    InstanceTypeDeclaration::Alias(alias) => ComponentTypeDeclaration::Alias(alias),
                    InstanceTypeDeclaration::Export { name, ty } => {
                        ComponentTypeDeclaration::Export { name, ty }
                    }
                }
            }
        };
        match declaration {
            ComponentTypeDeclaration::Alias(alias) => self.alias(&alias),
            ComponentTypeDeclaration::Export { ty, .. } => self.innermost()?.declare(ty),
            ComponentTypeDeclaration::Import(import) => self.innermost()?.declare(import.ty),
            ComponentTypeDeclaration::CoreType(_) | ComponentTypeDeclaration::Type(_) => Ok(()),
        }
    }

    /// Opens the type of a component or an instance, or reads another type whole. The scopes before
    /// `around` are components.
    fn begin_type(&mut self, reader: &mut BinaryReader<'a>, around: usize) -> Result<(), Stop> {
        let whole = reader.clone();
        let inside: fn(u32) -> Inside<'a> = match reader.read_u8()? {
            COMPONENT_TYPE => Inside::Component,
            INSTANCE_TYPE => Inside::Instance,
            _ => {
                *reader = whole;
                let ty = reader.read()?;
                let scope = self.innermost()?;
                let below = match &ty {
                    ComponentType::Defined(ty) => scope.defined(ty),
                    ComponentType::Func(ty) => {
                        let params = ty.params.iter().map(|(_, ty)| *ty);
                        scope.deepest_of(params.chain(ty.result))
                    }
                    _ => 0,
                };
                return scope.define(below.saturating_add(1));
            }
        };
        if self.scopes.len() - around >= MAX_TYPE_DEPTH {
            return Err(Stop::TooDeep(format!(
                "types within types, at most {MAX_TYPE_DEPTH} deep are allowed"
            )));
        }
        let count = reader.read_var_u32()?;
        self.scopes.push(Scope::new(inside(count)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::Validator;

    use super::*;
    use crate::prepare::COMPONENT_FEATURES;

    #[test]
    fn the_scan_counts_types_as_validation_does() {
        let text = r#"(component $outer
            (type $u u8)
            (import "i" (instance $i
                (export "r" (type $r (sub resource)))
                (alias outer $outer $u (type $v)) (export "v" (type (eq $v)))
                (export "n" (instance (export "deep" (type (sub resource)))))))
            (alias export $i "r" (type $r))
            (alias export $i "n" (instance $n))
            (alias export $n "deep" (type))
            (import "t" (type $t (eq $u)))
            (import "f" (func (param "a" $t)))
            (component $c
                (alias outer $outer $u (type $x))
                (export $y "y" (type $x))
                (type (list $y)))
            (instance $made (instantiate $c))
            (alias export $made "y" (type $z))
            (instance $inline (export "z" (type $z)) (export "n" (instance $n)))
            (alias export $inline "z" (type))
            (type $own (resource (rep i32)))
            (export $again "own" (type $own))
            (type (func (param "a" (own $again)) (result (list $z))))
            (core type (module (export "e" (func))))
            (type (component (import "a" (instance (export "b" (type (sub resource)))))
                (export "c" (instance (export "d" (type (sub resource))))))))"#;
        let code = wat::parse_str(text).unwrap();
        let types = Validator::new_with_features(COMPONENT_FEATURES).validate_all(&code).unwrap();
        let mut scan = Scan::default();
        assert!(scan.component(&code).is_ok());
        assert_eq!(scan.types, types.as_ref().component_type_count() as usize);
    }
}

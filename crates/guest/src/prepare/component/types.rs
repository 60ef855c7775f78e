//! The types of a component: bounds on how large they unfold.
//!
//! A type may name another several times, so that a few bytes describe a tree of millions. Whoever
//! compares two such types, or generates code to copy their values, walks the tree. So the trees
//! are bounded, and so is their sum over the functions that pass between core and component.

use std::collections::HashMap;

use outlayer_protocol::Status;
use wasmparser::{
    CanonicalFunction, ComponentCanonicalSectionReader, FuncValidatorAllocations, Parser, Payload,
    ValidPayload, Validator,
    component_types::{
        ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType,
        ComponentFuncTypeId, ComponentInstanceTypeId, ComponentItem, ComponentTypeId,
        ComponentValType,
    },
    types::TypesRef,
};

use crate::{
    prepare::{COMPONENT_FEATURES, features},
    verdict::invalid_module,
};

/// The type of a value or function unfolds to at most this many types.
const MAX_TYPE_SIZE: u64 = 10_000;
/// The type of an instance or component unfolds to at most this many types.
const MAX_INSTANCE_TYPE_SIZE: u64 = 100_000;
/// The types of all functions that a component lifts or lowers unfold to at most this many types
/// together.
const MAX_CANONICAL_SIZE: u64 = 100_000;

/// How many items of some kinds a component defines, components inside of it left out.
#[derive(Default)]
pub(super) struct Counts {
    /// Functions of modules: lowered ones and aliases.
    pub(super) core_functions: u32,
    /// Functions of the component: imported and lifted ones, aliases and exports.
    pub(super) functions: u32,
    /// Types of the component.
    pub(super) types: u32,
}

/// Validates a component and checks the size of its types. Returns how much it defines.
///
/// # Errors
/// `InvalidModule`.
pub(super) fn validate(code: &[u8]) -> Result<Counts, Status> {
    let malformed =
        |error: wasmparser::BinaryReaderError| invalid_module(features::reason(error.message()));
    let mut validator = Validator::new_with_features(COMPONENT_FEATURES);
    let mut allocations = FuncValidatorAllocations::default();
    let mut sizes = Sizes::default();
    let mut counts = Counts::default();
    for payload in Parser::new(0).parse_all(code) {
        let payload = payload.map_err(malformed)?;
        if let ValidPayload::Func(function, body) =
            validator.payload(&payload).map_err(malformed)?
        {
            let mut function = function.into_validator(allocations);
            function.validate(&body).map_err(malformed)?;
            allocations = function.into_allocations();
        }
        let Some(types) = validator.types(0) else {
            continue;
        };
        // In the end, these are those of the whole.
        counts = Counts {
            core_functions: types.function_count(),
            functions: types.component_function_count(),
            types: types.component_type_count(),
        };
        match payload {
            Payload::ComponentTypeSection(reader) => sizes.check_last(types, reader.count())?,
            Payload::ComponentCanonicalSection(reader) => {
                sizes.add_canonical(types, reader).map_err(malformed)??;
            }
            _ => {}
        }
    }
    Ok(counts)
}

/// The sizes of types computed so far, and the sum over lifted and lowered functions.
#[derive(Default)]
struct Sizes {
    defined: HashMap<ComponentDefinedTypeId, u64>,
    instances: HashMap<ComponentInstanceTypeId, u64>,
    components: HashMap<ComponentTypeId, u64>,
    canonical: u64,
}

impl Sizes {
    /// Checks the `count` types that were defined last.
    fn check_last(&mut self, types: TypesRef<'_>, count: u32) -> Result<(), Status> {
        let defined = types.component_type_count();
        for index in defined.saturating_sub(count)..defined {
            let id = types.component_any_type_at(index);
            let (size, most) = match id {
                ComponentAnyTypeId::Instance(_) | ComponentAnyTypeId::Component(_) => {
                    (self.any(types, id), MAX_INSTANCE_TYPE_SIZE)
                }
                _ => (self.any(types, id), MAX_TYPE_SIZE),
            };
            if size > most {
                return Err(invalid_module(format!(
                    "a component's type unfolds to {size} types, at most {most} are allowed"
                )));
            }
        }
        Ok(())
    }

    /// Adds the functions that are lifted and lowered.
    fn add_canonical(
        &mut self,
        types: TypesRef<'_>,
        reader: ComponentCanonicalSectionReader<'_>,
    ) -> Result<Result<(), Status>, wasmparser::BinaryReaderError> {
        for function in reader {
            // Every other function takes a number or a handle.
            self.canonical += match function? {
                CanonicalFunction::Lift { type_index, .. } => {
                    self.any(types, types.component_any_type_at(type_index))
                }
                CanonicalFunction::Lower { func_index, .. } => {
                    self.function(types, types.component_function_at(func_index))
                }
                _ => 1,
            };
            if self.canonical > MAX_CANONICAL_SIZE {
                return Ok(Err(invalid_module(format!(
                    "the functions that a component lifts and lowers have types that unfold to \
                     more than the {MAX_CANONICAL_SIZE} types allowed"
                ))));
            }
        }
        Ok(Ok(()))
    }

    fn any(&mut self, types: TypesRef<'_>, id: ComponentAnyTypeId) -> u64 {
        match id {
            ComponentAnyTypeId::Resource(_) => 1,
            ComponentAnyTypeId::Defined(id) => self.defined(types, id),
            ComponentAnyTypeId::Func(id) => self.function(types, id),
            ComponentAnyTypeId::Instance(id) => match self.instances.get(&id) {
                Some(size) => *size,
                None => {
                    let size = self.items(types, types[id].exports.values());
                    self.instances.insert(id, size);
                    size
                }
            },
            ComponentAnyTypeId::Component(id) => match self.components.get(&id) {
                Some(size) => *size,
                None => {
                    let ty = &types[id];
                    let size = self.items(types, ty.imports.values().chain(ty.exports.values()));
                    self.components.insert(id, size);
                    size
                }
            },
        }
    }

    fn items<'a>(
        &mut self,
        types: TypesRef<'_>,
        items: impl Iterator<Item = &'a ComponentItem>,
    ) -> u64 {
        sum(items.map(|item| match item.ty {
            ComponentEntityType::Module(_) => 1,
            ComponentEntityType::Func(id) => self.function(types, id),
            ComponentEntityType::Value(ty) => self.value(types, ty),
            ComponentEntityType::Type { referenced, .. } => self.any(types, referenced),
            ComponentEntityType::Instance(id) => self.any(types, ComponentAnyTypeId::Instance(id)),
            ComponentEntityType::Component(id) => {
                self.any(types, ComponentAnyTypeId::Component(id))
            }
        }))
    }

    fn function(&mut self, types: TypesRef<'_>, id: ComponentFuncTypeId) -> u64 {
        let ty = &types[id];
        let values = ty.params.iter().map(|(_, ty)| *ty).chain(ty.result);
        sum(values.map(|ty| self.value(types, ty)))
    }

    fn value(&mut self, types: TypesRef<'_>, ty: ComponentValType) -> u64 {
        match ty {
            ComponentValType::Primitive(_) => 1,
            ComponentValType::Type(id) => self.defined(types, id),
        }
    }

    fn defined(&mut self, types: TypesRef<'_>, id: ComponentDefinedTypeId) -> u64 {
        if let Some(size) = self.defined.get(&id) {
            return *size;
        }
        let mut parts = |parts: &mut dyn Iterator<Item = ComponentValType>| {
            parts.map(|ty| self.value(types, ty)).fold(0, u64::saturating_add)
        };
        let size = match &types[id] {
            ComponentDefinedType::Record(ty) => parts(&mut ty.fields.values().copied()),
            // A case without a value counts too.
            ComponentDefinedType::Variant(ty) => {
                let cases = ty.cases.len() as u64;
                parts(&mut ty.cases.values().filter_map(|case| case.ty)).saturating_add(cases)
            }
            ComponentDefinedType::Tuple(ty) => parts(&mut ty.types.iter().copied()),
            ComponentDefinedType::Flags(names) => names.len() as u64,
            ComponentDefinedType::Enum(names) => names.len() as u64,
            ComponentDefinedType::List { element, .. } => parts(&mut [*element].into_iter()),
            ComponentDefinedType::Option { ty, .. } => parts(&mut [*ty].into_iter()),
            ComponentDefinedType::Result { ok, err, .. } => {
                parts(&mut [*ok, *err].into_iter().flatten())
            }
            ComponentDefinedType::Map { key, value, .. } => parts(&mut [*key, *value].into_iter()),
            ComponentDefinedType::FixedLengthList { element, length, .. } => {
                parts(&mut [*element].into_iter()).saturating_mul(u64::from(*length))
            }
            ComponentDefinedType::Future { ty, .. } | ComponentDefinedType::Stream { ty, .. } => {
                parts(&mut ty.iter().copied())
            }
            ComponentDefinedType::Primitive(_)
            | ComponentDefinedType::Own(_)
            | ComponentDefinedType::Borrow(_) => 0,
        };
        let size = size.saturating_add(1);
        self.defined.insert(id, size);
        size
    }
}

/// A type and its parts.
fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(1, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), Status> {
        validate(&wat::parse_str(text).unwrap()).map(drop)
    }

    /// `levels` tuples, each of two of the one before.
    fn doubled(levels: u32) -> String {
        (1..=levels).fold("(type $t0 (tuple u8 u8))".to_owned(), |types, level| {
            let below = level - 1;
            format!("{types} (type $t{level} (tuple $t{below} $t{below}))")
        })
    }

    #[test]
    fn types_that_unfold_far_are_rejected() {
        assert_eq!(check(&format!("(component {})", doubled(10))), Ok(()));
        let Err(Status::InvalidModule { reason }) = check(&format!("(component {})", doubled(12)))
        else {
            panic!()
        };
        assert!(reason.starts_with("a component's type unfolds to 16383 types"), "{reason}");
        let exports: String = (0..30)
            .map(|index| format!(r#"(export "f{index}" (func (param "a" $t10)))"#))
            .collect();
        let instance = format!("(component (type (instance {} {exports})))", doubled(10));
        let Err(Status::InvalidModule { reason }) = check(&instance) else { panic!() };
        assert!(reason.contains("at most 100000 are allowed"), "{reason}");
    }

    #[test]
    fn lifts_and_lowers_are_bounded_together() {
        let lifts = |count: usize| {
            let lift = r#"(func (type $f) (canon lift (core func $i "f")
                (memory (core memory $i "m")) (realloc (core func $i "r"))))"#;
            check(&format!(
                r#"(component {} (type $f (func (param "a" $t10)))
                (core module $m (memory (export "m") 1) (func (export "f") (param i32))
                    (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable))
                (core instance $i (instantiate $m)) {})"#,
                doubled(10),
                lift.repeat(count)
            ))
        };
        assert_eq!(lifts(20), Ok(()));
        let Err(Status::InvalidModule { reason }) = lifts(30) else { panic!() };
        assert!(reason.starts_with("the functions that a component lifts and lowers"), "{reason}");
    }
}

//! How deep a component's types nest, found without recursion.
//!
//! The type of a component or an instance may declare types of components and instances of its own,
//! and those may do so again. It takes three bytes a level, and whoever parses such a type follows
//! it by recursion: ten thousand levels exhaust the stack of an ordinary thread. This scan keeps
//! its levels in a list, so it can look at any bytes, and nobody else sees what it rejects.

use outlayer_protocol::Status;
use wasmparser::{
    BinaryReader, BinaryReaderError, ComponentType, ComponentTypeDeclaration,
    InstanceTypeDeclaration,
};

use crate::verdict::invalid_module;

/// Types of components and instances are nested at most this deep. Tools make three or four levels.
pub(super) const MAX_TYPE_DEPTH: usize = 16;

/// The first byte of a declaration that declares a type.
const DECLARES_TYPE: u8 = 0x01;
/// The first byte of the type of a component.
const COMPONENT_TYPE: u8 = 0x41;
/// The first byte of the type of an instance.
const INSTANCE_TYPE: u8 = 0x42;

/// A list that the scan is inside of.
struct Level {
    kind: Kind,
    /// How many items of the list have not been looked at.
    left: u32,
}

/// What the items of a list are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Types.
    Section,
    /// Declarations of the type of a component.
    Component,
    /// Declarations of the type of an instance.
    Instance,
}

/// Checks the content of a type section.
///
/// Bytes that are malformed pass. A parser stops where they are malformed, and has not gone deeper
/// by then than this scan.
///
/// # Errors
/// The verdict on types that nest too deep.
pub(super) fn check(section: &[u8]) -> Result<(), Status> {
    match is_too_deep(section) {
        Ok(false) | Err(_) => Ok(()),
        Ok(true) => Err(invalid_module(format!(
            "types within types, at most {MAX_TYPE_DEPTH} deep are allowed"
        ))),
    }
}

fn is_too_deep(section: &[u8]) -> Result<bool, BinaryReaderError> {
    let mut reader = BinaryReader::new(section, 0);
    let mut levels = vec![Level { kind: Kind::Section, left: reader.read_var_u32()? }];
    while let Some(level) = levels.last_mut() {
        let Some(left) = level.left.checked_sub(1) else {
            levels.pop();
            continue;
        };
        level.left = left;
        let kind = level.kind;
        let declaration = reader.clone();
        if kind != Kind::Section && reader.read_u8()? != DECLARES_TYPE {
            // No other declaration has a type of a component or an instance inside.
            reader = declaration;
            match kind {
                Kind::Component => drop(reader.read::<ComponentTypeDeclaration<'_>>()?),
                Kind::Instance | Kind::Section => {
                    drop(reader.read::<InstanceTypeDeclaration<'_>>()?);
                }
            }
            continue;
        }
        let ty = reader.clone();
        let kind = match reader.read_u8()? {
            COMPONENT_TYPE => Kind::Component,
            INSTANCE_TYPE => Kind::Instance,
            _ => {
                reader = ty;
                drop(reader.read::<ComponentType<'_>>()?);
                continue;
            }
        };
        if levels.len() > MAX_TYPE_DEPTH {
            return Ok(true);
        }
        levels.push(Level { kind, left: reader.read_var_u32()? });
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::{component, encode};

    /// A component with types nested in one another: a type of this kind in each level.
    fn nested(kind: u8, depth: usize) -> Vec<u8> {
        let mut types = vec![1];
        types.extend([kind, 1, DECLARES_TYPE].repeat(depth - 1));
        types.extend([kind, 0]);
        let mut code = b"\0asm\x0d\0\x01\0".to_vec();
        encode::section(&mut code, 7, &types);
        code
    }

    fn too_deep() -> Status {
        invalid_module("types within types, at most 16 deep are allowed")
    }

    #[test]
    fn types_nest_to_a_bound() {
        for kind in [COMPONENT_TYPE, INSTANCE_TYPE] {
            let accepted = nested(kind, MAX_TYPE_DEPTH);
            assert_eq!(component(&accepted).map(|_| ()), Ok(()), "{kind:#x}");
            assert_eq!(component(&nested(kind, MAX_TYPE_DEPTH + 1)), Err(too_deep()), "{kind:#x}");
        }
    }

    #[test]
    fn any_depth_is_rejected_on_a_small_stack() {
        let small = std::thread::Builder::new().stack_size(256 << 10);
        let rejected = small.spawn(|| {
            for depth in [100, 10_000, 1_000_000] {
                for kind in [COMPONENT_TYPE, INSTANCE_TYPE] {
                    assert_eq!(component(&nested(kind, depth)), Err(too_deep()), "{depth}");
                }
            }
        });
        rejected.unwrap().join().unwrap();
    }

    #[test]
    fn a_nest_behind_other_declarations_is_found() {
        // In each level, what stands before the type that nests: an import, an export, an alias, a
        // core type, and types of values, functions and resources.
        let inner = (0..MAX_TYPE_DEPTH).fold("(component)".to_owned(), |inner, level| {
            format!(
                r#"(component
                    (type $r{level} (record (field "a" u8) (field "b" (list string))))
                    (type $f{level} (func (param "p" (list string)) (result (tuple u8 u16))))
                    (core type (module (import "m" "n" (func)) (export "e" (func (param i32)))))
                    (import "i{level}" (func (type $f{level})))
                    (import "t{level}" (type (sub resource)))
                    (export "x{level}" (type (eq $r{level})))
                    (type {inner}))"#
            )
        });
        let text = format!("(component (type {inner}))");
        assert_eq!(component(&wat::parse_str(&text).unwrap()), Err(too_deep()));
        // One level less, and the scan has understood everything that it skipped.
        let text = text.replacen("(type (component)))", ")", 1);
        assert_eq!(component(&wat::parse_str(&text).unwrap()).map(|_| ()), Ok(()));
    }
}

//! A component's bytes: validation, bounds, and the accounting of the stack in each of its modules.

use outlayer_protocol::Status;
use wasmparser::{Validator, WasmFeatures};

use super::{FEATURES, leb, shape::Totals, stack};
use crate::verdict::invalid_module;

/// Components within components go at most so deep.
const MAX_DEPTH: u32 = 16;
/// A component has at most this many sections, those of components within it included. Tools make some tens.
const MAX_SECTIONS: u32 = 10_000;

const HEADER_BYTES: usize = 8;

mod section {
    pub(super) const CUSTOM: u8 = 0;
    pub(super) const CORE_MODULE: u8 = 1;
    pub(super) const COMPONENT: u8 = 4;
}

/// What components may use beside [`FEATURES`].
pub(crate) const COMPONENT_FEATURES: WasmFeatures = FEATURES.union(WasmFeatures::COMPONENT_MODEL);

/// Validates a component, checks the shape of all its modules together, and adds the accounting of the stack to each. The result is
/// what gets compiled.
///
/// # Errors
/// A verdict when the component is invalid or out of bounds.
pub(crate) fn component(code: &[u8]) -> Result<Vec<u8>, Status> {
    let mut walk = Walk::default();
    // The bounds come first: validation recurses into what they bound.
    walk.check(code, 0)?;
    Validator::new_with_features(COMPONENT_FEATURES)
        .validate_all(code)
        .map_err(|error| invalid_module(error.message()))?;
    rewrite(code)
}

#[derive(Default)]
struct Walk {
    sections: u32,
    totals: Totals,
}

impl Walk {
    fn check(&mut self, code: &[u8], depth: u32) -> Result<(), Status> {
        if depth > MAX_DEPTH {
            return Err(invalid_module(format!(
                "components within components, at most {MAX_DEPTH} deep are allowed"
            )));
        }
        for section in sections(code) {
            let (id, content) = section?;
            self.sections += 1;
            if self.sections > MAX_SECTIONS {
                return Err(invalid_module(format!(
                    "a component has more than the {MAX_SECTIONS} sections allowed"
                )));
            }
            match id {
                section::CORE_MODULE => self.totals.add(content)?,
                section::COMPONENT => self.check(content, depth + 1)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The component with its modules instrumented. Custom sections are left out.
fn rewrite(code: &[u8]) -> Result<Vec<u8>, Status> {
    let mut out = code.get(..HEADER_BYTES).unwrap_or_default().to_vec();
    for section in sections(code) {
        let (id, content) = section?;
        let rewritten;
        let content = match id {
            section::CUSTOM => continue,
            section::CORE_MODULE => {
                rewritten = stack::instrument_inside(content)?;
                &rewritten
            }
            section::COMPONENT => {
                rewritten = rewrite(content)?;
                &rewritten
            }
            _ => content,
        };
        out.push(id);
        leb::unsigned(&mut out, content.len());
        out.extend_from_slice(content);
    }
    Ok(out)
}

/// The sections of a component, each with its number.
fn sections(code: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), Status>> {
    let mut rest = code.get(HEADER_BYTES..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (id, sized) = rest.split_first()?;
        let section = leb::split_count_checked(sized)
            .and_then(|(bytes, content)| content.split_at_checked(bytes));
        Some(match section {
            Some((content, after)) => {
                rest = after;
                Ok((*id, content))
            }
            None => {
                rest = &[];
                Err(invalid_module("a section that does not end"))
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_is_instrumented_however_deep() {
        let code = wat::parse_str(
            "(component
                (core module (func (export \"f\")) (func $s) (start $s))
                (component (core module $m (table 1 funcref) (memory 1) (func)) (core instance (instantiate $m))))",
        )
        .unwrap();
        let rewritten = component(&code).unwrap();
        Validator::new_with_features(COMPONENT_FEATURES)
            .validate_all(&rewritten)
            .unwrap();
        let name = stack::STACK_EXPORT.as_bytes();
        let found = rewritten.windows(name.len()).filter(|part| part == &name);
        assert_eq!(found.count(), 2);
    }

    #[test]
    fn deep_nests_and_broken_sections_are_refused() {
        let nested = (0..40).fold("(component)".to_owned(), |inner, _| {
            format!("(component {inner})")
        });
        assert_eq!(
            component(&wat::parse_str(nested).unwrap()),
            Err(invalid_module(
                "components within components, at most 16 deep are allowed"
            ))
        );
        for broken in [
            &b"\0asm\x0d\0\x01\0\x01"[..],
            b"\0asm\x0d\0\x01\0\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(
                component(broken),
                Err(invalid_module("a section that does not end"))
            );
        }
    }
}

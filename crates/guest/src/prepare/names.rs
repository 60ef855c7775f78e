//! The names that a guest gives its functions. They are for people, and nothing is decided by them.

use std::collections::HashMap;

use wasmparser::{
    BinaryReaderError, KnownCustom, Name, NameSectionReader, Parser, Payload, TypeRef,
};

use super::{component, encode};

/// A function of a guest, in the numbering of the module that defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FunctionIndex {
    /// The module's place among those of a component, counted through nested components in the
    /// order of the bytes; 0 in a module that is the whole guest.
    pub module: u32,
    /// The function's index, imported functions included.
    pub function: u32,
}

/// How many functions a module has, and what its `name` section calls them.
struct Functions<'a> {
    imported: u32,
    defined: u32,
    /// A broken section names as many functions as can be read.
    names: Vec<NameSectionReader<'a>>,
}

impl<'a> Functions<'a> {
    fn read(module: &'a [u8]) -> Result<Self, BinaryReaderError> {
        let mut functions = Self { imported: 0, defined: 0, names: Vec::new() };
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(reader) => {
                    for import in reader.into_imports() {
                        let is_function = matches!(import?.ty, TypeRef::Func(_));
                        functions.imported += u32::from(is_function);
                    }
                }
                Payload::FunctionSection(reader) => functions.defined = reader.count(),
                Payload::CustomSection(section) => {
                    if let KnownCustom::Name(reader) = section.as_known() {
                        functions.names.push(reader);
                    }
                }
                _ => {}
            }
        }
        Ok(functions)
    }

    /// Tells `name` the index and the name of each function that has one.
    fn each(self, mut name: impl FnMut(u32, &'a str)) {
        for subsection in self.names.into_iter().flat_map(|names| names.into_iter().flatten()) {
            if let Name::Function(map) = subsection {
                map.into_iter().map_while(Result::ok).for_each(|one| name(one.index, one.name));
            }
        }
    }
}

/// The functions that a module defines, by their names, or as `function N`.
pub(super) fn defined(module: &[u8]) -> Result<Vec<String>, BinaryReaderError> {
    let functions = Functions::read(module)?;
    let (imported, defined) = (functions.imported, functions.defined);
    let mut named: Vec<_> =
        (0..defined).map(|index| unnamed(imported.saturating_add(index))).collect();
    functions.each(|index, name| {
        let place = index.checked_sub(imported).and_then(|index| usize::try_from(index).ok());
        if let Some(function) = place.and_then(|place| named.get_mut(place)) {
            name.clone_into(function);
        }
    });
    Ok(named)
}

fn unnamed(function: u32) -> String {
    format!("function {function}")
}

/// What `code` calls these of its functions: their names, or else `function N`, with the module
/// where the guest has several. What is none of its functions, as what metering has appended, is
/// left out. `code` is a guest that has been accepted.
pub fn of_functions(code: &[u8], functions: &[FunctionIndex]) -> Vec<String> {
    let modules = modules(code);
    let mut found = HashMap::new();
    for (ordinal, module) in (0..).zip(&modules) {
        if !functions.iter().any(|function| function.module == ordinal) {
            continue;
        }
        let Ok(read) = Functions::read(module) else { continue };
        let count = read.imported.saturating_add(read.defined);
        let wanted = functions.iter().filter(|one| one.module == ordinal && one.function < count);
        for one in wanted {
            let mut name = unnamed(one.function);
            if modules.len() > 1 {
                name += &format!(" of module {ordinal}");
            }
            found.insert(*one, name);
        }
        read.each(|function, name| {
            if let Some(found) = found.get_mut(&FunctionIndex { module: ordinal, function }) {
                name.clone_into(found);
            }
        });
    }
    functions.iter().filter_map(|function| found.get(function).cloned()).collect()
}

/// How many functions `module` imports.
///
/// # Errors
/// When it is no module.
pub fn imported_functions(module: &[u8]) -> Result<u32, BinaryReaderError> {
    Functions::read(module).map(|functions| functions.imported)
}

/// The module that `code` is, or those of the component that it is.
fn modules(code: &[u8]) -> Vec<&[u8]> {
    if Parser::is_core_wasm(code) {
        return vec![code];
    }
    let mut modules = Vec::new();
    component::each_module(code, &mut |module| modules.push(module));
    modules
}

/// Writes into a module of a component which of them it is, as its name. Its own names are gone.
pub(super) fn number(module: &mut Vec<u8>, ordinal: u32) {
    const CUSTOM: u8 = 0;
    const MODULE_NAME: u8 = 0;
    let (mut section, mut name) = (Vec::new(), Vec::new());
    encode::name(&mut section, "name");
    encode::name(&mut name, &ordinal.to_string());
    encode::section(&mut section, MODULE_NAME, &name);
    encode::section(module, CUSTOM, &section);
}

/// What [`super::component`] has written into a module: which of the component's it is.
/// `None` for modules that an engine makes between components.
pub fn number_of(module_name: Option<&str>) -> Option<u32> {
    module_name?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, functions: &[(u32, u32)]) -> Vec<String> {
        let code = wat::parse_str(text).unwrap();
        let functions: Vec<_> = functions
            .iter()
            .map(|(module, function)| FunctionIndex { module: *module, function: *function })
            .collect();
        of_functions(&code, &functions)
    }

    #[test]
    fn functions_have_their_names_or_their_numbers() {
        let module =
            r#"(module (import "m" "f" (func $imported)) (func $own) (func) (func $last))"#;
        assert_eq!(
            names(module, &[(0, 3), (0, 2), (0, 1), (0, 0), (0, 3), (0, 4), (1, 0)]),
            ["last", "function 2", "own", "imported", "last"]
        );
        let code = wat::parse_str(module).unwrap();
        assert_eq!(defined(&code).unwrap(), ["own", "function 2", "last"]);
        assert_eq!(imported_functions(&code).unwrap(), 1);
    }

    #[test]
    fn modules_of_a_component_are_numbered_as_they_are_rewritten() {
        let text = r#"(component
            (core module (func $first))
            (component (core module $m (func $second) (func)) (core instance (instantiate $m)))
            (core module (func) (func $third)))"#;
        assert_eq!(
            names(text, &[(2, 1), (1, 0), (0, 0), (1, 1), (3, 0)]),
            ["third", "second", "first", "function 1 of module 1"]
        );
        let rewritten = component(&wat::parse_str(text).unwrap()).unwrap();
        let mut numbers = Vec::new();
        component::each_module(&rewritten, &mut |module| {
            for payload in Parser::new(0).parse_all(module) {
                let Payload::CustomSection(section) = payload.unwrap() else { continue };
                let KnownCustom::Name(reader) = section.as_known() else { continue };
                for name in reader {
                    let Name::Module { name, .. } = name.unwrap() else { panic!("a name is left") };
                    numbers.push(number_of(Some(name)));
                }
            }
        });
        assert_eq!(numbers, [Some(0), Some(1), Some(2)]);
        assert_eq!((number_of(None), number_of(Some("x"))), (None, None));
    }

    #[test]
    fn a_broken_name_section_names_what_can_be_read() {
        let mut code = wat::parse_str("(module (func) (func))").unwrap();
        // Two names, of which the second is longer than the section.
        let content = b"\x04name\x01\x07\x02\x00\x01a\x01\x09b";
        encode::section(&mut code, 0, content);
        let functions = [0, 1].map(|function| FunctionIndex { module: 0, function });
        assert_eq!(of_functions(&code, &functions), ["a", "function 1"]);
    }
}

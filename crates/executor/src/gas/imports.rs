//! The names of a module's imports, hidden from NEAR's preparation and given back after it.
//!
//! The preparation accepts functions from `env` alone, and looks at nothing but the module's name.

use outlayer_guest::{
    prepare::encode,
    verdict::{invalid_module, unknown_import},
};
use outlayer_protocol::Status;
use wasmparser::{BinaryReaderError, Parser, Payload, TypeRef};

const IMPORT_SECTION: u8 = 2;
const FUNCTION: u8 = 0;
const ENV: &str = "env";
/// How many imports the instrumentation puts before the module's own.
const INSTRUMENTATION: usize = 3;

struct Import<'a> {
    module: &'a str,
    name: &'a str,
    ty: u32,
}

/// A module's imports, by their own names.
pub(super) struct Imports<'a>(Vec<Import<'a>>);

impl<'a> Imports<'a> {
    /// Reads the imports of a validated module. All must be functions of one of `modules`.
    pub(super) fn read(code: &'a [u8], modules: &[&str]) -> Result<Self, Status> {
        let mut imports = Vec::new();
        for import in functions(code).map_err(|error| invalid_module(error.message()))? {
            let (module, name, ty) = import;
            match ty {
                Some(ty) if modules.contains(&module) => imports.push(Import { module, name, ty }),
                _ => return Err(unknown_import(module, name)),
            }
        }
        Ok(Self(imports))
    }

    /// The module with every import from `env`.
    pub(super) fn hide(&self, code: &[u8]) -> Vec<u8> {
        let imports = self.0.iter().map(|import| Import { module: ENV, ..*import });
        replace(code, &imports.collect::<Vec<_>>())
    }

    /// The prepared module with its imports' own names.
    pub(super) fn give_back(&self, prepared: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
        let mut imports = Vec::with_capacity(self.0.len() + INSTRUMENTATION);
        for (index, (module, name, ty)) in functions(prepared)?.into_iter().enumerate() {
            let own = index.checked_sub(INSTRUMENTATION).and_then(|index| self.0.get(index));
            let ty = ty.unwrap_or_default();
            imports.push(match own {
                Some(own) => Import { ty, ..*own },
                None => Import { module, name, ty },
            });
        }
        Ok(replace(prepared, &imports))
    }
}

/// Module, name, and the type where it is a function, of each import.
type Named<'a> = (&'a str, &'a str, Option<u32>);

fn functions(code: &[u8]) -> Result<Vec<Named<'_>>, BinaryReaderError> {
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(code) {
        if let Payload::ImportSection(reader) = payload? {
            for import in reader.into_imports() {
                let import = import?;
                let ty = match import.ty {
                    TypeRef::Func(ty) => Some(ty),
                    _ => None,
                };
                found.push((import.module, import.name, ty));
            }
        }
    }
    Ok(found)
}

/// The module with another import section, if it has one. All other bytes stay as they are.
fn replace(code: &[u8], imports: &[Import<'_>]) -> Vec<u8> {
    let mut out = code.get(..8).unwrap_or_default().to_vec();
    for payload in Parser::new(0).parse_all(code).flatten() {
        let Some((id, range)) = payload.as_section() else {
            continue;
        };
        if id == IMPORT_SECTION {
            encode::section(&mut out, id, &written(imports));
        } else {
            encode::section(&mut out, id, code.get(range).unwrap_or_default());
        }
    }
    out
}

fn written(imports: &[Import<'_>]) -> Vec<u8> {
    let mut content = Vec::new();
    encode::unsigned(&mut content, imports.len());
    for import in imports {
        for text in [import.module, import.name] {
            encode::name(&mut content, text);
        }
        content.push(FUNCTION);
        encode::unsigned(&mut content, import.ty as usize);
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hidden_and_nothing_else_changes() {
        let code = wat::parse_str(
            r#"(module (import "a" "f" (func (param i32))) (import "b" "g" (func))
                (memory (export "memory") 1) (func (call 1)) (data (i32.const 0) "x")
                (@custom "c" "y"))"#,
        )
        .unwrap();
        let imports = Imports::read(&code, &["a", "b"]).unwrap();
        let hidden = imports.hide(&code);
        let names = |code: &[u8]| {
            functions(code)
                .unwrap()
                .into_iter()
                .map(|(module, name, _)| format!("{module}.{name}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&hidden), ["env.f", "env.g"]);
        assert_eq!(replace(&hidden, &imports.0), code);
    }

    #[test]
    fn only_functions_of_known_modules_are_read() {
        for (import, module) in [
            (r#"(import "a" "m" (memory 1))"#, "a"),
            (r#"(import "internal" "f" (func))"#, "a"),
            (r#"(import "env" "f" (func))"#, "a"),
        ] {
            let code = wat::parse_str(format!("(module {import})")).unwrap();
            assert!(Imports::read(&code, &[module]).is_err(), "{import}");
        }
    }
}

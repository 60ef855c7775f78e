//! A module that also counts what each of its functions pays.

use outlayer_protocol::Status;
use wasmparser::{KnownCustom, Name, Parser, Payload, TypeRef};

use super::{STACK_BYTES, instrument_for, writer::Place};
use crate::verdict::invalid_module;

/// What is compiled to profile a guest.
#[derive(Clone, Debug)]
pub struct Profiled {
    /// The module. It pays as the one that is executed does.
    pub module: Vec<u8>,
    /// The functions that it defines, by the names that its `name` section gives, or as
    /// `function N`. The global [`paid_export`](super::paid_export) of each has what it has paid.
    pub functions: Vec<String>,
}

/// Adds metering to a module that has been validated, and counts what each function pays.
///
/// # Errors
/// As [`instrument`](super::instrument).
pub fn profiled(code: &[u8]) -> Result<Profiled, Status> {
    let module = instrument_for(code, Place::Profiled, STACK_BYTES)?;
    let malformed = |error: wasmparser::BinaryReaderError| invalid_module(error.message());
    let (mut imported, mut functions, mut names) = (0, Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(code) {
        match payload.map_err(malformed)? {
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    imported +=
                        usize::from(matches!(import.map_err(malformed)?.ty, TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(_) => {
                functions.push(format!("function {}", imported + functions.len()));
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(reader) = section.as_known() {
                    names.extend(reader.into_iter().flatten());
                }
            }
            _ => {}
        }
    }
    // A broken `name` section names as many functions as can be read.
    for name in names {
        let Name::Function(map) = name else { continue };
        for naming in map.into_iter().map_while(Result::ok) {
            let defined = (naming.index as usize).checked_sub(imported);
            if let Some(function) = defined.and_then(|index| functions.get_mut(index)) {
                naming.name.clone_into(function);
            }
        }
    }
    Ok(Profiled { module, functions })
}

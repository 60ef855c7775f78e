//! A module that also counts what each of its functions pays.

use outlayer_protocol::Status;

use super::{STACK_BYTES, instrument_for, writer::Place};
use crate::{prepare::names, verdict::invalid_module};

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
    let functions = names::defined(code).map_err(|error| invalid_module(error.message()))?;
    Ok(Profiled { module, functions })
}

//! What happens to a guest's bytes before anything is compiled.
//!
//! Everything here is linear in the size of the module, and what passes is bounded, so that a small request cannot buy
//! a large compile. [`MAX_MODULE_BYTES`] and the bounds of [`shape`] hold for every kind of WASI guest.

mod arity;
pub(crate) mod component;
mod component_types;
mod detect;
pub mod encode;
mod features;
pub mod shape;
pub mod stack;
mod stack_size;

use outlayer_protocol::{GuestKind, Limit, Status};

pub use detect::detect;
pub(crate) use features::FEATURES;

use crate::{fault::Fault, verdict::invalid_module};

/// A module has at most this many bytes. Compiling takes about a second for each MiB and core, which the base fee pays.
pub const MAX_MODULE_BYTES: u32 = 4 << 20;

/// Why a module is not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A verdict: every engine of this version refuses the bytes in the same words.
    Verdict(Status),
    /// No verdict.
    Fault(Fault),
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Verdict(status)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The kind of `code`, which must be `required` where that is given.
///
/// # Errors
/// A verdict when the bytes are too many, no WebAssembly, or of another kind.
pub fn kind(code: &[u8], required: Option<GuestKind>) -> Result<GuestKind, Refusal> {
    if code.len() > MAX_MODULE_BYTES as usize {
        return Err(Status::LimitExceeded {
            which: Limit::ModuleBytes,
            limit: MAX_MODULE_BYTES.into(),
        }
        .into());
    }
    let found = detect(code)
        .ok_or_else(|| invalid_module("these bytes are no WebAssembly module or component"))?;
    match required {
        Some(required) if required != found => Err(invalid_module(format!(
            "the request requires a {required} guest, this is a {found} guest"
        ))
        .into()),
        _ => Ok(found),
    }
}

/// Validates a core module, checks its shape, and adds the accounting of its stack. The result is what gets compiled.
///
/// # Errors
/// A verdict when the module is invalid or out of bounds.
pub fn core_module(code: &[u8]) -> Result<Vec<u8>, Refusal> {
    check(code)?;
    Ok(stack::instrument(code)?)
}

/// Validates a core module and checks its shape, whatever the meter.
pub(crate) fn check(code: &[u8]) -> Result<(), Status> {
    shape::check(code)?;
    wasmparser::Validator::new_with_features(FEATURES)
        .validate_all(code)
        .map_err(|error| invalid_module(error.message()))?;
    Ok(())
}

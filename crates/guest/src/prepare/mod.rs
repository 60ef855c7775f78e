//! What happens to a guest's bytes before anything is compiled.
//!
//! Everything here is linear in the size of the bytes, and what passes is bounded, so that a small
//! request cannot buy a large compilation. The bytes that a request declares and
//! [`MAX_MODULE_BYTES`] hold for every guest, and the bounds of [`shape`] for every kind of WASI
//! guest.

mod arity;
mod component;
mod detect;
pub mod encode;
mod features;
pub mod function;
pub mod meter;
pub mod names;
pub mod nans;
pub mod op;
pub mod outline;
mod relaxed;
pub mod shape;

use outlayer_protocol::{GuestKind, Limit, Status};

pub use component::{MAX_TABLES, component, is_composition, nesting};
pub use detect::detect;
pub use features::{COMPONENT_FEATURES, FEATURES};

use crate::verdict::invalid_module;

/// The most bytes that a guest's code has, however many its request declares.
pub const MAX_MODULE_BYTES: u32 = 32 << 20;

/// The kind of `code`, which must be `required` where that is given. The code may have as many
/// bytes as its request declares and pays for, and at most [`MAX_MODULE_BYTES`].
///
/// # Errors
/// The verdict on bytes that are too many, no WebAssembly, or of another kind.
pub fn kind(
    code: &[u8],
    required: Option<GuestKind>,
    max_module_bytes: u32,
) -> Result<GuestKind, Status> {
    let limit = u64::from(max_module_bytes.min(MAX_MODULE_BYTES));
    if code.len() as u64 > limit {
        return Err(Status::LimitExceeded { which: Limit::ModuleBytes, limit });
    }
    let found = detect(code)
        .ok_or_else(|| invalid_module("these bytes are no WebAssembly module or component"))?;
    match required {
        Some(required) if required != found => Err(invalid_module(format!(
            "the request requires a {required} guest, this is a {found} guest"
        ))),
        _ => Ok(found),
    }
}

/// Validates a core module, checks its shape, and adds stack metering. The result is what gets
/// compiled.
///
/// # Errors
/// The verdict on a module that is invalid or out of bounds.
pub fn core_module(code: &[u8]) -> Result<Vec<u8>, Status> {
    check(code)?;
    meter::instrument(code)
}

/// As [`core_module`], for an engine that tells less of a trap than a verdict does
/// ([`meter::instrument_telling`]).
///
/// # Errors
/// As [`core_module`].
pub fn core_module_telling(code: &[u8], growth: meter::Growth) -> Result<Vec<u8>, Status> {
    check(code)?;
    meter::instrument_telling(code, growth)
}

/// Validates a core module and checks its shape, whichever meter it will run under.
///
/// # Errors
/// The verdict on a module that is invalid or out of bounds.
pub fn check(code: &[u8]) -> Result<(), Status> {
    shape::check(code)?;
    wasmparser::Validator::new_with_features(FEATURES)
        .validate_all(code)
        .map_err(|error| invalid_module(features::reason(error.message())))?;
    Ok(())
}

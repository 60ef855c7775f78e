//! What ends an execution, and the status that follows.

use std::fmt;

use outlayer_protocol::{Limit, Status, limits::MAX_KEY_BYTES, response::MAX_REASON_BYTES};
use wasmtime::{Trap, UnknownImportError};

use crate::fault::Fault;

/// The guest reached outside of its memory, by its own access or by a pointer it gave to the host.
pub(crate) const MEMORY_OUT_OF_BOUNDS: &str = "memory out of bounds";

/// Why a host function ends the execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// `proc_exit`.
    Exit(u32),
    /// A limit other than the meter's.
    Limit { which: Limit, limit: u64 },
    /// The meter cannot pay for what comes next.
    OutOfCompute,
    /// The accounting of the stack, where it calls the host.
    StackOverflow,
    /// A misuse of the host that counts as a trap.
    Trap(&'static str),
    /// No verdict.
    Fault(Fault),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the host ended the execution: {self:?}")
    }
}

impl std::error::Error for Stop {}

impl Stop {
    pub(crate) fn limit(which: Limit, limit: impl Into<u64>) -> Self {
        Self::Limit { which, limit: limit.into() }
    }

    pub(crate) fn key_bytes() -> Self {
        Self::limit(Limit::KeyBytes, MAX_KEY_BYTES)
    }
}

/// How an error that came out of the engine ends the execution. `stack_overflow` tells whether the accounting of the
/// stack stopped the guest, which wasmtime sees as `unreachable`.
pub(crate) fn of_error(
    error: &wasmtime::Error,
    stack_overflow: impl FnOnce() -> bool,
    out_of_compute: Status,
) -> Result<Status, Fault> {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return of_stop(stop, out_of_compute);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) if stack_overflow() => Ok(Status::StackOverflow),
        Some(Trap::OutOfFuel) => Ok(out_of_compute),
        Some(Trap::StackOverflow) => Err(Fault::NativeStack),
        Some(trap) => match trap_reason(*trap) {
            Some(reason) => Ok(trapped(reason)),
            None => Err(Fault::Engine(format!("{error:?}"))),
        },
        None => match misuse_reason(&error.root_cause().to_string()) {
            Some(reason) => Ok(trapped(reason)),
            None => Err(Fault::Engine(format!("{error:?}"))),
        },
    }
}

pub(crate) fn of_stop(stop: &Stop, out_of_compute: Status) -> Result<Status, Fault> {
    Ok(match stop.clone() {
        Stop::Exit(0) => Status::Completed,
        Stop::Exit(code) => Status::Exited { code: code.cast_signed() },
        Stop::Limit { which, limit } => Status::LimitExceeded { which, limit },
        Stop::OutOfCompute => out_of_compute,
        Stop::StackOverflow => Status::StackOverflow,
        Stop::Trap(reason) => trapped(reason),
        Stop::Fault(fault) => return Err(fault),
    })
}

/// The fixed vocabulary of a trap's reasons. `None` for what no module with the accepted features can cause.
fn trap_reason(trap: Trap) -> Option<&'static str> {
    Some(match trap {
        Trap::UnreachableCodeReached => "unreachable",
        Trap::MemoryOutOfBounds => MEMORY_OUT_OF_BOUNDS,
        Trap::TableOutOfBounds => "table out of bounds",
        Trap::IndirectCallToNull => "indirect call to null",
        Trap::BadSignature => "indirect call type mismatch",
        Trap::IntegerOverflow => "integer overflow",
        Trap::IntegerDivisionByZero => "integer division by zero",
        Trap::BadConversionToInteger => "invalid conversion to integer",
        // Inside of components.
        Trap::CannotEnterComponent => "a component was entered again before it had returned",
        Trap::CannotLeaveComponent => "a component called out where it may not",
        Trap::StringOutOfBounds | Trap::ListOutOfBounds => MEMORY_OUT_OF_BOUNDS,
        Trap::InvalidChar | Trap::InvalidDiscriminant | Trap::UnalignedPointer => MISUSE,
        _ => return None,
    })
}

/// A component handed over what is no value of the type that it said.
const MISUSE: &str = "a value that the component model does not allow";
/// A component holds more handles than the engine has room for.
pub(crate) const TOO_MANY_RESOURCES: &str = "too many resources at once";

/// A component hands over, in one call, what needs more than twice its memory's limit in the host.
const TOO_MUCH_AT_ONCE: &str = "more is handed to the host at once than it takes";

/// What a component does wrong where the engine, not a host function, reads its values. wasmtime has
/// no type for these errors, so they are known by how their texts begin; what is not known is no verdict.
fn misuse_reason(text: &str) -> Option<&'static str> {
    const TEXTS: [(&str, &str); 20] = [
        ("list pointer/length out of bounds", MEMORY_OUT_OF_BOUNDS),
        ("string pointer/length out of bounds", MEMORY_OUT_OF_BOUNDS),
        ("pointer out of bounds", MEMORY_OUT_OF_BOUNDS),
        ("pointer size overflow", MEMORY_OUT_OF_BOUNDS),
        ("realloc return: beyond end of memory", MEMORY_OUT_OF_BOUNDS),
        ("realloc return: result not aligned", MISUSE),
        ("return pointer not aligned", MISUSE),
        ("pointer not aligned", MISUSE),
        ("list pointer is not aligned", MISUSE),
        ("string pointer not aligned", MISUSE),
        ("invalid utf", MISUSE),
        ("invalid option discriminant", MISUSE),
        ("invalid expected discriminant", MISUSE),
        ("unknown handle index", MISUSE),
        ("handle index", MISUSE),
        ("cannot lift own resource from a borrow", MISUSE),
        ("cannot remove owned resource while borrowed", MISUSE),
        ("borrow handles still remain at the end of the call", MISUSE),
        ("cannot allocate another handle", TOO_MANY_RESOURCES),
        ("too much data is being copied between the host and the guest", TOO_MUCH_AT_ONCE),
    ];
    TEXTS.iter().find(|(begins, _)| text.starts_with(begins)).map(|(_, reason)| *reason)
}

/// The refusal of a guest that imports what the host does not have, if that is what `error` says.
pub(crate) fn unknown_import(error: &wasmtime::Error) -> Option<Status> {
    let unknown = error.downcast_ref::<UnknownImportError>()?;
    Some(invalid_module(format!(
        "import {}.{}: the host has no such function",
        unknown.module(),
        unknown.name()
    )))
}

/// `InvalidModule` with a reason of at most [`MAX_REASON_BYTES`], cut between characters.
pub(crate) fn invalid_module(reason: impl Into<String>) -> Status {
    Status::InvalidModule { reason: clip(reason.into()) }
}

/// `Trapped`, likewise.
pub(crate) fn trapped(reason: impl Into<String>) -> Status {
    Status::Trapped { reason: clip(reason.into()) }
}

/// At most the first [`MAX_REASON_BYTES`], cut between characters.
fn clip(mut reason: String) -> String {
    let mut end = reason.len().min(MAX_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No guest is known that gets there: `tests/limits.rs` tries.
    #[test]
    fn the_end_of_the_native_stack_is_no_verdict() {
        let error = wasmtime::Error::from(Trap::StackOverflow);
        assert_eq!(of_error(&error, || true, Status::OutOfFuel), Err(Fault::NativeStack));
    }

    #[test]
    fn what_is_not_known_is_no_verdict() {
        for error in [
            wasmtime::Error::msg("mmap failed"),
            wasmtime::Error::from(Trap::Interrupt),
            wasmtime::Error::from(Trap::AllocationTooLarge),
        ] {
            let ended = of_error(&error, || false, Status::OutOfFuel);
            assert!(matches!(ended, Err(Fault::Engine(_))), "{ended:?}");
        }
        let error = wasmtime::Error::msg("unknown handle index 7").context("in a call");
        assert_eq!(of_error(&error, || false, Status::OutOfFuel), Ok(trapped(MISUSE)));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let Status::InvalidModule { reason } = invalid_module(format!("a{}", "ж".repeat(200)))
        else {
            unreachable!()
        };
        assert_eq!(reason.len(), MAX_REASON_BYTES - 1);
        assert!(reason.ends_with('ж'));
        assert_eq!(invalid_module("short"), Status::InvalidModule { reason: "short".to_owned() });
    }
}

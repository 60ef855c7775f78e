//! The status that follows from an error of wasmtime's.

use outlayer_guest::{
    Fault, Stop,
    verdict::{self, reason, trapped},
};
use outlayer_protocol::Status;
use wasmtime::{Error, Trap, UnknownImportError, component::ResourceTableError};

/// The status of an execution that ended with `error`. `stack_overflow` tells whether stack
/// metering stopped the guest, which wasmtime sees as `unreachable`. `out_of_compute` is the status
/// under the execution's meter when nothing is left.
///
/// # Errors
/// A [`Fault`] when the error says nothing about the guest.
pub(crate) fn of_error(
    error: Error,
    stack_overflow: impl FnOnce() -> bool,
    out_of_compute: Status,
) -> Result<Status, Fault> {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return verdict::of_stop(stop, out_of_compute);
    }
    if let Some(error) = error.downcast_ref::<ResourceTableError>() {
        return verdict::of_stop(&resource_stop(error), out_of_compute);
    }
    let reason = match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) if stack_overflow() => return Ok(Status::StackOverflow),
        Some(Trap::OutOfFuel) => return Ok(out_of_compute),
        Some(Trap::StackOverflow) => return Err(Fault::NativeStack),
        Some(trap) => trap_reason(*trap),
        None => misuse_reason(&error.root_cause().to_string()),
    };
    reason.map(trapped).ok_or_else(|| Fault::engine(error))
}

/// What ends an execution whose component cannot have a resource. wasmtime has checked that the
/// guest owns what it names.
pub(crate) fn resource_stop(error: &ResourceTableError) -> Stop {
    match error {
        ResourceTableError::Full => Stop::Trap(reason::TOO_MANY_RESOURCES),
        ResourceTableError::HasChildren => Stop::Trap(reason::COMPONENT_MISUSE),
        error => Fault::engine(error.to_string()).into(),
    }
}

/// The reason for a trap. `None` for what no module with the accepted features can cause.
fn trap_reason(trap: Trap) -> Option<&'static str> {
    Some(match trap {
        Trap::UnreachableCodeReached => reason::UNREACHABLE,
        Trap::MemoryOutOfBounds => reason::MEMORY_OUT_OF_BOUNDS,
        Trap::TableOutOfBounds => reason::TABLE_OUT_OF_BOUNDS,
        Trap::IndirectCallToNull => reason::INDIRECT_CALL_TO_NULL,
        Trap::BadSignature => reason::BAD_SIGNATURE,
        Trap::IntegerOverflow => reason::INTEGER_OVERFLOW,
        Trap::IntegerDivisionByZero => reason::DIVISION_BY_ZERO,
        Trap::BadConversionToInteger => reason::INVALID_CONVERSION,
        // Inside of components.
        Trap::CannotEnterComponent => reason::CANNOT_ENTER_COMPONENT,
        Trap::CannotLeaveComponent => reason::CANNOT_LEAVE_COMPONENT,
        Trap::StringOutOfBounds | Trap::ListOutOfBounds => reason::MEMORY_OUT_OF_BOUNDS,
        Trap::InvalidChar | Trap::InvalidDiscriminant | Trap::UnalignedPointer => {
            reason::COMPONENT_MISUSE
        }
        _ => return None,
    })
}

/// The reason for an error that a component makes where wasmtime, and not a host function, reads
/// its values. wasmtime has no type for these errors, so they are known by how their texts begin.
/// An unknown text gives no verdict.
fn misuse_reason(text: &str) -> Option<&'static str> {
    const TEXTS: [(&str, &str); 24] = [
        ("list pointer/length out of bounds", reason::MEMORY_OUT_OF_BOUNDS),
        ("string pointer/length out of bounds", reason::MEMORY_OUT_OF_BOUNDS),
        ("pointer out of bounds", reason::MEMORY_OUT_OF_BOUNDS),
        ("pointer size overflow", reason::MEMORY_OUT_OF_BOUNDS),
        ("realloc return: beyond end of memory", reason::MEMORY_OUT_OF_BOUNDS),
        ("realloc return: result not aligned", reason::COMPONENT_MISUSE),
        ("return pointer not aligned", reason::COMPONENT_MISUSE),
        ("pointer not aligned", reason::COMPONENT_MISUSE),
        ("list pointer is not aligned", reason::COMPONENT_MISUSE),
        ("string pointer not aligned", reason::COMPONENT_MISUSE),
        ("invalid utf", reason::COMPONENT_MISUSE),
        ("invalid option discriminant", reason::COMPONENT_MISUSE),
        ("invalid expected discriminant", reason::COMPONENT_MISUSE),
        ("unknown handle index", reason::COMPONENT_MISUSE),
        ("handle index", reason::COMPONENT_MISUSE),
        ("index ", reason::COMPONENT_MISUSE),
        ("unexpected discriminant", reason::COMPONENT_MISUSE),
        ("discriminant ", reason::COMPONENT_MISUSE),
        ("cannot lift own resource from a borrow", reason::COMPONENT_MISUSE),
        ("cannot remove owned resource while borrowed", reason::COMPONENT_MISUSE),
        ("borrow handles still remain at the end of the call", reason::COMPONENT_MISUSE),
        ("cannot allocate another handle", reason::TOO_MANY_RESOURCES),
        ("cannot lend resource", reason::TOO_MANY_RESOURCES),
        ("too much data is being copied between the host and the guest", reason::TOO_MUCH_AT_ONCE),
    ];
    TEXTS.iter().find(|(begins, _)| text.starts_with(begins)).map(|(_, reason)| *reason)
}

/// The verdict on a guest that wasmtime does not compile, if `error` is about the guest: wasmtime
/// validates it once more, has parts of the component model that it does not translate, and has
/// limits of its own. Everything else that can fail is the host's.
pub(crate) fn not_compiled(error: &Error) -> Option<Status> {
    /// How the errors of a compiler begin, which wasmtime has no public types for.
    const COMPILER: [&str; 3] =
        ["Compilation error: ", "Implementation limit exceeded", "Unsupported feature: "];
    let text = format!("{error:#}");
    if let Some(reason) = text.strip_prefix("failed to parse WebAssembly module: ") {
        return Some(verdict::invalid_module(reason));
    }
    let mut causes = error.chain().map(ToString::to_string);
    let reason = causes.find(|cause| COMPILER.iter().any(|begins| cause.starts_with(begins)))?;
    // The rest of a long text shows the function in the compiler's own terms.
    let line = reason.lines().next().unwrap_or_default();
    Some(verdict::invalid_module(format!("the guest cannot be compiled: {line}")))
}

/// The verdict on a guest that imports what the host does not have, if that is what `error` says.
pub(crate) fn unknown_import(error: &Error) -> Option<Status> {
    let unknown = error.downcast_ref::<UnknownImportError>()?;
    Some(verdict::unknown_import(unknown.module(), unknown.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No guest is known that reaches it: `tests/limits.rs` tries.
    #[test]
    fn the_end_of_the_native_stack_is_no_verdict() {
        let error = Error::from(Trap::StackOverflow);
        assert_eq!(of_error(error, || true, Status::OutOfFuel), Err(Fault::NativeStack));
    }

    #[test]
    fn what_is_not_known_is_no_verdict() {
        for error in [
            Error::msg("mmap failed"),
            Error::from(Trap::Interrupt),
            Error::from(Trap::AllocationTooLarge),
        ] {
            let ended = of_error(error, || false, Status::OutOfFuel);
            assert!(matches!(ended, Err(Fault::Engine(_))), "{ended:?}");
        }
        let error = Error::msg("unknown handle index 7").context("in a call");
        assert_eq!(
            of_error(error, || false, Status::OutOfFuel),
            Ok(trapped(reason::COMPONENT_MISUSE))
        );
    }
}

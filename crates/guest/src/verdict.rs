//! The words in which a verdict is given, and the status that follows when a host function ends an
//! execution.

use outlayer_protocol::{Status, response::MAX_REASON_BYTES};

use crate::{fault::Fault, stop::Stop};

/// The fixed vocabulary of a trap's reasons. Every engine of this version says the same.
pub mod reason {
    /// The guest reached an `unreachable` of its own.
    pub const UNREACHABLE: &str = "unreachable";
    /// The guest reached outside of its memory, by its own access or by a pointer that it gave to
    /// the host.
    pub const MEMORY_OUT_OF_BOUNDS: &str = "memory out of bounds";
    /// The guest reached outside of a table.
    pub const TABLE_OUT_OF_BOUNDS: &str = "table out of bounds";
    /// An indirect call found no function at its index.
    pub const INDIRECT_CALL_TO_NULL: &str = "indirect call to null";
    /// An indirect call found a function of another type.
    pub const BAD_SIGNATURE: &str = "indirect call type mismatch";
    /// A division whose result is not representable.
    pub const INTEGER_OVERFLOW: &str = "integer overflow";
    /// A division by zero.
    pub const DIVISION_BY_ZERO: &str = "integer division by zero";
    /// A float that is no integer of the type it is converted to.
    pub const INVALID_CONVERSION: &str = "invalid conversion to integer";
    /// A component was called while it was still running.
    pub const CANNOT_ENTER_COMPONENT: &str = "a component was entered again before it had returned";
    /// A component made a call at a moment at which the component model forbids it.
    pub const CANNOT_LEAVE_COMPONENT: &str = "a component called out where it may not";
    /// A component handed over what is no value of the type that it declared.
    pub const COMPONENT_MISUSE: &str = "a value that the component model does not allow";
    /// A component holds more handles than there is room for.
    pub const TOO_MANY_RESOURCES: &str = "too many resources at once";
    /// A component hands over, in one call, what needs more than twice its memory's limit in the
    /// host.
    pub const TOO_MUCH_AT_ONCE: &str = "more is handed to the host at once than it takes";
    /// A storage key without bytes.
    pub const EMPTY_KEY: &str = "empty storage key";
    /// A storage key that only the owner of the namespace may use, such as that of a secret.
    pub const RESERVED_KEY: &str = "the storage key is reserved";
    /// A plan has no promise with this number.
    pub const NO_SUCH_PROMISE: &str = "there is no such promise in the plan";
    /// A promise for a receiver whose name is no account id.
    pub const NO_ACCOUNT_ID: &str = "the receiver of a promise is no account id";
    /// A planned call of a method whose name NEAR does not take.
    pub const METHOD_NAME: &str = "the name of a method is empty, no text or over 256 bytes";
    /// A planned call with neither gas nor a weight.
    pub const NO_GAS: &str = "a function call needs gas or a weight";
    /// More promises than a plan holds.
    pub const TOO_MANY_PROMISES: &str = "a plan holds at most 100 promises";
    /// A promise that waits for more others than NEAR takes.
    pub const TOO_MANY_DEPENDENCIES: &str = "a promise waits for at most 100 others";
    /// More actions than NEAR takes in one receipt.
    pub const TOO_MANY_ACTIONS: &str = "a promise holds at most 100 actions";
    /// The deposits, the gas or the weights of a plan do not fit.
    pub const PLAN_OVERFLOW: &str = "the sum of deposits, gas or weights of the plan is too large";
    /// An amount that is no decimal number of at most 128 bits.
    pub const NO_AMOUNT: &str = "an amount is no decimal number of yoctoNEAR";
    /// Arguments or variables that 32-bit lengths cannot describe.
    pub const ARGUMENTS_TOO_LARGE: &str = "arguments too large";
    /// `wasi:io/poll` was called with nothing to wait for.
    pub const EMPTY_POLL: &str = "poll of an empty list";
    /// An output stream was given more at once than its `check-write` permits.
    pub const WRITE_TOO_LARGE: &str = "a write of more than the stream permits";
    /// More random bytes were asked for than an address space holds.
    pub const TOO_MANY_RANDOM_BYTES: &str = "more random bytes than can be addressed";
    /// A component waits for something that never comes.
    pub const ENDLESS_WAIT: &str = "a wait that nothing ends";
    /// A guest hands over what is no HTTP request.
    pub const NO_REQUEST: &str = "what is to be sent is no HTTP request";
    /// A component would answer HTTP requests.
    pub const NO_SERVER: &str = "a guest answers no HTTP requests";
    /// A component makes the host keep more headers and bodies of HTTP than it does.
    pub const TOO_MUCH_HTTP: &str = "too many bytes of HTTP headers and bodies at once";
}

/// The status of an execution that `stop` ended. `out_of_compute` is the status under its meter
/// when nothing is left.
///
/// # Errors
/// The [`Fault`] that the stop carries.
pub fn of_stop(stop: &Stop, out_of_compute: Status) -> Result<Status, Fault> {
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

/// The verdict on a guest that imports a function that the host does not have.
pub fn unknown_import(module: &str, name: &str) -> Status {
    invalid_module(format!("import {module}.{name}: the host has no such function"))
}

/// The verdict on a core module without the function that is run.
pub fn no_start() -> Status {
    invalid_module(
        "there is no export _start: a guest exports a function _start, without parameters and \
         results, and its memory as memory",
    )
}

/// The verdict on a core module whose memory the host cannot find.
pub fn no_memory() -> Status {
    invalid_module("there is no export memory: a guest exports its memory under this name")
}

/// The verdict on a component without the interface of commands.
pub fn no_run() -> Status {
    invalid_module(
        "there is no export wasi:cli/run@0.2: a guest exports this interface, with its function \
         run: func() -> result",
    )
}

/// `InvalidModule` with a reason of at most [`MAX_REASON_BYTES`], cut between characters.
pub fn invalid_module(reason: impl Into<String>) -> Status {
    Status::InvalidModule { reason: clip(reason.into()) }
}

/// `Trapped` with a reason of at most [`MAX_REASON_BYTES`], cut between characters.
pub fn trapped(reason: impl Into<String>) -> Status {
    Status::Trapped { reason: clip(reason.into()) }
}

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

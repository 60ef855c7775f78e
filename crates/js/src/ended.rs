//! How an execution ended: from what the JavaScript engine says to a status.

use outlayer_guest::{
    Stop,
    prepare::meter::Why,
    verdict::{self, reason as reasons, trapped},
};
use outlayer_protocol::Status;

/// How the guest's code was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It returned.
    Returned,
    /// A host function ended it.
    Stopped,
    /// It trapped. The engine's text says why.
    Trapped,
    /// It ended in another way, which says nothing about the guest. So does the engine when its own
    /// stack or memory is at its end.
    Otherwise,
}

/// What the module has counted and told when it has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    /// What is left of the fuel.
    pub(crate) fuel: i64,
    /// What is left of the stack, or -1.
    pub(crate) stack: i64,
    /// A [`Why`], or 0.
    pub(crate) why: i64,
}

/// V8's texts for traps. Two of them stand for two reasons each; the module tells the other one of
/// each by itself, as [`Why`].
const TEXTS: [(&str, &str); 10] = [
    ("unreachable", reasons::UNREACHABLE),
    ("memory access out of bounds", reasons::MEMORY_OUT_OF_BOUNDS),
    ("table index is out of bounds", reasons::TABLE_OUT_OF_BOUNDS),
    ("table access out of bounds", reasons::TABLE_OUT_OF_BOUNDS),
    ("element segment out of bounds", reasons::TABLE_OUT_OF_BOUNDS),
    ("divide by zero", reasons::DIVISION_BY_ZERO),
    ("remainder by zero", reasons::DIVISION_BY_ZERO),
    ("divide result unrepresentable", reasons::INTEGER_OVERFLOW),
    ("float unrepresentable in integer range", reasons::INTEGER_OVERFLOW),
    ("null function or function signature mismatch", reasons::BAD_SIGNATURE),
];

/// The reason that a text stands for.
fn reason(text: &str) -> Option<&'static str> {
    if let Some((_, reason)) = TEXTS.iter().find(|(known, _)| *known == text) {
        return Some(reason);
    }
    // Where a module is instantiated. Newer versions say more of the segment.
    let is_outside = text.contains("out of bounds");
    match text.split_whitespace().next() {
        Some("data") if is_outside => Some(reasons::MEMORY_OUT_OF_BOUNDS),
        Some("table") if is_outside => Some(reasons::TABLE_OUT_OF_BOUNDS),
        _ => None,
    }
}

/// The status of an execution, or why there is none.
pub(crate) fn status(
    how: How,
    text: &str,
    stop: Option<&Stop>,
    counters: Counters,
) -> Result<Status, String> {
    match (how, stop) {
        (How::Returned, None) => Ok(Status::Completed),
        (How::Stopped, Some(stop)) => {
            verdict::of_stop(stop, Status::OutOfFuel).map_err(|fault| fault.to_string())
        }
        (How::Trapped, None) => trap(text, counters),
        _ => Err(format!("the engine says nothing of the guest: {text}")),
    }
}

fn trap(text: &str, counters: Counters) -> Result<Status, String> {
    match (reason(text), Why::of(counters.why)) {
        (Some(reasons::UNREACHABLE), Some(why)) => match why {
            Why::InvalidConversion => Ok(trapped(reasons::INVALID_CONVERSION)),
            Why::CallToNull => Ok(trapped(reasons::INDIRECT_CALL_TO_NULL)),
            Why::EngineRefused => Err("the engine has no room to grow".to_owned()),
        },
        (Some(reasons::UNREACHABLE), None) if counters.stack == -1 => Ok(Status::StackOverflow),
        (Some(reason), None) => Ok(trapped(reason)),
        _ => Err(format!("the engine names a trap in unknown words: {text}")),
    }
}

/// The status after a look at the fuel, and what was used of `supply`.
pub(crate) fn used(status: Status, supply: i64, left: i64) -> (Status, u64) {
    if left < 0 {
        return (Status::OutOfFuel, supply.unsigned_abs());
    }
    (status, supply.abs_diff(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Counters = Counters { fuel: 5, stack: 9, why: 0 };

    fn of(how: How, text: &str, stop: Option<&Stop>, counters: Counters) -> Option<Status> {
        status(how, text, stop, counters).ok()
    }

    #[test]
    fn a_segment_that_does_not_fit_is_known_by_its_beginning() {
        for (text, expected) in [
            ("data segment is out of bounds", reasons::MEMORY_OUT_OF_BOUNDS),
            ("data segment 3 is out of bounds (offset 9)", reasons::MEMORY_OUT_OF_BOUNDS),
            ("table initializer 0: table index is out of bounds", reasons::TABLE_OUT_OF_BOUNDS),
        ] {
            assert_eq!(of(How::Trapped, text, None, FULL), Some(trapped(expected)), "{text}");
        }
    }

    #[test]
    fn what_says_nothing_of_the_guest_is_no_verdict() {
        let told = |why: Why| Counters { why: why as i64, ..FULL };
        let fault = Stop::Fault(outlayer_guest::Fault::NativeStack);
        for (how, text, stop, counters) in [
            (How::Otherwise, "RangeError: Maximum call stack size exceeded", None, FULL),
            (How::Trapped, "a trap of tomorrow", None, FULL),
            (How::Trapped, "unreachable", None, told(Why::EngineRefused)),
            // The module tells of a reason, and the engine of another.
            (How::Trapped, "divide by zero", None, told(Why::CallToNull)),
            (How::Stopped, "", None, FULL),
            (How::Stopped, "", Some(&fault), FULL),
            (How::Returned, "", Some(&Stop::OutOfCompute), FULL),
            (How::Trapped, "unreachable", Some(&Stop::Exit(0)), FULL),
        ] {
            assert_eq!(of(how, text, stop, counters), None, "{how:?} {text} {stop:?}");
        }
    }

    #[test]
    fn exhaustion_comes_before_every_other_status() {
        assert_eq!(used(trapped("unreachable"), 100, -7), (Status::OutOfFuel, 100));
        assert_eq!(used(Status::Completed, 100, 0), (Status::Completed, 100));
        assert_eq!(used(Status::Completed, i64::MAX, 1), (Status::Completed, i64::MAX as u64 - 1));
    }
}

//! Metering: what a guest's module counts by itself, on any engine.
//!
//! [`instrument`] writes two counters into a core module.
//!
//! # Fuel
//!
//! A global holds the fuel that is left. The host sets it before anything runs, and host functions
//! take from it what they cost ([`fuel`](crate::fuel)). A function reads it into a local, and
//! subtracts from that what its operators cost; `flow` finds the places where this takes the fewest
//! subtractions. It writes the local down where somebody else may read it: before calls, where it
//! returns, at the head of each loop, before an `unreachable`.
//!
//! The counter is signed and may fall below zero. A function looks at it where code can be entered
//! again without end (on entry, at the head of a loop) and after calls that cost much together.
//! Below zero it runs into an `unreachable`, and work that depends on an operand is left out. So an
//! execution may go on beyond its fuel for less than one function's body, and for little in each
//! function that waits for a call. Nobody sees that: its status is `OutOfFuel`, and it has used its
//! limit.
//!
//! A trap inside of a function (a division by zero, an access out of bounds) leaves the counter as
//! it was last written down. So the straight stretch before it, without loop or call, is not paid
//! for. All other ends are billed exactly.
//!
//! There is no call in a function that the guest did not write, but for the growth of a memory: a
//! compiler keeps fewer values in registers around a call, even one that hardly ever happens.
//!
//! # Stack
//!
//! A function needs a fixed part, its locals, the most operands that it has at a time (which
//! finite-wasm computes), and a part of the values that it makes (`values`). A global holds what is
//! left of [`STACK_BYTES`]; each function takes its need from it on entry and gives it back on
//! return. Where not enough is left, the global becomes -1 and the guest runs into an
//! `unreachable`, which the engine tells from the guest's own by that value. The native stack is
//! far larger than the bound ([`NATIVE_STACK_BYTES`]), so that the bound is met first.
//!
//! # NaNs
//!
//! A module that counts its fuel also makes its NaNs canonical ([`nans`](super::nans)), so that it
//! computes the same on any engine. That costs no fuel.
//!
//! # The module
//!
//! Nothing in the module is renumbered: types, functions, globals and exports are appended. A start
//! function becomes an export, which the engine calls after instantiation. Custom sections are left
//! out.
//!
//! # Inside of a component
//!
//! All modules of a component share both counters. A module of the host's has them, which the
//! component instantiates before all others, and the others import them. So these globals come
//! between those that a module imports and those that it defines, and the latter are renumbered.
//! Start functions stay where they are: they run while the component is instantiated.
//!
//! # Inside of a composition
//!
//! A composition is a component that contains others with functions of their own. These share
//! nothing, and what they pass to each other is copied by code that the engine makes. There the
//! engine counts the fuel, operators of stack metering included, and makes NaNs canonical. The
//! module gets a table of its own, which it grows when its stack does not suffice. The host knows
//! the table by its maximum, which no table of a guest may have. As these modules share no counter,
//! they share the bytes: every instance of a module has an equal part of
//! [`STACK_BYTES`]. However they call each other, they need no more than that in all.

mod body;
mod costs;
mod flow;
mod growth;
mod layout;
mod profile;
mod reserved;
mod size;
mod told;
mod values;
mod writer;

use outlayer_protocol::Status;

pub use profile::{Profiled, profiled};
pub use reserved::{
    ALARM_TABLE, FUEL_EXPORT, FUEL_LEFT_EXPORT, METER_MODULE, STACK_EXPORT, START_EXPORT,
    SUPPLY_LENGTH_BITS, SUPPLY_TABLE, WHY_EXPORT, paid_export,
};
pub use told::{Growth, Why};

use self::{
    layout::Layout,
    writer::{Place, Writer},
};
use crate::verdict::invalid_module;

/// What all frames of all modules of a guest may need together: 64 bytes for each frame, the sizes
/// of its locals and operands, and a 32nd of the values that its function makes. NEAR allows a
/// contract 256 KiB.
pub const STACK_BYTES: u32 = 8 << 20;

/// What each instance of a module may need, inside of a composition that makes this many of them.
pub(super) fn share(module_instances: u64) -> u32 {
    let shares = u32::try_from(module_instances.max(1)).unwrap_or(u32::MAX);
    STACK_BYTES / shares
}

/// The native stack on which a guest runs: 32 times [`STACK_BYTES`]. Compiled frames of programs
/// are about as large as their locals and operands, up to four times that. A function that is made
/// to keep all the values that it makes has a frame of up to 32 times what is counted. A native
/// stack that does not suffice all the same is a fault without a verdict.
pub const NATIVE_STACK_BYTES: usize = 256 << 20;

const _: () = assert!(NATIVE_STACK_BYTES as u64 == STACK_BYTES as u64 * size::MADE_BYTES_A_BYTE);

/// What each function that the module defines needs of [`STACK_BYTES`], in their order, bytes. The
/// module has been validated.
///
/// # Errors
/// `InvalidModule` for bytes that do not parse.
pub fn stack_needs(code: &[u8]) -> Result<Vec<u32>, Status> {
    size::needs(code)
}

/// Adds metering of fuel and stack to a module that has been validated.
///
/// # Errors
/// `InvalidModule` when the module exports one of the names that metering needs.
pub fn instrument(code: &[u8]) -> Result<Vec<u8>, Status> {
    instrument_for(code, Place::Alone, STACK_BYTES)
}

/// Adds metering of fuel and stack to a module that has been validated, for an engine that tells
/// less of a trap than a verdict does, and lets no host forbid growth. The module counts the same
/// fuel, and tells by itself why it has ended ([`Why`]).
///
/// # Errors
/// As [`instrument`].
pub fn instrument_telling(code: &[u8], growth: Growth) -> Result<Vec<u8>, Status> {
    instrument_for(code, Place::Elsewhere(growth), STACK_BYTES)
}

/// Adds metering of fuel and stack to a module inside of a component that contains no other, and
/// that has been validated. The module imports both counters from [`METER_MODULE`].
///
/// # Errors
/// `InvalidModule` when the module has names or a table that metering needs.
pub fn instrument_in_component(code: &[u8]) -> Result<Vec<u8>, Status> {
    instrument_for(code, Place::InComponent, STACK_BYTES)
}

/// Adds stack metering to a module inside of a composition that has been validated. Each of its
/// instances has `stack_bytes`.
///
/// # Errors
/// `InvalidModule` when the module has names or a table that metering needs.
pub fn instrument_in_composition(code: &[u8], stack_bytes: u32) -> Result<Vec<u8>, Status> {
    instrument_for(code, Place::InComposition, stack_bytes)
}

fn instrument_for(code: &[u8], place: Place, stack_bytes: u32) -> Result<Vec<u8>, Status> {
    let needs = size::needs(code)?;
    let layout = Layout::read(code)?;
    Writer::new(code, place, stack_bytes, layout, needs)
        .run()
        .map_err(|error| invalid_module(error.message()))
}

#[cfg(test)]
mod tests {
    use wasmparser::{Operator::If, Parser, Payload};

    use super::*;
    use crate::prepare::FEATURES;

    fn check(text: &str) -> Vec<u8> {
        let code = wat::parse_str(text).unwrap();
        let instrumented = instrument(&code).unwrap();
        let growth = Growth { memory_bytes: 1 << 20, table_elements: 10 };
        let telling = instrument_telling(&code, growth).unwrap();
        let component = instrument_in_component(&code).unwrap();
        let composition = instrument_in_composition(&code, STACK_BYTES).unwrap();
        for instrumented in [&instrumented, &telling, &component, &composition] {
            wasmparser::Validator::new_with_features(FEATURES)
                .validate_all(instrumented)
                .unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        instrumented
    }

    #[test]
    fn whatever_sections_a_module_has_the_result_is_valid() {
        let sections = [
            r#"(import "m" "g" (global $imported i32))
                (import "m" "f" (func $f (param i32) (result i32 i64)))"#,
            "(type $pair (func (result i32 i64)))",
            "(table 1 funcref)",
            "(memory 1)",
            "(global $own (mut i64) (i64.const 1))",
            r#"(export "p" (func $p))"#,
            "(start $s)",
            "(elem (table 0) (i32.const 0) func $p)",
            r#"(data (memory 0) (i32.const 0) "x")"#,
        ];
        let functions =
            "(func $p (result i32 i64) (call $s) (return (i32.const 1) (i64.const 2))) (func $s)";
        for left_out in 0..1usize << sections.len() {
            let has = |index: usize| left_out >> index & 1 == 0;
            if (has(7) && !has(2)) || (has(8) && !has(3)) {
                continue;
            }
            let chosen: String = sections
                .iter()
                .enumerate()
                .filter(|(index, _)| has(*index))
                .map(|(_, text)| *text)
                .collect();
            check(&format!("(module {chosen} {functions})"));
        }
        for text in [
            "(module)",
            "(module (memory 1))",
            r#"(module (func) (data "x") (func (data.drop 0)))"#,
        ] {
            check(text);
        }
    }

    /// A compiler takes more than twice as long for a function with twice the branches.
    #[test]
    fn work_that_depends_on_an_operand_adds_no_branch() {
        let branches = |count: usize| {
            let fill = "(memory.fill (i32.const 0) (i32.const 0) (local.get 0))";
            let grow = "(drop (memory.grow (local.get 0)))";
            let body = [fill, grow].concat().repeat(count);
            let code = check(&format!("(module (memory 1) (func (param i32) {body}))"));
            let mut found = 0;
            for payload in Parser::new(0).parse_all(&code) {
                if let Payload::CodeSectionEntry(body) = payload.unwrap() {
                    let operators = body.get_operators_reader().unwrap().into_iter();
                    let operators = operators.map(Result::unwrap);
                    found += operators.filter(|operator| matches!(operator, If { .. })).count();
                }
            }
            found
        };
        assert_eq!(branches(100), branches(1));
        assert!(branches(1) > 0);
    }

    #[test]
    fn the_start_function_becomes_an_export() {
        let instrumented = check("(module (func $s) (start $s))");
        let mut exports = Vec::new();
        for payload in Parser::new(0).parse_all(&instrumented) {
            match payload.unwrap() {
                Payload::ExportSection(reader) => {
                    exports.extend(reader.into_iter().map(|export| export.unwrap().name))
                }
                Payload::StartSection { .. } => panic!("a start section is left"),
                _ => {}
            }
        }
        assert_eq!(exports, [STACK_EXPORT, FUEL_EXPORT, START_EXPORT]);
    }

    #[test]
    fn reserved_names_are_rejected() {
        let module = wat::parse_str(r#"(module (func (export "outlayer:start")))"#).unwrap();
        assert_eq!(
            instrument(&module),
            Err(invalid_module("the export \"outlayer:start\" is reserved"))
        );
    }
}

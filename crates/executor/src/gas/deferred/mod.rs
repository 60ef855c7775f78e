//! Makes NEAR's instrumentation cheaper, without changing an amount.
//!
//! NEAR's preparation puts a charge before each operator that may trap or branch: a comparison of
//! what is left with the charge, a call of the host where it does not suffice, and a subtraction.
//! The amounts and their places stay. What changes is where the module keeps what is left, and when
//! it looks whether that sufficed.
//!
//! * A function keeps what is left in a local. It reads the counter on entry and after calls, and
//!   writes it before operators that can trap, calls, and its end ([`unwritten`]), where the
//!   counter is exact.
//! * The counter is signed and may fall below zero. A charge is a subtraction, without a
//!   comparison and a branch. The module looks at the local where code can be entered again
//!   without end (at the head of a loop, on entering a function), after a call, and before an
//!   operator whose work depends on an operand (bulk operators, growth). It does not look on
//!   entering a function that charges little and calls no other, nor after a call behind which
//!   little can be charged. Host functions look at it first thing, and
//!   [`Counting`](crate::meter::Counting) looks at it at the end.
//! * So an execution goes on beyond its gas for less than one function's body, and for little in
//!   each function that waits for a call, without a call of the host and without growing. None of
//!   this can be seen from outside: its status is `OutOfGas`, and it has used its limit.
//! * Where the gas ends there is an `unreachable` and no call: a compiler keeps fewer values in
//!   registers around a call, even one that hardly ever happens.
//! * Entering a function is one comparison for stack and gas together. Leaving gives back what
//!   entering took, which needs no check. A function that calls no other only compares, because
//!   nobody looks at the stack before it has returned.
//! * Charges that follow each other directly are one.
//!
//! NaNs are made canonical here too ([`nans`]), which costs no gas.

mod parts;
mod unwritten;
mod writer;

use outlayer_guest::{
    Fault,
    prepare::{
        encode::{self, ColdBranches},
        function::Body,
        nans, op,
    },
};
use wasmparser::{
    BinaryReaderError, CompositeInnerType, ExternalKind, FunctionBody, Parser, Payload, TypeRef,
};

use super::GAS_EXPORT;
use parts::{Part, is_call, most, short_rest};
use writer::{Plan, Writer};

/// The functions that NEAR's preparation imports before all others.
const GAS_OVERFLOWN: u32 = 0;
const STACK_EXHAUSTED: u32 = 1;
const GAS_EXHAUSTED: u32 = 2;

/// A function whose charges come to at most this much, and that calls no other, does not look
/// whether anything is left. About 160 operators.
const UNCHECKED_GAS: i64 = 1 << 27;
/// What a function may charge after a call without looking whether anything is left. Where the gas
/// ends in the deepest of many calls, each of them may go on for so long.
const UNCHECKED_REST: i64 = 1 << 30;

const CUSTOM_SECTION: u8 = 0;
const CODE_SECTION: u8 = 10;

/// No fee for a byte or element is this high, so that one operator's charge fits into 63 bits.
const MOST_FOR_UNIT: i64 = 1 << 30;
/// Nor is a constant charge.
const MOST_FOR_CONSTANT: i64 = 1 << 61;

/// Why a module cannot be rewritten. NEAR's preparation made it, so its bytes are not to blame.
#[derive(Debug, thiserror::Error)]
enum Unexpected {
    #[error("a module that NEAR's preparation made does not parse")]
    Malformed(#[from] BinaryReaderError),
    #[error("NEAR's preparation exports no gas counter")]
    NoCounter,
    #[error("function {0} of a prepared module has no type")]
    NoType(usize),
    #[error("NEAR's preparation uses its counters in an unknown way: {0}")]
    Unknown(String),
}

impl From<Unexpected> for Fault {
    fn from(unexpected: Unexpected) -> Self {
        Self::engine(unexpected)
    }
}

/// What a module counts. Without one of them its executions give other results; that is for
/// measuring what each costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Its gas.
    pub gas: bool,
    /// Its stack.
    pub stack: bool,
}

impl Counts {
    /// As executions need it.
    pub const ALL: Self = Self { gas: true, stack: true };
}

/// The module that `prepared` becomes, which NEAR's preparation has instrumented.
pub(super) fn module(prepared: &[u8], counts: Counts) -> Result<Vec<u8>, Fault> {
    Ok(rewritten(prepared, counts)?)
}

/// What the rewriting of a body needs to know of its module.
struct Layout {
    counts: Counts,
    nans: nans::Module,
    /// Number of parameters of each type.
    parameters: Vec<u32>,
    /// The types of the functions that the module defines.
    types: Vec<u32>,
    /// The global that holds the gas that is left.
    gas: u32,
    /// The global that holds the stack that is left.
    stack: u32,
}

fn rewritten(prepared: &[u8], counts: Counts) -> Result<Vec<u8>, Unexpected> {
    let mut layout = Layout {
        counts,
        nans: nans::Module::default(),
        parameters: Vec::new(),
        types: Vec::new(),
        gas: 0,
        stack: 0,
    };
    let mut out = prepared.get(..8).unwrap_or_default().to_vec();
    let mut code = Code::default();
    let (mut imported, mut has_counter) = (0, false);
    for payload in Parser::new(0).parse_all(prepared) {
        let payload = payload?;
        layout.nans.read(&payload)?;
        match &payload {
            Payload::CodeSectionEntry(_) if !has_counter => return Err(Unexpected::NoCounter),
            Payload::CodeSectionEntry(body) => {
                let (mut written, mut checks) = (Vec::new(), Vec::new());
                layout.body(prepared, body, code.count, &mut written, &mut checks)?;
                code.push(&written, &checks, imported);
                continue;
            }
            Payload::TypeSection(reader) => {
                for group in reader.clone() {
                    for ty in group?.types() {
                        layout.parameters.push(match &ty.composite_type.inner {
                            CompositeInnerType::Func(ty) => {
                                u32::try_from(ty.params().len()).unwrap_or(u32::MAX)
                            }
                            _ => 0,
                        });
                    }
                }
            }
            Payload::FunctionSection(reader) => {
                layout.types = reader.clone().into_iter().collect::<Result<_, _>>()?;
            }
            Payload::ImportSection(reader) => {
                for import in reader.clone().into_imports() {
                    if !matches!(import?.ty, TypeRef::Func(_)) {
                        return Err(Unexpected::Unknown("an import that is no function".into()));
                    }
                    imported += 1;
                }
            }
            Payload::ExportSection(reader) => {
                let mut exports = reader.clone().into_iter();
                let counter = exports.find_map(|export| match export {
                    Ok(export) if export.name == GAS_EXPORT => Some(export),
                    _ => None,
                });
                // A module without functions has no counter, and needs none.
                if let Some(export) = counter {
                    if export.kind != ExternalKind::Global {
                        return Err(Unexpected::NoCounter);
                    }
                    layout.gas = export.index;
                    layout.stack = export.index.saturating_add(1);
                    has_counter = true;
                }
            }
            _ => {}
        }
        let Some((id, range)) = payload.as_section() else { continue };
        // A custom section would speak of code that is not there any more.
        if [CUSTOM_SECTION, CODE_SECTION].contains(&id) {
            continue;
        }
        // What follows the code comes when all bodies are known.
        std::mem::take(&mut code).write(&mut out);
        encode::section(&mut out, id, prepared.get(range).unwrap_or_default());
    }
    code.write(&mut out);
    Ok(out)
}

/// The bodies that have been written, and where their checks are.
#[derive(Default)]
struct Code {
    count: usize,
    bodies: Vec<u8>,
    checks: ColdBranches,
}

impl Code {
    /// Adds the body of the next function, with its checks at these offsets. `imported` functions
    /// come before those that the module defines.
    fn push(&mut self, body: &[u8], checks: &[usize], imported: usize) {
        encode::unsigned(&mut self.bodies, body.len());
        self.bodies.extend_from_slice(body);
        self.checks.push(imported + self.count, checks);
        self.count += 1;
    }

    fn write(self, out: &mut Vec<u8>) {
        if self.count == 0 {
            return;
        }
        self.checks.write(out);
        let mut section = Vec::with_capacity(self.bodies.len() + 5);
        encode::unsigned(&mut section, self.count);
        section.extend(self.bodies);
        encode::section(out, CODE_SECTION, &section);
    }
}

impl Layout {
    fn body(
        &self,
        code: &[u8],
        body: &FunctionBody<'_>,
        index: usize,
        out: &mut Vec<u8>,
        checks: &mut Vec<usize>,
    ) -> Result<(), Unexpected> {
        let ty = self.types.get(index).ok_or(Unexpected::NoType(index))?;
        let parameters = *self.parameters.get(*ty as usize).ok_or(Unexpected::NoType(index))?;
        let body = Body::read(body)?;
        let (operators, locals) = (&body.operators, body.locals(parameters));
        // The preparation adds two locals at the end, for its own use.
        let scratch = locals.saturating_sub(2);
        let declared = code.get(body.declared.clone()).unwrap_or_default();
        let nans = self.nans.places(&body, index, locals.saturating_add(1));
        let own = [&[1, op::I64], &nans.locals()[..]].concat();
        out.extend(encode::extended(declared, own.len() / 2, &own));
        let parts = self.parts(operators, &body.ranges, scratch)?;
        let short_rest = short_rest(&parts);
        let is_leaf = !operators.iter().any(is_call);
        let looks = !is_leaf || most(&parts) > UNCHECKED_GAS;
        let plan = Plan { scratch, left: locals, is_leaf, looks };
        let mut writer = Writer::new(self, plan, nans, out, checks);
        for (at, part) in parts.into_iter().enumerate() {
            let looks_again = at < short_rest && matches!(part, Part::Call(..));
            writer.part(part, operators, code);
            if looks_again {
                writer.check();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use outlayer_guest::prepare::FEATURES;
    use wasmparser::{Operator, Validator};

    use super::*;

    /// A module as NEAR's preparation makes them, with one function.
    fn prepared(body: &str) -> Vec<u8> {
        wat::parse_str(format!(
            r#"(module
                (import "internal" "finite_wasm_gas_exhausted" (func $overflown))
                (import "internal" "finite_wasm_stack_exhausted" (func $stack))
                (import "internal" "finite_wasm_gas" (func $gas (param i64)))
                (memory (export "memory") 1)
                (global $g (mut i64) (i64.const 0)) (global $s (mut i64) (i64.const 100))
                (export "remaining_gas" (global $g))
                (func (local i64 i32) {body}))"#
        ))
        .unwrap()
    }

    fn charge(amount: u32) -> String {
        format!(
            "global.get $g i64.const {amount} i64.lt_u
            if i64.const {amount} call $gas unreachable
            else global.get $g i64.const {amount} i64.sub global.set $g end "
        )
    }

    fn operators(module: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            if let Payload::CodeSectionEntry(body) = payload.unwrap() {
                let reader = body.get_operators_reader().unwrap();
                found.extend(reader.into_iter().map(|operator| format!("{:?}", operator.unwrap())));
            }
        }
        found
    }

    #[test]
    fn charges_in_a_row_are_one_subtraction() {
        let module = module(&prepared(&[charge(3), charge(4)].concat()), Counts::ALL).unwrap();
        Validator::new_with_features(FEATURES).validate_all(&module).unwrap();
        let expected = wat::parse_str(
            "(module (global $g (mut i64) (i64.const 0))
                (func (local $own i64) (local $scratch i32) (local $left i64)
                    (local.set $left (global.get $g))
                    (local.set $left (i64.sub (local.get $left) (i64.const 7)))
                    (global.set $g (local.get $left))))",
        )
        .unwrap();
        assert_eq!(operators(&module), operators(&expected));
    }

    #[test]
    fn a_loop_looks_at_the_counter_and_the_compiler_is_told_that_it_suffices() {
        let body = format!("loop $l {} br $l end", charge(5));
        let module = module(&prepared(&body), Counts::ALL).unwrap();
        Validator::new_with_features(FEATURES).validate_all(&module).unwrap();
        let hints = Parser::new(0).parse_all(&module).find_map(|payload| match payload.unwrap() {
            Payload::CustomSection(section) => match section.as_known() {
                wasmparser::KnownCustom::BranchHints(reader) => Some(reader),
                _ => None,
            },
            _ => None,
        });
        let hints: Vec<_> = hints.unwrap().into_iter().map(Result::unwrap).collect();
        let [function] = &hints[..] else { panic!("{} functions", hints.len()) };
        let hints: Vec<_> = function.hints.clone().into_iter().map(Result::unwrap).collect();
        assert_eq!((function.func, hints.len(), hints[0].taken), (3, 1, false));
        let ifs = Parser::new(0).parse_all(&module).find_map(|payload| {
            let Payload::CodeSectionEntry(body) = payload.unwrap() else { return None };
            let mut reader = body.get_operators_reader().unwrap();
            std::iter::from_fn(|| reader.read_with_offset().ok())
                .find(|(operator, _)| matches!(operator, Operator::If { .. }))
                .map(|(_, offset)| offset - body.range().start)
        });
        assert_eq!(ifs, Some(hints[0].func_offset as usize));
    }

    /// Were a counter used in a way that this does not know, amounts would change without a word.
    #[test]
    fn another_form_of_instrumentation_is_no_verdict() {
        for body in [
            "global.get $g drop",
            "i64.const 1 global.set $s",
            "i64.const 1 call $gas",
            "call $stack",
            "global.get $g i64.const -1 i64.lt_u
            if i64.const -1 call $gas unreachable
            else global.get $g i64.const -1 i64.sub global.set $g end",
            // The two amounts differ.
            "global.get $g i64.const 3 i64.lt_u
            if i64.const 3 call $gas unreachable
            else global.get $g i64.const 4 i64.sub global.set $g end",
        ] {
            let rewritten = rewritten(&prepared(body), Counts::ALL);
            assert!(matches!(rewritten, Err(Unexpected::Unknown(_))), "{body}: {rewritten:?}");
        }
        for body in ["call $stack unreachable", "call $overflown unreachable"] {
            rewritten(&prepared(body), Counts::ALL).unwrap();
        }
        let module = |text| rewritten(&wat::parse_str(text).unwrap(), Counts::ALL);
        assert!(matches!(module("(module (func))"), Err(Unexpected::NoCounter)));
        assert!(module("(module (memory 1) (export \"memory\" (memory 0)))").is_ok());
    }
}

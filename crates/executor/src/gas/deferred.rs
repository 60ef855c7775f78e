//! Makes NEAR's instrumentation cheaper, without changing an amount.
//!
//! NEAR's preparation puts a charge before each operator that may trap or branch: a comparison of
//! what is left with the charge, a call of the host where it does not suffice, and a subtraction.
//! The amounts and their places stay. What changes is where the module keeps what is left, and when
//! it looks whether that sufficed.
//!
//! * A function keeps what is left in a local. It writes each charge through to the counter, and
//!   reads the counter on entry and after calls only, so that a charge does not wait for the store
//!   of the charge before. The counter is exact at every operator that can trap.
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

use std::ops::Range;

use outlayer_guest::{
    Fault,
    prepare::{
        encode::{self, ColdBranches},
        function::Body,
        nans, op,
    },
};
use wasmparser::{
    BinaryReaderError, BlockType, CompositeInnerType, ExternalKind, FunctionBody, Operator, Parser,
    Payload, TypeRef,
};

use super::GAS_EXPORT;

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

/// A part of an instrumented body.
enum Part {
    /// `left -= amount`, in the gas.
    Charge(i64),
    /// The same in the stack.
    Enter(i64),
    /// `left += amount`, in the stack.
    Leave(i64),
    /// A charge before an operator whose last operand, which is on the stack, is `count`.
    Linear { unit: i64, constant: i64, count: u32 },
    /// An operator of the guest's own, or one that takes part in no count, by its number.
    Own(usize, Range<usize>),
    /// A call of a function of the guest's own, or of the host's.
    Call(Range<usize>),
    /// The head of a loop.
    Loop(Range<usize>),
}

impl Part {
    /// The most that this charges before somebody looks whether anything is left.
    fn most(&self) -> i64 {
        match self {
            Self::Charge(amount) => *amount,
            Self::Call(_) => UNCHECKED_GAS,
            _ => 0,
        }
    }
}

/// The most that a body charges before somebody looks.
fn most(parts: &[Part]) -> i64 {
    parts.iter().map(Part::most).fold(0, i64::saturating_add)
}

/// The number of the first part behind which a body charges at most [`UNCHECKED_REST`]. Code that
/// is reached once more is behind the head of a loop, which looks.
fn short_rest(parts: &[Part]) -> usize {
    let mut rest = 0i64;
    let short = parts.iter().rev().take_while(|part| {
        rest = rest.saturating_add(part.most());
        rest <= UNCHECKED_REST
    });
    parts.len().saturating_sub(short.count() + 1)
}

/// Whether an operator calls what may charge: anything but the host's functions for counting.
fn is_call(operator: &Operator<'_>) -> bool {
    match operator {
        Operator::Call { function_index } => *function_index > GAS_EXHAUSTED,
        Operator::CallIndirect { .. } => true,
        _ => false,
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
        let is_leaf = !operators.iter().any(is_call);
        let most = most(&parts);
        let short_rest = short_rest(&parts);
        let looks = !is_leaf || most > UNCHECKED_GAS;
        let mut writer = Writer {
            layout: self,
            scratch,
            left: locals,
            is_leaf,
            looks,
            nans,
            out,
            checks,
            owed: 0,
        };
        writer.read();
        for (at, part) in parts.into_iter().enumerate() {
            let looks_again = at < short_rest && matches!(part, Part::Call(_));
            writer.part(part, code);
            if looks_again {
                writer.check();
            }
        }
        Ok(())
    }

    /// The parts of a body, in their order.
    fn parts(
        &self,
        operators: &[Operator<'_>],
        ranges: &[Range<usize>],
        scratch: u32,
    ) -> Result<Vec<Part>, Unexpected> {
        let mut parts = Vec::with_capacity(operators.len());
        let mut at = 0;
        while let (Some(rest), Some(range)) = (operators.get(at..), ranges.get(at)) {
            if let Some((part, length)) = self.count(rest, scratch)? {
                parts.push(part);
                at += length;
                continue;
            }
            parts.push(match rest.first() {
                Some(Operator::Loop { .. }) => Part::Loop(range.clone()),
                Some(operator) if is_call(operator) => Part::Call(range.clone()),
                Some(operator) if self.is_counting(operator, rest.get(1)) => {
                    return Err(Unexpected::Unknown(format!("{operator:?}")));
                }
                _ => Part::Own(at, range.clone()),
            });
            at += 1;
        }
        Ok(parts)
    }

    /// Whether an operator takes part in counting. Code that could never be entered, because its
    /// frame alone is too large, calls the host and ends; that may stay.
    fn is_counting(&self, operator: &Operator<'_>, next: Option<&Operator<'_>>) -> bool {
        match operator {
            Operator::GlobalGet { global_index } | Operator::GlobalSet { global_index } => {
                [self.gas, self.stack].contains(global_index)
            }
            Operator::Call { function_index: GAS_OVERFLOWN | STACK_EXHAUSTED } => {
                next != Some(&Operator::Unreachable)
            }
            Operator::Call { function_index: GAS_EXHAUSTED } => true,
            _ => false,
        }
    }

    /// The part of the count with which `rest` begins, if it does, and how many operators it has.
    fn count(
        &self,
        rest: &[Operator<'_>],
        scratch: u32,
    ) -> Result<Option<(Part, usize)>, Unexpected> {
        let found = match rest {
            [Operator::GlobalGet { global_index }, Operator::I64Const { value: amount }, ..]
                if *global_index == self.gas =>
            {
                (Part::Charge(*amount), self.charge(*amount), *amount)
            }
            [
                Operator::GlobalGet { global_index },
                Operator::I64Const { value: 0 },
                Operator::I64Const { value: amount },
                ..,
            ] if *global_index == self.stack => {
                let enter = self.stack(*amount, Operator::I64Sub128);
                if rest.starts_with(&enter) {
                    (Part::Enter(*amount), enter, *amount)
                } else {
                    (Part::Leave(*amount), self.stack(*amount, Operator::I64Add128), *amount)
                }
            }
            [
                Operator::LocalTee { local_index: count },
                Operator::I64ExtendI32U,
                Operator::I64Const { value: unit },
                Operator::I64MulWideU,
                Operator::I64Eqz,
                _,
                _,
                Operator::Call { function_index: GAS_OVERFLOWN },
                ..,
            ] => {
                let Some(Operator::I64Const { value: constant }) = rest.get(11) else {
                    return Err(Unexpected::Unknown("a charge without a constant".into()));
                };
                if !(0..MOST_FOR_UNIT).contains(unit) {
                    return Err(Unexpected::Unknown(format!("{unit} units of gas for a byte")));
                }
                let (unit, constant, count) = (*unit, *constant, *count);
                let linear = self.linear(unit, constant, count, scratch);
                (Part::Linear { unit, constant, count }, linear, constant)
            }
            _ => return Ok(None),
        };
        let (part, expected, amount) = found;
        if !(0..MOST_FOR_CONSTANT).contains(&amount) {
            return Err(Unexpected::Unknown(format!("a charge of {amount}")));
        }
        // Anything else is looked at as an operator of its own, which may then not count.
        Ok(rest.starts_with(&expected).then_some((part, expected.len())))
    }

    fn charge(&self, amount: i64) -> Vec<Operator<'static>> {
        use Operator as Op;
        vec![
            Op::GlobalGet { global_index: self.gas },
            Op::I64Const { value: amount },
            Op::I64LtU,
            Op::If { blockty: BlockType::Empty },
            Op::I64Const { value: amount },
            Op::Call { function_index: GAS_EXHAUSTED },
            Op::Unreachable,
            Op::Else,
            Op::GlobalGet { global_index: self.gas },
            Op::I64Const { value: amount },
            Op::I64Sub,
            Op::GlobalSet { global_index: self.gas },
            Op::End,
        ]
    }

    fn stack(&self, amount: i64, operator: Operator<'static>) -> Vec<Operator<'static>> {
        use Operator as Op;
        let mut operators = vec![
            Op::GlobalGet { global_index: self.stack },
            Op::I64Const { value: 0 },
            Op::I64Const { value: amount },
            Op::I64Const { value: 0 },
            operator,
        ];
        operators.extend(unless_zero(STACK_EXHAUSTED));
        operators.push(Op::GlobalSet { global_index: self.stack });
        operators
    }

    fn linear(&self, unit: i64, constant: i64, count: u32, sum: u32) -> Vec<Operator<'static>> {
        use Operator as Op;
        let mut operators = vec![
            Op::LocalTee { local_index: count },
            Op::I64ExtendI32U,
            Op::I64Const { value: unit },
            Op::I64MulWideU,
        ];
        operators.extend(unless_zero(GAS_OVERFLOWN));
        operators.extend([
            Op::I64Const { value: 0 },
            Op::I64Const { value: constant },
            Op::I64Const { value: 0 },
            Op::I64Add128,
        ]);
        operators.extend(unless_zero(GAS_OVERFLOWN));
        operators.extend([
            Op::LocalTee { local_index: sum },
            Op::GlobalGet { global_index: self.gas },
            Op::I64GtU,
            Op::If { blockty: BlockType::Empty },
            Op::LocalGet { local_index: sum },
            Op::Call { function_index: GAS_EXHAUSTED },
            Op::Unreachable,
            Op::Else,
            Op::GlobalGet { global_index: self.gas },
            Op::LocalGet { local_index: sum },
            Op::I64Sub,
            Op::GlobalSet { global_index: self.gas },
            Op::End,
            Op::LocalGet { local_index: count },
        ]);
        operators
    }
}

/// Calls the host unless the upper half of a number is zero.
fn unless_zero(function_index: u32) -> [Operator<'static>; 6] {
    use Operator as Op;
    [
        Op::I64Eqz,
        Op::If { blockty: BlockType::Empty },
        Op::Else,
        Op::Call { function_index },
        Op::Unreachable,
        Op::End,
    ]
}

/// Writes one body.
struct Writer<'a> {
    layout: &'a Layout,
    /// A local of 64 bits whose value nobody needs between two parts.
    scratch: u32,
    /// The local that mirrors what is left of the gas.
    left: u32,
    /// Whether the function calls no other.
    is_leaf: bool,
    /// Whether the function looks on entry whether anything is left.
    looks: bool,
    /// Where numbers are made canonical.
    nans: nans::Places,
    out: &'a mut Vec<u8>,
    /// Where in the body the module looks at its counters.
    checks: &'a mut Vec<usize>,
    /// Charges that have not been written yet.
    owed: i64,
}

impl Writer<'_> {
    fn part(&mut self, part: Part, code: &[u8]) {
        let (stack, scratch) = (self.layout.stack, self.scratch);
        let counts = self.layout.counts;
        if let Part::Charge(amount) = part {
            self.owed = self.owed.saturating_add(amount);
            return;
        }
        self.pay();
        match part {
            Part::Charge(_) => {}
            Part::Own(at, range) => {
                self.out.extend_from_slice(code.get(range).unwrap_or_default());
                self.nans.write_after(at, self.out);
            }
            Part::Call(range) => {
                self.out.extend_from_slice(code.get(range).unwrap_or_default());
                self.read();
            }
            Part::Loop(range) => {
                self.out.extend_from_slice(code.get(range).unwrap_or_default());
                self.check();
            }
            Part::Enter(_) if !counts.stack => {
                if self.looks {
                    self.check();
                }
            }
            Part::Enter(amount) if self.is_leaf => {
                self.stack_less(amount);
                if self.looks {
                    self.index(op::LOCAL_GET, self.left);
                    self.out.push(op::I64_OR);
                    self.when_negative(|writer| {
                        writer.stack_less(amount);
                        writer.when_negative(|writer| writer.call(STACK_EXHAUSTED));
                        writer.out.push(op::UNREACHABLE);
                    });
                } else {
                    self.when_negative(|writer| writer.call(STACK_EXHAUSTED));
                }
            }
            Part::Enter(amount) => {
                self.stack_less(amount);
                self.index(op::LOCAL_TEE, scratch);
                self.index(op::LOCAL_GET, self.left);
                self.out.push(op::I64_OR);
                self.when_negative(|writer| {
                    writer.index(op::LOCAL_GET, scratch);
                    writer.when_negative(|writer| writer.call(STACK_EXHAUSTED));
                    writer.out.push(op::UNREACHABLE);
                });
                self.index(op::LOCAL_GET, scratch);
                self.index(op::GLOBAL_SET, stack);
            }
            Part::Leave(_) if self.is_leaf || !counts.stack => {}
            Part::Linear { .. } if !counts.gas => {}
            Part::Leave(amount) => self.adjust(stack, op::I64_ADD, amount),
            Part::Linear { unit, constant, count } => {
                self.index(op::LOCAL_TEE, count);
                self.out.push(op::I64_EXTEND_I32_U);
                self.constant(unit);
                self.out.push(op::I64_MUL);
                self.constant(constant);
                self.out.push(op::I64_ADD);
                self.index(op::LOCAL_SET, scratch);
                self.index(op::LOCAL_GET, self.left);
                self.index(op::LOCAL_GET, scratch);
                self.out.push(op::I64_SUB);
                self.write_down();
                self.check();
                self.index(op::LOCAL_GET, count);
            }
        }
    }

    /// Writes the charges that are owed.
    fn pay(&mut self) {
        let owed = std::mem::take(&mut self.owed);
        if owed > 0 && self.layout.counts.gas {
            self.index(op::LOCAL_GET, self.left);
            self.constant(owed);
            self.out.push(op::I64_SUB);
            self.write_down();
        }
    }

    /// Makes the number on the stack what is left, in the local and where others read it.
    fn write_down(&mut self) {
        self.index(op::LOCAL_TEE, self.left);
        self.index(op::GLOBAL_SET, self.layout.gas);
    }

    /// Reads what is left.
    fn read(&mut self) {
        if self.layout.counts.gas {
            self.index(op::GLOBAL_GET, self.layout.gas);
            self.index(op::LOCAL_SET, self.left);
        }
    }

    /// Ends the execution if what is left is below zero.
    fn check(&mut self) {
        if self.layout.counts.gas {
            self.index(op::LOCAL_GET, self.left);
            self.when_negative(|writer| writer.out.push(op::UNREACHABLE));
        }
    }

    /// `stack - amount`
    fn stack_less(&mut self, amount: i64) {
        self.index(op::GLOBAL_GET, self.layout.stack);
        self.constant(amount);
        self.out.push(op::I64_SUB);
    }

    /// `global = global <operator> amount`
    fn adjust(&mut self, global: u32, operator: u8, amount: i64) {
        self.index(op::GLOBAL_GET, global);
        self.constant(amount);
        self.out.push(operator);
        self.index(op::GLOBAL_SET, global);
    }

    /// What `then` writes is done when the number on the stack is below zero.
    fn when_negative(&mut self, then: impl FnOnce(&mut Self)) {
        self.constant(0);
        self.out.push(op::I64_LT_S);
        self.checks.push(self.out.len());
        self.out.extend([op::IF, op::EMPTY_BLOCK]);
        then(self);
        self.out.push(op::END);
    }

    /// Calls one of the host's functions for counting, which ends the execution.
    fn call(&mut self, function: u32) {
        self.index(op::CALL, function);
        self.out.push(op::UNREACHABLE);
    }

    fn index(&mut self, operator: u8, index: u32) {
        self.out.push(operator);
        encode::unsigned(self.out, index as usize);
    }

    fn constant(&mut self, value: i64) {
        self.out.push(op::I64_CONST);
        encode::signed(self.out, value);
    }
}

#[cfg(test)]
mod tests {
    use outlayer_guest::prepare::FEATURES;
    use wasmparser::Validator;

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
                    (global.set $g (local.tee $left
                        (i64.sub (local.get $left) (i64.const 7))))))",
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

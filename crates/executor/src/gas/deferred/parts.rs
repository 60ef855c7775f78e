//! What NEAR's preparation put into a body, found again.

use std::ops::Range;

use wasmparser::{BlockType, Operator};

use super::{
    GAS_EXHAUSTED, GAS_OVERFLOWN, Layout, MOST_FOR_CONSTANT, MOST_FOR_UNIT, STACK_EXHAUSTED,
    UNCHECKED_GAS, UNCHECKED_REST, Unexpected,
};

/// A part of an instrumented body.
pub(super) enum Part {
    /// `left -= amount`, in the gas.
    Charge(i64),
    /// The same in the stack.
    Enter(i64),
    /// `left += amount`, in the stack.
    Leave(i64),
    /// A charge before an operator whose last operand, which is on the stack, is `count`.
    Linear { unit: i64, constant: i64, count: u32 },
    /// An operator of the guest's own, or one that takes part in no count, by its number and where
    /// it stands.
    Own(usize, Range<usize>),
    /// A call of a function of the guest's own, or of the host's.
    Call(usize, Range<usize>),
    /// The head of a loop.
    Loop(usize, Range<usize>),
}

impl Part {
    /// The most that this charges before somebody looks whether anything is left.
    fn most(&self) -> i64 {
        match self {
            Self::Charge(amount) => *amount,
            Self::Call(..) => UNCHECKED_GAS,
            _ => 0,
        }
    }
}

/// The most that a body charges before somebody looks.
pub(super) fn most(parts: &[Part]) -> i64 {
    parts.iter().map(Part::most).fold(0, i64::saturating_add)
}

/// The number of the first part behind which a body charges at most [`UNCHECKED_REST`]. Code that
/// is reached once more is behind the head of a loop, which looks.
pub(super) fn short_rest(parts: &[Part]) -> usize {
    let mut rest = 0i64;
    let short = parts.iter().rev().take_while(|part| {
        rest = rest.saturating_add(part.most());
        rest <= UNCHECKED_REST
    });
    parts.len().saturating_sub(short.count() + 1)
}

/// Whether an operator calls what may charge: anything but the host's functions for counting.
pub(super) fn is_call(operator: &Operator<'_>) -> bool {
    match operator {
        Operator::Call { function_index } => *function_index > GAS_EXHAUSTED,
        Operator::CallIndirect { .. } => true,
        _ => false,
    }
}

impl Layout {
    /// The parts of a body, in their order.
    pub(super) fn parts(
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
                Some(Operator::Loop { .. }) => Part::Loop(at, range.clone()),
                Some(operator) if is_call(operator) => Part::Call(at, range.clone()),
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

//! Writes a body with its counts.

use outlayer_guest::prepare::{encode, nans, op};
use wasmparser::Operator;

use super::{Layout, STACK_EXHAUSTED, parts::Part, unwritten::Unwritten};

/// How a function counts.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// A local of 64 bits whose value nobody needs between two parts.
    pub(super) scratch: u32,
    /// The local that mirrors what is left of the gas.
    pub(super) left: u32,
    /// Whether it calls no other function.
    pub(super) is_leaf: bool,
    /// Whether it looks on entry whether anything is left.
    pub(super) looks: bool,
}

/// Writes one body.
pub(super) struct Writer<'a> {
    layout: &'a Layout,
    plan: Plan,
    /// Where numbers are made canonical.
    nans: nans::Places,
    out: &'a mut Vec<u8>,
    /// Where in the body the module looks at its counters.
    checks: &'a mut Vec<usize>,
    /// Charges that have not been written yet.
    owed: i64,
    /// Whether the counter lags behind the local.
    unwritten: Unwritten,
}

impl<'a> Writer<'a> {
    /// Begins the operators of a body in `out`.
    pub(super) fn new(
        layout: &'a Layout,
        plan: Plan,
        nans: nans::Places,
        out: &'a mut Vec<u8>,
        checks: &'a mut Vec<usize>,
    ) -> Self {
        let unwritten = Unwritten::new();
        let mut writer = Self { layout, plan, nans, out, checks, owed: 0, unwritten };
        writer.read();
        writer
    }

    /// Writes a part. `operators` are the body's, in `code`.
    pub(super) fn part(&mut self, part: Part, operators: &[Operator<'_>], code: &[u8]) {
        let Plan { scratch, left, is_leaf, looks } = self.plan;
        let (stack, counts) = (self.layout.stack, self.layout.counts);
        if let Part::Charge(amount) = part {
            self.owed = self.owed.saturating_add(amount);
            return;
        }
        self.pay();
        if let Part::Own(at, range) | Part::Call(at, range) | Part::Loop(at, range) = &part
            && let Some(operator) = operators.get(*at)
        {
            if self.unwritten.is_due(operator) {
                self.write_down();
                self.unwritten.written();
            }
            self.unwritten.passed(operator);
            self.out.extend_from_slice(code.get(range.clone()).unwrap_or_default());
        }
        match part {
            Part::Charge(_) => {}
            Part::Own(at, _) => self.nans.write_after(at, self.out),
            Part::Call(..) => self.read(),
            Part::Loop(..) => self.check(),
            Part::Enter(_) if !counts.stack => {
                if looks {
                    self.check();
                }
            }
            Part::Enter(amount) if is_leaf => {
                self.stack_less(amount);
                if looks {
                    self.index(op::LOCAL_GET, left);
                    self.out.push(op::I64_OR);
                    self.when_negative(|writer| {
                        writer.stack_less(amount);
                        writer.when_negative(|writer| writer.call(STACK_EXHAUSTED));
                        writer.end();
                    });
                } else {
                    self.when_negative(|writer| writer.call(STACK_EXHAUSTED));
                }
            }
            Part::Enter(amount) => {
                self.stack_less(amount);
                self.index(op::LOCAL_TEE, scratch);
                self.index(op::LOCAL_GET, left);
                self.out.push(op::I64_OR);
                self.when_negative(|writer| {
                    writer.index(op::LOCAL_GET, scratch);
                    writer.when_negative(|writer| writer.call(STACK_EXHAUSTED));
                    writer.end();
                });
                self.index(op::LOCAL_GET, scratch);
                self.index(op::GLOBAL_SET, stack);
            }
            Part::Leave(_) if is_leaf || !counts.stack => {}
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
                self.index(op::LOCAL_GET, left);
                self.index(op::LOCAL_GET, scratch);
                self.out.push(op::I64_SUB);
                self.set();
                self.check();
                self.index(op::LOCAL_GET, count);
            }
        }
    }

    /// Writes the charges that are owed.
    fn pay(&mut self) {
        let owed = std::mem::take(&mut self.owed);
        if owed > 0 && self.layout.counts.gas {
            self.index(op::LOCAL_GET, self.plan.left);
            self.constant(owed);
            self.out.push(op::I64_SUB);
            self.set();
        }
    }

    /// Makes the number on the stack what is left.
    fn set(&mut self) {
        self.index(op::LOCAL_SET, self.plan.left);
        self.unwritten.charged();
    }

    /// Writes what is left to where others read it.
    fn write_down(&mut self) {
        if self.layout.counts.gas {
            self.index(op::LOCAL_GET, self.plan.left);
            self.index(op::GLOBAL_SET, self.layout.gas);
        }
    }

    /// Ends the execution.
    fn end(&mut self) {
        self.write_down();
        self.out.push(op::UNREACHABLE);
    }

    /// Reads what is left.
    fn read(&mut self) {
        if self.layout.counts.gas {
            self.index(op::GLOBAL_GET, self.layout.gas);
            self.index(op::LOCAL_SET, self.plan.left);
        }
    }

    /// Ends the execution if what is left is below zero.
    pub(super) fn check(&mut self) {
        if self.layout.counts.gas {
            self.index(op::LOCAL_GET, self.plan.left);
            self.when_negative(Self::end);
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
        self.write_down();
        self.index(op::CALL, function);
        self.out.push(op::UNREACHABLE);
    }

    fn index(&mut self, operator: u8, index: u32) {
        encode::indexed(self.out, operator, index);
    }

    fn constant(&mut self, value: i64) {
        self.out.push(op::I64_CONST);
        encode::signed(self.out, value);
    }
}

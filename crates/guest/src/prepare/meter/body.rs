//! Writes a function's body with its metering.

use std::ops::Range;

use wasmparser::{BinaryReaderError, FunctionBody, Operator};

use super::{
    flow::{self, Action, Payments, UNCHECKED_FUEL},
    layout::Function,
    told::{self, Teller},
};
use crate::{
    fuel,
    prepare::{
        encode::{self, signed, unsigned},
        function::Body,
        nans, op,
        relaxed::{self, Plain},
    },
};

/// A function that needs at most this many bytes of the stack, and calls no other, does not look
/// whether they are there. At most one such function runs at a time, so they are there beyond what
/// is handed out.
const UNCHECKED_STACK: u32 = 512;

/// What metering has added to a module, by its index.
#[derive(Clone, Copy)]
pub(super) struct Added {
    /// The global with what is left of the stack.
    pub(super) stack: u32,
    /// What counts the fuel, in a module that does.
    pub(super) fuel: Option<Fuel>,
    /// The table that tells of an overflow, in a module that has no other way.
    pub(super) alarm: Option<u32>,
    /// From this one on, the module's globals have numbers that are higher by [`SHARED`].
    pub(super) renumbered_from: u32,
}

/// How many globals a module imports that shares what counts.
const SHARED: u32 = 2;

impl Added {
    /// The index that a global has after metering.
    pub(super) fn global(self, index: u32) -> u32 {
        if index < self.renumbered_from { index } else { index.saturating_add(SHARED) }
    }
}

/// What counts the fuel in a module, by its index.
#[derive(Clone, Copy)]
pub(super) struct Fuel {
    /// The global with what is left.
    pub(super) left: u32,
    /// The first of the functions that grow a memory each, and pay for its pages.
    pub(super) grow: usize,
    /// In a profile, the first of the globals that hold what each function has paid.
    pub(super) paid: Option<u32>,
}

/// Writes the body of `function`, the one of this index among those that the module defines, which
/// needs so many bytes of the stack. `checks` receives where its branches are that are hardly ever
/// taken.
pub(super) fn write(
    code: &[u8],
    body: &FunctionBody<'_>,
    (module, function): (&nans::Module, &Function),
    index: usize,
    need: u32,
    (added, teller): (Added, Option<Teller<'_>>),
    (out, checks): (&mut Vec<u8>, &mut Vec<usize>),
) -> Result<(), BinaryReaderError> {
    let body = Body::read(body)?;
    let (operators, locals) = (&body.operators, body.locals(function.parameters));
    let is_leaf = !operators
        .iter()
        .any(|operator| matches!(operator, Operator::Call { .. } | Operator::CallIndirect { .. }));
    let payments = match added.fuel {
        Some(_) => flow::payments(operators, fuel::ENTRY, function.is_procedure()),
        None => Payments::default(),
    };
    let declared = code.get(body.declared.clone()).unwrap_or_default();
    let mut own = Vec::new();
    let mut nans = nans::Places::default();
    if added.fuel.is_some() {
        own.extend([1, op::I64, 1, op::I32]);
        nans = module.places(&body, index, locals.saturating_add(2));
        own.extend(nans.locals());
    }
    let next = |own: &[u8]| locals.saturating_add(u32::try_from(own.len() / 2).unwrap_or(u32::MAX));
    let telling = teller.map(|teller| {
        let first = next(&own);
        own.extend(told::LOCALS);
        (teller, first)
    });
    let vectors = next(&own);
    own.extend([1, op::V128].repeat(relaxed::locals(operators)));
    let answer = next(&own);
    let grows_tables =
        operators.iter().any(|operator| matches!(operator, Operator::TableGrow { .. }));
    if grows_tables && added.fuel.is_some() {
        own.extend([1, op::I32]);
    }
    out.extend(encode::extended(declared, own.len() / 2, &own));
    let paid = added.fuel.and_then(|fuel| fuel.paid);
    let paid = paid.map(|first| first.saturating_add(u32::try_from(index).unwrap_or(u32::MAX)));
    let count = locals.saturating_add(1);
    let mut writer = Writer {
        out,
        checks,
        added,
        need,
        is_leaf,
        fuel: locals,
        count,
        answer,
        vectors,
        paid,
        telling,
    };
    writer.enter(payments.bound);
    let is_wrapped = !is_leaf || added.fuel.is_some();
    if is_wrapped {
        writer.out.push(op::BLOCK);
        writer.out.extend_from_slice(&function.block_type);
    }
    writer.operators(code, operators, &body.ranges, (&payments, &mut nans), is_wrapped);
    if is_wrapped {
        writer.write_down(payments.at_end);
        writer.give_back();
        writer.out.push(op::END);
    }
    Ok(())
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    checks: &'a mut Vec<usize>,
    added: Added,
    /// How many bytes of the stack the function needs.
    need: u32,
    /// Whether it calls no other while its own frame is there.
    is_leaf: bool,
    /// The local with the fuel that is left.
    fuel: u32,
    /// A local for an operator's operand.
    count: u32,
    /// A local for what `table.grow` answers.
    answer: u32,
    /// The first of the locals for relaxed vector operators.
    vectors: u32,
    /// In a profile, the global that holds what this function has paid.
    paid: Option<u32>,
    /// What the module tells by itself, and the first of the locals for that.
    telling: Option<(Teller<'a>, u32)>,
}

impl Writer<'_> {
    /// Takes the stack that the function needs, and reads the fuel. Looks whether both suffice.
    fn enter(&mut self, bound: Option<u64>) {
        let (need, is_leaf) = (self.need, self.is_leaf);
        self.read();
        let looks_at_stack = !is_leaf || need > UNCHECKED_STACK;
        let looks_at_fuel =
            self.added.fuel.is_some() && bound.is_none_or(|bound| bound > UNCHECKED_FUEL);
        if looks_at_stack {
            self.stack_less(need);
        }
        if looks_at_fuel {
            self.index(op::LOCAL_GET, self.fuel);
        }
        match (looks_at_stack, looks_at_fuel) {
            (false, false) => return,
            (true, true) => self.out.push(op::I64_OR),
            _ => {}
        }
        self.if_negative();
        if looks_at_stack {
            self.stack_less(need);
            self.constant(0);
            self.out.extend([op::I64_LT_S, op::IF, op::EMPTY_BLOCK]);
            self.overflow();
            self.out.push(op::END);
        }
        self.exhausted();
        self.out.push(op::END);
        if !is_leaf {
            self.stack_less(need);
            self.index(op::GLOBAL_SET, self.added.stack);
        }
    }

    /// Gives back what `enter` took of the stack.
    fn give_back(&mut self) {
        if !self.is_leaf {
            self.index(op::GLOBAL_GET, self.added.stack);
            self.constant(self.need.into());
            self.out.push(op::I64_ADD);
            self.index(op::GLOBAL_SET, self.added.stack);
        }
    }

    /// Writes the function's own operators, and what belongs to them.
    fn operators(
        &mut self,
        code: &[u8],
        operators: &[Operator<'_>],
        ranges: &[Range<usize>],
        (payments, nans): (&Payments, &mut nans::Places),
        is_wrapped: bool,
    ) {
        let mut actions = payments.actions.iter().peekable();
        // A branch to the function's own label reaches the block around the body as it is. A return
        // becomes a branch to it.
        let mut depth = 0u32;
        for (at, (operator, range)) in operators.iter().zip(ranges).enumerate() {
            let own = code.get(range.clone()).unwrap_or_default();
            let (mut reread, mut looks_again, mut check, mut replaced, mut grows) =
                (false, false, false, false, false);
            while let Some((_, action)) = actions.next_if(|(place, _)| *place == at) {
                match *action {
                    Action::Pay(amount) => self.pay(amount),
                    Action::Check => check = true,
                    Action::Call { amount, looks } => {
                        self.write_down(amount);
                        (reread, looks_again) = (true, looks);
                    }
                    Action::WriteDown(amount) => self.write_down(amount),
                    Action::PayInElse(amount) => {
                        self.out.push(op::ELSE);
                        self.pay(amount);
                    }
                    Action::Grow(amount) => {
                        self.index(op::LOCAL_SET, self.count);
                        self.pay(amount);
                        self.count_or_none();
                        self.out.push(op::CALL);
                        let memory = match operator {
                            Operator::MemoryGrow { mem } => *mem as usize,
                            _ => 0,
                        };
                        unsigned(self.out, self.added.fuel.map_or(0, |fuel| fuel.grow) + memory);
                        (reread, replaced) = (true, true);
                    }
                    Action::GrowTable(amount) => {
                        self.index(op::LOCAL_SET, self.count);
                        self.pay(amount);
                        self.count_or_none();
                        grows = true;
                    }
                    Action::PayForEach(amount) => {
                        self.index(op::LOCAL_SET, self.count);
                        self.note(|writer| {
                            writer.index(op::LOCAL_GET, writer.count);
                            writer.out.push(op::I64_EXTEND_I32_U);
                        });
                        self.less(amount);
                        self.index(op::LOCAL_GET, self.count);
                        self.out.extend([op::I64_EXTEND_I32_U, op::I64_SUB]);
                        self.index(op::LOCAL_SET, self.fuel);
                        self.count_or_none();
                    }
                    Action::PayOnBranch { amount, cold } => {
                        let Operator::BrIf { relative_depth } = operator else { continue };
                        if cold {
                            self.checks.push(self.out.len());
                        }
                        self.out.extend([op::IF, op::EMPTY_BLOCK]);
                        self.pay(amount);
                        self.index(op::BR, relative_depth.saturating_add(1));
                        self.out.push(op::END);
                        replaced = true;
                    }
                }
            }
            if let Some((teller, first)) = self.telling {
                teller.before(operator, first, self.out);
            }
            match operator {
                Operator::Return if is_wrapped => self.index(op::BR, depth),
                _ if replaced => {}
                Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } => {
                    self.give_back();
                    self.out.extend_from_slice(own);
                }
                Operator::GlobalGet { global_index } => {
                    self.index(op::GLOBAL_GET, self.added.global(*global_index));
                }
                Operator::GlobalSet { global_index } => {
                    self.index(op::GLOBAL_SET, self.added.global(*global_index));
                }
                operator => match Plain::of(operator) {
                    Some(plain) => plain.write(self.vectors, self.out),
                    None => self.out.extend_from_slice(own),
                },
            }
            nans.write_after(at, self.out);
            if let Some((teller, first)) = self.telling {
                teller.after(operator, first, self.out);
            }
            if grows {
                self.pay_for_elements();
            }
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => depth += 1,
                Operator::End => depth = depth.saturating_sub(1),
                _ => {}
            }
            if reread {
                self.read();
            }
            if looks_again {
                self.look();
            }
            if check {
                self.check();
            }
        }
    }

    /// `fuel -= amount`
    fn pay(&mut self, amount: u64) {
        if amount > 0 {
            self.less(amount);
            self.index(op::LOCAL_SET, self.fuel);
        }
    }

    /// Pays for the elements by which a table has grown, which the local `count` has. What
    /// `table.grow` answers is on the stack, and stays there.
    fn pay_for_elements(&mut self) {
        self.index(op::LOCAL_SET, self.answer);
        let elements = |writer: &mut Self| {
            writer.constant(0);
            writer.index(op::LOCAL_GET, writer.count);
            writer.out.push(op::I64_EXTEND_I32_U);
            writer.index(op::LOCAL_GET, writer.answer);
            writer.out.push(op::I32_CONST);
            signed(writer.out, -1);
            writer.out.extend([op::I32_EQ, op::SELECT]);
        };
        self.note(elements);
        self.index(op::LOCAL_GET, self.fuel);
        elements(self);
        self.out.push(op::I64_SUB);
        self.index(op::LOCAL_SET, self.fuel);
        self.index(op::LOCAL_GET, self.answer);
    }

    /// Reads what is left.
    fn read(&mut self) {
        if let Some(fuel) = self.added.fuel {
            self.index(op::GLOBAL_GET, fuel.left);
            self.index(op::LOCAL_SET, self.fuel);
        }
    }

    /// Writes down what is left after paying `amount`, where the function that is called finds it.
    fn write_down(&mut self, amount: u64) {
        if let Some(fuel) = self.added.fuel {
            self.less(amount);
            self.index(op::GLOBAL_SET, fuel.left);
        }
    }

    /// Writes down what is left, and ends the execution if that is below zero.
    fn check(&mut self) {
        self.write_down(0);
        self.look();
    }

    /// Ends the execution if what is left, and has been written down, is below zero.
    fn look(&mut self) {
        self.index(op::LOCAL_GET, self.fuel);
        self.if_negative();
        self.out.extend([op::UNREACHABLE, op::END]);
    }

    /// Writes down what is left. Puts the operand that has been put aside onto the stack again if
    /// that is not below zero, and else 0, with which an operator has no work. A check instead
    /// would be a branch, and a compiler takes long for a function with a branch at each operator.
    fn count_or_none(&mut self) {
        self.write_down(0);
        self.index(op::LOCAL_GET, self.count);
        self.out.extend([op::I32_CONST, 0]);
        self.index(op::LOCAL_GET, self.fuel);
        self.constant(0);
        self.out.extend([op::I64_GE_S, op::SELECT]);
    }

    /// `if … < 0 {`, which is hardly ever so.
    fn if_negative(&mut self) {
        self.constant(0);
        self.out.push(op::I64_LT_S);
        self.checks.push(self.out.len());
        self.out.extend([op::IF, op::EMPTY_BLOCK]);
    }

    /// Writes down what is left, and ends the execution.
    fn exhausted(&mut self) {
        self.write_down(0);
        self.out.push(op::UNREACHABLE);
    }

    /// Tells of an overflow, and ends the execution.
    fn overflow(&mut self) {
        self.constant_signed(-1);
        self.index(op::GLOBAL_SET, self.added.stack);
        if let Some(table) = self.added.alarm {
            self.out.extend([
                op::REF_NULL,
                op::FUNCREF,
                op::I32_CONST,
                1,
                op::PREFIX,
                op::TABLE_GROW,
            ]);
            unsigned(self.out, table as usize);
            self.out.push(op::DROP);
        }
        self.out.push(op::UNREACHABLE);
    }

    /// `fuel - amount`
    fn less(&mut self, amount: u64) {
        if amount > 0 {
            self.note(|writer| writer.constant(amount));
        }
        self.index(op::LOCAL_GET, self.fuel);
        if amount > 0 {
            self.constant(amount);
            self.out.push(op::I64_SUB);
        }
    }

    /// In a profile, adds what `amount` leaves on the stack to what this function has paid.
    fn note(&mut self, amount: impl FnOnce(&mut Self)) {
        if let Some(paid) = self.paid {
            self.index(op::GLOBAL_GET, paid);
            amount(self);
            self.out.push(op::I64_ADD);
            self.index(op::GLOBAL_SET, paid);
        }
    }

    /// `stack - need`
    fn stack_less(&mut self, need: u32) {
        self.index(op::GLOBAL_GET, self.added.stack);
        self.constant(need.into());
        self.out.push(op::I64_SUB);
    }

    fn constant(&mut self, value: u64) {
        self.constant_signed(i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn constant_signed(&mut self, value: i64) {
        self.out.push(op::I64_CONST);
        signed(self.out, value);
    }

    fn index(&mut self, operator: u8, index: u32) {
        encode::indexed(self.out, operator, index);
    }
}

//! Where a function's body pays for its operators.
//!
//! A body runs along straight stretches, from one place where control may come from elsewhere to
//! the next. The cost of what has run is gathered at compile time, as what is *due*, and is paid
//! where it has to be known: before a call, before a branch to the head of a loop, before work that
//! depends on an operand, and where the function ends.
//!
//! Where paths meet, at the end of a block, each of them may bring something else that is due. The
//! least of it stays due after the block. A path pays only what it brings beyond that. So of the
//! two arms of a branch only the longer one pays, and a loop that is left from its middle pays once
//! in a turn. What an execution pays in all is the cost of the operators that it has run, whichever
//! way it took.

use wasmparser::{BlockType, Operator};

use super::costs;

/// What has to be written at an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Before the operator, pay this much.
    Pay(u64),
    /// Where the operator, a `br_if`, branches, pay this much. `cold` says that it leaves a loop.
    PayOnBranch { amount: u64, cold: bool },
    /// Before the operator, the `end` of an `if` without `else`, add an `else` that pays this much.
    PayInElse(u64),
    /// After the operator, a `loop`, look whether anything is left.
    Check,
    /// Before the operator, a call, pay this much and write down what is left; read it afterwards.
    /// `looks` says that the function then looks whether anything is left.
    Call { amount: u64, looks: bool },
    /// Before the operator, an `unreachable` or a tail call, pay this much and write down what is
    /// left.
    WriteDown(u64),
    /// Before the operator, `memory.grow`, pay this much. The pages are paid for when they are
    /// there. Where nothing is left, it grows by none.
    Grow(u64),
    /// Before the operator, `table.grow`, pay this much. The elements are paid for when they are
    /// there. Where nothing is left, it grows by none.
    GrowTable(u64),
    /// Before the operator, pay this much and a unit for each that its last operand counts. Where
    /// nothing is left, that becomes 0.
    PayForEach(u64),
}

/// Where a body pays, and what is due where it ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Payments {
    /// By the operator's number, in ascending order.
    pub(super) actions: Vec<(usize, Action)>,
    /// What is due behind the last operator.
    pub(super) at_end: u64,
    /// The most that the body costs, when it has no loop and no call.
    pub(super) bound: Option<u64>,
}

/// How a path comes to the end of a block.
enum Way {
    /// By running up to the `end` or `else` that is the operator of this number.
    Through(usize),
    /// By a `br` or `return`.
    Branch(usize),
    /// By a `br_if`, which may leave a loop.
    BranchIf { at: usize, leaves_loop: bool },
    /// By the `else` that an `if` does not have.
    MissingElse,
    /// By an operator that has paid already.
    Paid,
}

struct Frame {
    is_loop: bool,
    /// How many loops there are from the outermost block to this one.
    loops: u32,
    /// For an `if`: what is due where an arm begins.
    arms: Option<u64>,
    has_else: bool,
    /// Whether a branch to this block can have something else to do on its way: the block has no
    /// operands that would be on the stack.
    is_empty: bool,
    /// The paths that come to its end, with what is due on them.
    ways: Vec<(Way, u64)>,
    /// For an `if`: what has not been seen where an arm begins.
    arms_unseen: u64,
    /// The most that has not been seen on any of the paths.
    unseen: u64,
}

impl Frame {
    /// A path comes to its end, with what is due and has not been seen on it.
    fn come(&mut self, way: Way, due: u64, unseen: u64) {
        self.ways.push((way, due));
        self.unseen = self.unseen.max(unseen);
    }
}

/// A bulk operator on at most this many bytes or elements is paid for like any other operator.
const FEW: i32 = 128;

/// A function that costs at most this much, and calls no other, does not look whether anything is
/// left. Its caller does.
pub(super) const UNCHECKED_FUEL: u64 = 200;

/// A function looks whether anything is left after the first call behind which it has cost more
/// than this without looking, what it calls included. Where the fuel ends in the deepest of many
/// calls, each of them may go on for so long. To look after each call would be as simple, but a
/// compiler then takes ten times as long for a function that is full of them.
const UNSEEN_FUEL: u64 = 2_000;

/// The number of the first operator behind which a body costs at most [`UNSEEN_FUEL`]. Code that is
/// reached once more is behind the head of a loop, which looks.
fn short_rest(operators: &[Operator<'_>]) -> usize {
    let mut rest = 0u64;
    let short = operators.iter().rev().take_while(|operator| {
        let called = match operator {
            Operator::Call { .. } | Operator::CallIndirect { .. } => UNCHECKED_FUEL,
            _ => 0,
        };
        rest = rest.saturating_add(costs::operator(operator) + called);
        rest <= UNSEEN_FUEL
    });
    operators.len().saturating_sub(short.count() + 1)
}

/// How many bytes or elements a bulk operator has, if the operator before it says that they are
/// few.
fn few(before: Option<&Operator<'_>>) -> Option<u64> {
    match before {
        Some(Operator::I32Const { value: count @ 0..=FEW }) => u64::try_from(*count).ok(),
        _ => None,
    }
}

/// Finds where a body pays. `entry` is what entering the function costs, and `is_procedure` says
/// that it has no results.
pub(super) fn payments(operators: &[Operator<'_>], entry: u64, is_procedure: bool) -> Payments {
    let mut flow = Flow {
        frames: vec![Frame {
            is_loop: false,
            loops: 0,
            arms: None,
            has_else: false,
            is_empty: is_procedure,
            ways: Vec::new(),
            arms_unseen: 0,
            unseen: 0,
        }],
        due: Some(entry),
        unseen: entry,
        actions: Vec::new(),
        total: entry,
        bounded: true,
        at_end: 0,
        short_rest: short_rest(operators),
    };
    let mut before = None;
    for (at, operator) in operators.iter().enumerate() {
        flow.operator(at, operator, before);
        before = Some(operator);
    }
    flow.actions.sort_by_key(|(at, _)| *at);
    Payments {
        actions: flow.actions,
        at_end: flow.at_end,
        bound: flow.bounded.then_some(flow.total),
    }
}

struct Flow {
    frames: Vec<Frame>,
    /// What is due here. `None` where control never comes.
    due: Option<u64>,
    /// The most that any path here has cost since it looked whether anything was left.
    unseen: u64,
    actions: Vec<(usize, Action)>,
    total: u64,
    bounded: bool,
    at_end: u64,
    /// Behind this operator, a call need not look whether anything is left.
    short_rest: usize,
}

impl Flow {
    fn operator(&mut self, at: usize, operator: &Operator<'_>, before: Option<&Operator<'_>>) {
        let mut cost = costs::operator(operator);
        let few = costs::is_linear(operator).then(|| few(before)).flatten();
        cost += few.unwrap_or(0);
        self.total = self.total.saturating_add(cost);
        self.unseen = self.unseen.saturating_add(cost);
        if let Some(due) = &mut self.due {
            *due = due.saturating_add(cost);
        }
        match operator {
            Operator::Block { blockty } => self.enter(false, *blockty, None),
            Operator::Loop { blockty } => {
                self.bounded = false;
                self.pay(at);
                self.unseen = 0;
                self.enter(true, *blockty, None);
                if self.due.is_some() {
                    self.actions.push((at, Action::Check));
                }
            }
            Operator::If { blockty } => self.enter(false, *blockty, self.due),
            Operator::Else => {
                let due = self.due;
                let Some(frame) = self.frames.last_mut() else { return };
                if let Some(due) = due {
                    frame.come(Way::Through(at), due, self.unseen);
                }
                frame.has_else = true;
                self.due = frame.arms;
                self.unseen = frame.arms_unseen;
            }
            Operator::End => self.end(at),
            Operator::Br { relative_depth } => {
                self.branch(at, *relative_depth);
                self.due = None;
            }
            Operator::BrIf { relative_depth } => self.branch_if(at, *relative_depth),
            Operator::BrTable { targets } => {
                self.pay(at);
                if self.due.is_some() {
                    let targets = targets.targets().flatten().chain([targets.default()]);
                    for depth in targets.collect::<Vec<_>>() {
                        self.come(depth, Way::Paid, 0);
                    }
                }
                self.due = None;
            }
            Operator::Return => {
                self.branch(at, u32::try_from(self.frames.len() - 1).unwrap_or(u32::MAX));
                self.due = None;
            }
            Operator::Unreachable => {
                self.take(|due| Some((at, Action::WriteDown(due))));
                self.due = None;
            }
            Operator::Call { .. } | Operator::CallIndirect { .. } => {
                self.bounded = false;
                self.unseen = self.unseen.saturating_add(UNCHECKED_FUEL);
                let looks = at < self.short_rest && self.unseen > UNSEEN_FUEL;
                if looks {
                    self.unseen = 0;
                }
                self.take(|amount| Some((at, Action::Call { amount, looks })));
            }
            Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } => {
                self.bounded = false;
                self.take(|due| Some((at, Action::WriteDown(due))));
                self.due = None;
            }
            Operator::MemoryGrow { .. } => {
                self.bounded = false;
                self.take(|due| Some((at, Action::Grow(due))));
            }
            Operator::TableGrow { .. } => {
                self.bounded = false;
                self.take(|due| Some((at, Action::GrowTable(due))));
            }
            operator if costs::is_linear(operator) && few.is_none() => {
                self.bounded = false;
                self.take(|due| Some((at, Action::PayForEach(due))));
            }
            _ => {}
        }
    }

    /// Makes nothing due, by an action that pays it.
    fn take(&mut self, action: impl FnOnce(u64) -> Option<(usize, Action)>) {
        if let Some(due) = &mut self.due {
            self.actions.extend(action(std::mem::take(due)));
        }
    }

    /// Pays before the operator of this number.
    fn pay(&mut self, at: usize) {
        self.take(|due| (due > 0).then_some((at, Action::Pay(due))));
    }

    fn enter(&mut self, is_loop: bool, ty: BlockType, arms: Option<u64>) {
        let is_empty = ty == BlockType::Empty;
        let loops = self.loops().saturating_add(u32::from(is_loop));
        let ways = Vec::new();
        let arms_unseen = self.unseen;
        self.frames.push(Frame {
            is_loop,
            loops,
            arms,
            has_else: false,
            is_empty,
            ways,
            arms_unseen,
            unseen: 0,
        });
    }

    /// How many loops there are around.
    fn loops(&self) -> u32 {
        self.frames.last().map_or(0, |frame| frame.loops)
    }

    /// The frame that a branch of this depth goes to.
    fn target(&mut self, depth: u32) -> Option<&mut Frame> {
        self.frames.iter_mut().rev().nth(depth as usize)
    }

    fn come(&mut self, depth: u32, way: Way, due: u64) {
        let unseen = self.unseen;
        if let Some(frame) = self.target(depth)
            && !frame.is_loop
        {
            frame.come(way, due, unseen);
        }
    }

    fn branch(&mut self, at: usize, depth: u32) {
        let Some(due) = self.due else { return };
        if self.target(depth).is_some_and(|frame| frame.is_loop) {
            self.pay(at);
        } else {
            self.come(depth, Way::Branch(at), due);
        }
    }

    fn branch_if(&mut self, at: usize, depth: u32) {
        let Some(due) = self.due else { return };
        match self.target(depth) {
            Some(frame) if !frame.is_loop && frame.is_empty => {
                let target = frame.loops;
                let leaves_loop = self.loops() > target;
                self.come(depth, Way::BranchIf { at, leaves_loop }, due);
            }
            _ => {
                self.pay(at);
                self.come(depth, Way::Paid, 0);
            }
        }
    }

    fn end(&mut self, at: usize) {
        let Some(mut frame) = self.frames.pop() else { return };
        if frame.is_loop {
            // Control comes here only by running through.
            return;
        }
        if let Some(due) = self.due {
            frame.come(Way::Through(at), due, self.unseen);
        }
        if let (Some(due), false) = (frame.arms, frame.has_else) {
            frame.come(Way::MissingElse, due, frame.arms_unseen);
        }
        self.unseen = frame.unseen;
        let least = frame.ways.iter().map(|(_, due)| *due).min();
        self.due = least;
        if self.frames.is_empty() {
            self.at_end = least.unwrap_or(0);
        }
        let Some(least) = least else { return };
        for (way, due) in frame.ways {
            let amount = due - least;
            if amount == 0 {
                continue;
            }
            let (at, action) = match way {
                Way::Through(at) | Way::Branch(at) => (at, Action::Pay(amount)),
                Way::BranchIf { at, leaves_loop } => {
                    (at, Action::PayOnBranch { amount, cold: leaves_loop })
                }
                Way::MissingElse => (at, Action::PayInElse(amount)),
                Way::Paid => continue,
            };
            self.actions.push((at, action));
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::{Parser, Payload};

    use super::*;

    fn of(body: &str) -> Payments {
        let text = format!("(module (func $f (local i32) {body}) (memory 1) (table 1 funcref))");
        let code = wat::parse_str(text).unwrap();
        for payload in Parser::new(0).parse_all(&code) {
            if let Payload::CodeSectionEntry(body) = payload.unwrap() {
                let reader = body.get_operators_reader().unwrap();
                let operators: Vec<_> = reader.into_iter().map(Result::unwrap).collect();
                return payments(&operators, 10, true);
            }
        }
        panic!("no body")
    }

    fn actions(body: &str) -> Vec<Action> {
        of(body).actions.into_iter().map(|(_, action)| action).collect()
    }

    #[test]
    fn straight_code_pays_where_it_ends() {
        let payments = of("(drop (i32.add (i32.const 1) (i32.const 2)))");
        let expected = Payments { actions: vec![], at_end: 13, bound: Some(13) };
        assert_eq!(payments, expected);
        assert_eq!(of("(block (drop (i32.const 1))) nop").at_end, 11);
    }

    #[test]
    fn of_two_arms_the_longer_pays_the_difference() {
        let body = "(if (local.get 0) (then (local.set 0 (i32.const 1)))
            (else (local.set 0 (i32.add (i32.const 1) (i32.const 2)))))";
        // Entering and the condition, then two units or four.
        let payments = of(body);
        assert_eq!(payments.at_end, 10 + 2 + 2);
        assert_eq!(payments.actions.iter().map(|(_, a)| *a).collect::<Vec<_>>(), [Action::Pay(2)]);
        // An arm that is missing is the shorter one.
        let payments = of("(if (local.get 0) (then (local.set 0 (i32.const 1))))");
        assert_eq!(payments.at_end, 10 + 2);
        // It is the longer one where the other has paid already.
        assert_eq!(
            actions("(if (local.get 0) (then (call $f)))"),
            [Action::Call { amount: 10 + 2 + 1, looks: false }, Action::PayInElse(12)]
        );
    }

    #[test]
    fn a_loop_pays_once_in_a_turn() {
        let body = "(block $out (loop $l (br_if $out (local.get 0)) (local.set 0 (i32.const 1))
            (br $l)))";
        // What it costs to leave is due behind the loop.
        assert_eq!(actions(body), [Action::Pay(10), Action::Check, Action::Pay(2 + 2 + 1)],);
        assert_eq!(of(body).at_end, 2);
        let twice = "(block $out (loop $l (br_if $out (local.get 0)) (br_if $out (local.get 0))
            (br $l)))";
        assert_eq!(
            actions(twice),
            [
                Action::Pay(10),
                Action::Check,
                Action::PayOnBranch { amount: 2, cold: true },
                Action::Pay(4 + 1),
            ]
        );
    }

    #[test]
    fn what_cannot_be_reached_pays_nothing() {
        assert_eq!(actions("unreachable (loop (call $f))"), [Action::WriteDown(10)]);
        assert_eq!(actions("return (drop (memory.grow (i32.const 1)))"), []);
        assert_eq!(of("return").at_end, 10);
        assert_eq!(of("(loop $l (br $l))").at_end, 0);
    }

    #[test]
    fn a_function_looks_after_calls_that_cost_much() {
        let looks = |body: &str| {
            let actions = actions(body).into_iter();
            let calls = actions.filter_map(|action| match action {
                Action::Call { looks, .. } => Some(looks),
                _ => None,
            });
            calls.enumerate().filter_map(|(at, looks)| looks.then_some(at)).collect::<Vec<_>>()
        };
        let calls = |count: usize| "(call $f)".repeat(count);
        // A call costs 201 at most, entering the function 10. Behind the last nine, little follows.
        assert_eq!(looks(&calls(18)), [0; 0]);
        assert_eq!(looks(&calls(40)), [9, 19, 29]);
        // The path that has cost the most counts, whether or not another has looked.
        let arms = |then: usize, other: usize| {
            format!(
                "(if (local.get 0) (then {}) (else {})) {}",
                calls(then),
                calls(other),
                calls(30)
            )
        };
        assert_eq!(looks(&arms(9, 0)), [9, 19]);
        assert_eq!(looks(&arms(0, 9)), [9, 19]);
        assert_eq!(looks(&arms(10, 9)), [9, 19, 29]);
        let skipped = format!("(if (local.get 0) (then {})) {}", calls(10), calls(30));
        assert_eq!(looks(&skipped), [9, 19, 29]);
        let left =
            ["(block ", &calls(9), "(br_if 0 (local.get 0)) (call $f))", &calls(30)].concat();
        assert_eq!(looks(&left), [9, 10, 20]);
        // The head of a loop looks.
        assert_eq!(looks(&format!("{} (loop {})", calls(9), calls(20))), [18]);
    }

    #[test]
    fn bulk_operators_pay_for_each_byte_unless_they_are_few() {
        let fill = |count: &str| format!("(memory.fill (i32.const 0) (i32.const 0) {count})");
        assert_eq!(of(&fill("(i32.const 128)")).at_end, 10 + 3 + crate::fuel::BULK + 128);
        for count in ["(i32.const 129)", "(i32.const -1)", "(local.get 0)"] {
            assert_eq!(
                actions(&fill(count)),
                [Action::PayForEach(10 + 3 + crate::fuel::BULK)],
                "{count}"
            );
        }
        let grow = "(drop (memory.grow (i32.const 1)))";
        assert_eq!(actions(grow), [Action::Grow(10 + 1 + crate::fuel::MEMORY_GROW)]);
        let grow = "(drop (table.grow 0 (ref.null func) (i32.const 1)))";
        assert_eq!(actions(grow), [Action::GrowTable(10 + 2 + crate::fuel::TABLE_GROW)]);
    }

    #[test]
    fn a_tail_call_pays_for_all_before_it() {
        assert_eq!(actions("(return_call $f) (drop (i32.const 1))"), [Action::WriteDown(10 + 1)]);
        assert_eq!(of("(return_call $f)").bound, None);
        assert_eq!(
            actions("(if (local.get 0) (then (return_call $f)))"),
            [Action::WriteDown(10 + 2 + 1)]
        );
        assert_eq!(of("(if (local.get 0) (then (return_call $f)))").at_end, 10 + 2);
    }

    #[test]
    fn a_table_of_branches_pays_before_it_branches() {
        let branches = "(block $a (block $b (block $c
                (br_table $a $b $c (local.get 0)))
                (drop (i32.const 1)) (br_if $a (local.get 0)) (drop (i32.const 2)))
                (if (local.get 0) (then (return)) (else (nop))) (drop (i32.const 3)))
            (drop (i32.const 4))";
        assert_eq!(of(branches).at_end, 1);
        assert_eq!(actions(branches).first(), Some(&Action::Pay(10 + 2)));
    }
}

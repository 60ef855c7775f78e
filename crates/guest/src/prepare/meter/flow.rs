//! Where a function's body pays for its operators.
//!
//! A body runs along straight stretches, from one place where control may come from elsewhere to
//! the next. The cost of what has run is gathered at compile time, as what is *due*, and is paid
//! where it has to be known: before a call, before a branch to the head of a loop, before work that
//! depends on an operand, and where the function ends.
//!
//! Where paths meet, at the end of a block, each of them may bring something else that is due. The
//! least of it stays due after the block. A path pays only what it brings beyond that. So of the two
//! arms of a branch only the longer one pays, and a loop that is left from its middle pays once in a
//! turn. What an execution pays in all is the cost of the operators that it has run, whichever way
//! it took.

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
    Call(u64),
    /// Before the operator, `memory.grow`, pay this much and look whether anything is left. The
    /// pages are paid for when they are there.
    Grow(u64),
    /// Before the operator, pay this much and a unit for each that its last operand counts, and look
    /// whether anything is left.
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
    /// For an `if`: what is due where an arm begins.
    arms: Option<u64>,
    has_else: bool,
    /// Whether a branch to this block can have something else to do on its way: the block has no
    /// operands that would be on the stack.
    is_empty: bool,
    /// The paths that come to its end, with what is due on them.
    ways: Vec<(Way, u64)>,
}

/// A bulk operator on at most this many bytes or elements is paid for like any other operator.
const FEW: i32 = 1_024;

/// How many bytes or elements a bulk operator has, if the operator before it says that they are few.
fn few(before: Option<&Operator<'_>>) -> Option<u64> {
    match before {
        Some(Operator::I32Const { value: count @ 0..=FEW }) => u64::try_from(*count).ok(),
        _ => None,
    }
}

/// Finds where a body pays. `entry` is what entering the function costs, and `is_procedure` says that
/// it has no results.
pub(super) fn payments(operators: &[Operator<'_>], entry: u64, is_procedure: bool) -> Payments {
    let mut flow = Flow {
        frames: vec![Frame {
            is_loop: false,
            arms: None,
            has_else: false,
            is_empty: is_procedure,
            ways: Vec::new(),
        }],
        due: Some(entry),
        actions: Vec::new(),
        total: entry,
        bounded: true,
        at_end: 0,
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
    actions: Vec<(usize, Action)>,
    total: u64,
    bounded: bool,
    at_end: u64,
}

impl Flow {
    fn operator(&mut self, at: usize, operator: &Operator<'_>, before: Option<&Operator<'_>>) {
        let mut cost = costs::operator(operator);
        let few = costs::is_linear(operator).then(|| few(before)).flatten();
        cost += few.unwrap_or(0);
        self.total = self.total.saturating_add(cost);
        if let Some(due) = &mut self.due {
            *due = due.saturating_add(cost);
        }
        match operator {
            Operator::Block { blockty } => self.enter(false, *blockty, None),
            Operator::Loop { blockty } => {
                self.bounded = false;
                self.pay(at);
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
                    frame.ways.push((Way::Through(at), due));
                }
                frame.has_else = true;
                self.due = frame.arms;
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
                self.pay(at);
                self.due = None;
            }
            Operator::Call { .. } | Operator::CallIndirect { .. } => {
                self.bounded = false;
                self.take(|due| Some((at, Action::Call(due))));
            }
            Operator::MemoryGrow { .. } => {
                self.bounded = false;
                self.take(|due| Some((at, Action::Grow(due))));
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
        self.frames.push(Frame { is_loop, arms, has_else: false, is_empty, ways: Vec::new() });
    }

    /// The frame that a branch of this depth goes to.
    fn target(&mut self, depth: u32) -> Option<&mut Frame> {
        self.frames.iter_mut().rev().nth(depth as usize)
    }

    fn come(&mut self, depth: u32, way: Way, due: u64) {
        if let Some(frame) = self.target(depth)
            && !frame.is_loop
        {
            frame.ways.push((way, due));
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
                let mut left = self.frames.iter().rev().take(depth as usize);
                let leaves_loop = left.any(|frame| frame.is_loop);
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
            // Control comes here only by running through. Code that follows what never ends counts
            // as reached, as it does in validation.
            self.due = Some(self.due.unwrap_or(0));
            return;
        }
        if let Some(due) = self.due {
            frame.ways.push((Way::Through(at), due));
        }
        if let (Some(due), false) = (frame.arms, frame.has_else) {
            frame.ways.push((Way::MissingElse, due));
        }
        let least = frame.ways.iter().map(|(_, due)| *due).min().unwrap_or(0);
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
        if self.frames.is_empty() {
            self.at_end = least;
        }
        self.due = Some(least);
    }
}

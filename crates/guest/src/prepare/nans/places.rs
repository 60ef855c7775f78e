//! Finds where a body makes numbers canonical.
//!
//! The body is walked as a validator walks it, with what is known of each operand. Where an operand
//! is taken by an operator that may see its bits, the operator that put it there is marked. Three
//! walks do it: the first finds out which locals never hold a NaN that is neither canonical nor the
//! result of a computation, the second counts how such a local is used, and the third marks.

use wasmparser::{ContType, FrameKind, FuncType, ModuleArity, Operator, RefType, SubType, ValType};

use super::roles::{self, Float, Role};
use crate::prepare::arity::{Signature, Signatures};

/// What is known of the bits of an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bits {
    /// They are the guest's, whatever they are. Also those of what is no float.
    Exact,
    /// They are the guest's, and no NaN but the canonical one.
    Canonical(Float),
    /// As `Canonical`, but if they are a NaN, it may be another one. This is not known to the guest
    /// as long as nobody sees it.
    Loose(Float),
    /// As a local holds them that may turn out to hold any.
    Of(u32, Float),
}

/// An operand, and which operator put it onto the stack.
#[derive(Clone, Copy)]
struct Operand {
    bits: Bits,
    from: usize,
}

/// How a local of a float type holds its numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Local {
    /// As they are. It is a parameter, or no float, or holds a number that the guest made by other
    /// means than computing.
    Exact,
    /// They come from computations alone.
    Computed(Float),
    /// They come from computations alone, and are made canonical where they are read.
    Loose(Float),
}

/// How often a local is used, each use weighed by the loops around it.
#[derive(Clone, Copy, Default)]
struct Uses {
    /// How often a result is put into it that is not canonical.
    set: u64,
    /// How often its bits are seen.
    seen: u64,
}

struct Frame {
    height: usize,
    ty: Signature,
    is_loop: bool,
    /// Whether control does not come to where the walk is.
    is_dead: bool,
    /// Whether control did not come to its beginning.
    was_dead: bool,
}

struct Walk<'a> {
    signatures: &'a Signatures,
    operands: Vec<Operand>,
    frames: Vec<Frame>,
    loops: u32,
    locals: Vec<Local>,
    uses: Vec<Uses>,
    /// The locals that are given what another one holds: `(from, to)`.
    handed_on: Vec<(u32, u32)>,
    /// The locals that are given a number that is not from a computation.
    given_exact: Vec<u32>,
    marked: Vec<(usize, Float)>,
}

/// After which operators the topmost operand has to be made canonical, in ascending order.
pub(super) fn find(
    signatures: &Signatures,
    operators: &[Operator<'_>],
    declared: &[(u32, ValType)],
    defined: usize,
) -> Vec<(usize, Float)> {
    let own = signatures.defined(defined);
    let mut locals = vec![Local::Exact; usize::try_from(own.params).unwrap_or_default()];
    for (count, ty) in declared {
        let local = match ty {
            ValType::F32 => Local::Computed(Float::F32),
            ValType::F64 => Local::Computed(Float::F64),
            _ => Local::Exact,
        };
        locals.extend(std::iter::repeat_n(local, *count as usize));
    }
    let mut walk = Walk {
        signatures,
        operands: Vec::new(),
        frames: Vec::new(),
        loops: 0,
        uses: Vec::new(),
        locals,
        handed_on: Vec::new(),
        given_exact: Vec::new(),
        marked: Vec::new(),
    };
    if walk.locals.iter().any(|local| *local != Local::Exact) {
        walk.run(operators, own);
        walk.spread_exact();
        walk.run(operators, own);
        walk.choose();
    }
    walk.run(operators, own);
    walk.marked.sort_unstable_by_key(|(at, _)| *at);
    walk.marked.dedup_by_key(|(at, _)| *at);
    walk.marked
}

impl Walk<'_> {
    fn run(&mut self, operators: &[Operator<'_>], own: Signature) {
        self.operands.clear();
        self.marked.clear();
        self.handed_on.clear();
        self.given_exact.clear();
        self.uses = vec![Uses::default(); self.locals.len()];
        self.loops = 0;
        let ty = Signature { params: 0, results: own.results };
        self.frames =
            vec![Frame { height: 0, ty, is_loop: false, is_dead: false, was_dead: false }];
        for (at, operator) in operators.iter().enumerate() {
            self.operator(at, operator);
        }
    }

    /// Whatever is handed on from a local that may hold any number may be any number.
    fn spread_exact(&mut self) {
        let mut next = std::mem::take(&mut self.given_exact);
        let mut to = std::mem::take(&mut self.handed_on);
        to.sort_unstable();
        to.dedup();
        while let Some(local) = next.pop() {
            let Some(known) = self.locals.get_mut(local as usize) else { continue };
            if *known == Local::Exact {
                continue;
            }
            *known = Local::Exact;
            let first = to.partition_point(|(from, _)| *from < local);
            let reached = to.iter().skip(first).take_while(|(from, _)| *from == local);
            next.extend(reached.map(|(_, to)| *to));
        }
    }

    /// A local holds numbers that are not canonical where they are seen less often than set.
    fn choose(&mut self) {
        for (local, uses) in self.locals.iter_mut().zip(&self.uses) {
            if let Local::Computed(float) = *local
                && uses.seen < uses.set
            {
                *local = Local::Loose(float);
            }
        }
    }

    fn weight(&self) -> u64 {
        8u64.saturating_pow(self.loops.min(6))
    }

    fn is_dead(&self) -> bool {
        self.frames.last().is_none_or(|frame| frame.is_dead)
    }

    fn push(&mut self, bits: Bits, from: usize) {
        self.operands.push(Operand { bits, from });
    }

    fn push_exact(&mut self, count: u64, from: usize) {
        for _ in 0..count {
            self.push(Bits::Exact, from);
        }
    }

    fn pop(&mut self) -> Operand {
        self.operands.pop().unwrap_or(Operand { bits: Bits::Exact, from: 0 })
    }

    /// Takes this many operands, whose bits are seen.
    fn pop_seen(&mut self, count: u64) {
        for _ in 0..count {
            let operand = self.pop();
            self.see(operand);
        }
    }

    /// The bits of an operand are seen.
    fn see(&mut self, operand: Operand) {
        match operand.bits {
            Bits::Loose(float) => self.marked.push((operand.from, float)),
            Bits::Of(local, _) => {
                let weight = self.weight();
                if let Some(uses) = self.uses.get_mut(local as usize) {
                    uses.seen = uses.seen.saturating_add(weight);
                }
            }
            Bits::Exact | Bits::Canonical(_) => {}
        }
    }

    /// Takes an operand to which it makes no difference which NaN it is, if it is of this type.
    fn pop_for(&mut self, float: Float) {
        let operand = self.pop();
        match operand.bits {
            Bits::Loose(found) | Bits::Of(_, found) if found == float => {}
            _ => self.see(operand),
        }
    }

    fn operator(&mut self, at: usize, operator: &Operator<'_>) {
        match operator {
            Operator::Block { blockty } => {
                return self.enter(self.signatures.block(*blockty), false, at);
            }
            Operator::Loop { blockty } => {
                return self.enter(self.signatures.block(*blockty), true, at);
            }
            Operator::If { blockty } => {
                if !self.is_dead() {
                    self.pop();
                }
                return self.enter(self.signatures.block(*blockty), false, at);
            }
            Operator::Else => return self.otherwise(at),
            Operator::End => return self.end(at),
            _ if self.is_dead() => return,
            _ => {}
        }
        match operator {
            Operator::Br { relative_depth } => {
                self.leave(self.taken_along(*relative_depth));
            }
            Operator::BrTable { targets } => {
                self.pop();
                self.leave(self.taken_along(targets.default()));
            }
            Operator::Return => {
                let results = self.frames.first().map_or(0, |frame| frame.ty.results);
                self.leave(results);
            }
            Operator::Unreachable => self.leave(0),
            Operator::BrIf { relative_depth } => {
                self.pop();
                self.see_topmost(self.taken_along(*relative_depth));
            }
            Operator::Call { function_index } => {
                let ty = self.signatures.function(*function_index);
                self.pop_seen(ty.params);
                self.push_exact(ty.results, at);
            }
            Operator::CallIndirect { type_index, .. } => {
                let ty = self.signatures.ty(*type_index);
                self.pop_seen(ty.params + 1);
                self.push_exact(ty.results, at);
            }
            Operator::ReturnCall { function_index } => {
                self.leave(self.signatures.function(*function_index).params);
            }
            Operator::ReturnCallIndirect { type_index, .. } => {
                self.leave(self.signatures.ty(*type_index).params + 1);
            }
            Operator::Drop => {
                self.pop();
            }
            Operator::LocalGet { local_index } => self.push(self.held(*local_index), at),
            Operator::LocalSet { local_index } => {
                let operand = self.pop();
                self.set(*local_index, operand);
            }
            Operator::LocalTee { local_index } => {
                let operand = self.pop();
                self.set(*local_index, operand);
                self.push(self.held(*local_index), at);
            }
            Operator::Select | Operator::TypedSelect { .. } => {
                self.pop();
                let (second, first) = (self.pop(), self.pop());
                let bits = either(first.bits, second.bits);
                if bits == Bits::Exact {
                    self.see(first);
                    self.see(second);
                }
                self.push(bits, at);
            }
            operator => self.plain(at, operator),
        }
    }

    /// An operator that neither branches nor touches a local.
    fn plain(&mut self, at: usize, operator: &Operator<'_>) {
        let (takes, gives) = operator.operator_arity(&NoModule).unwrap_or_default();
        match roles::of(operator) {
            Role::Computes { takes: float, gives } => {
                for _ in 0..takes {
                    self.pop_for(float);
                }
                self.push(Bits::Loose(gives), at);
            }
            Role::Compares(float) => {
                for _ in 0..takes {
                    self.pop_for(float);
                }
                self.push_exact(gives.into(), at);
            }
            Role::Absolute(float) => {
                let operand = self.pop();
                let bits = match operand.bits {
                    Bits::Canonical(found) | Bits::Loose(found) | Bits::Of(_, found)
                        if found == float =>
                    {
                        operand.bits
                    }
                    _ => {
                        self.see(operand);
                        Bits::Exact
                    }
                };
                self.push(bits, at);
            }
            Role::Makes(float) => {
                self.pop_seen(takes.into());
                self.push(Bits::Canonical(float), at);
            }
            Role::Sees => {
                self.pop_seen(takes.into());
                self.push_exact(gives.into(), at);
            }
        }
    }

    /// What a local's number is like where it is read.
    fn held(&self, local: u32) -> Bits {
        match self.locals.get(local as usize) {
            Some(Local::Computed(float)) => Bits::Of(local, *float),
            Some(Local::Loose(float)) => Bits::Loose(*float),
            _ => Bits::Exact,
        }
    }

    /// An operand is put into a local.
    fn set(&mut self, local: u32, operand: Operand) {
        match self.locals.get(local as usize) {
            Some(Local::Computed(_)) => match operand.bits {
                Bits::Exact => self.given_exact.push(local),
                Bits::Of(from, _) => self.handed_on.push((from, local)),
                Bits::Canonical(_) => {}
                Bits::Loose(_) => {
                    // It is canonical in the local, unless the local turns out to hold it as it is.
                    self.see(operand);
                    let weight = self.weight();
                    if let Some(uses) = self.uses.get_mut(local as usize) {
                        uses.set = uses.set.saturating_add(weight);
                    }
                }
            },
            Some(Local::Loose(_)) => {}
            _ => self.see(operand),
        }
    }

    /// Control goes elsewhere, and takes this many operands along.
    fn leave(&mut self, count: u64) {
        self.pop_seen(count);
        if let Some(frame) = self.frames.last_mut() {
            frame.is_dead = true;
        }
    }

    /// How many operands a branch of this depth takes along.
    fn taken_along(&self, depth: u32) -> u64 {
        let frame = self.frames.iter().rev().nth(depth as usize);
        frame.map_or(0, |frame| if frame.is_loop { frame.ty.params } else { frame.ty.results })
    }

    /// The bits of this many operands are seen, which stay on the stack, and are canonical then.
    fn see_topmost(&mut self, count: u64) {
        let first =
            self.operands.len().saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
        for at in first..self.operands.len() {
            let Some(operand) = self.operands.get_mut(at) else { continue };
            let seen = *operand;
            if let Bits::Loose(float) = operand.bits {
                operand.bits = Bits::Canonical(float);
            }
            self.see(seen);
        }
    }

    fn enter(&mut self, ty: Signature, is_loop: bool, at: usize) {
        let was_dead = self.is_dead();
        if !was_dead {
            self.pop_seen(ty.params);
        }
        self.loops += u32::from(is_loop);
        let height = self.operands.len();
        self.frames.push(Frame { height, ty, is_loop, is_dead: was_dead, was_dead });
        if !was_dead {
            self.push_exact(ty.params, at);
        }
    }

    fn otherwise(&mut self, at: usize) {
        let Some(frame) = self.frames.last() else { return };
        let (height, ty, is_dead, was_dead) =
            (frame.height, frame.ty, frame.is_dead, frame.was_dead);
        if !is_dead {
            self.pop_seen(ty.results);
        }
        self.operands.truncate(height);
        if !was_dead {
            self.push_exact(ty.params, at);
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.is_dead = was_dead;
        }
    }

    fn end(&mut self, at: usize) {
        let Some(frame) = self.frames.pop() else { return };
        if !frame.is_dead {
            self.pop_seen(frame.ty.results);
        }
        self.loops -= u32::from(frame.is_loop);
        self.operands.truncate(frame.height);
        if !frame.was_dead {
            self.push_exact(frame.ty.results, at);
        }
    }
}

/// What is known of one of two operands.
fn either(first: Bits, second: Bits) -> Bits {
    use Bits::{Canonical, Exact, Loose, Of};
    match (first, second) {
        (first, second) if first == second => first,
        (Loose(one), Loose(other) | Canonical(other)) | (Canonical(one), Loose(other))
            if one == other =>
        {
            Loose(one)
        }
        // The local may turn out to hold any number, and then this is one.
        (Of(local, one), Canonical(other)) | (Canonical(other), Of(local, one)) if one == other => {
            Of(local, one)
        }
        _ => Exact,
    }
}

/// Nothing is asked of it: the operators that depend on a module are looked at before.
struct NoModule;

impl ModuleArity for NoModule {
    fn sub_type_at(&self, _: u32) -> Option<&SubType> {
        None
    }

    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }

    fn type_index_of_function(&self, _: u32) -> Option<u32> {
        None
    }

    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }

    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }

    fn control_stack_height(&self) -> u32 {
        0
    }

    fn label_block(&self, _: u32) -> Option<(wasmparser::BlockType, FrameKind)> {
        None
    }
}

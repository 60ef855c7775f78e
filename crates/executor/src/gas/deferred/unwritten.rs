//! Where the counter lags behind the local that mirrors it.
//!
//! A charge changes the local. The counter, which others read, follows before an operator that may
//! end the execution, call, or leave the function: so it is exact whenever somebody looks. A path
//! that branches away before such an operator takes what is not written down along, and one store
//! writes the charges of several blocks.

use wasmparser::Operator;

/// What is known, at one place of a body, of whether the counter is what the local is.
pub(super) struct Unwritten {
    /// Whether a charge may not be in the counter.
    lags: bool,
    /// The blocks around the place, the function itself first.
    blocks: Vec<Block>,
}

struct Block {
    is_loop: bool,
    /// Whether the counter may lag behind on a path that comes to the block's end.
    at_end: bool,
    /// The same on the path that does not enter an `if`.
    at_else: bool,
}

impl Unwritten {
    pub(super) fn new() -> Self {
        Self { lags: false, blocks: vec![Block { is_loop: false, at_end: false, at_else: false }] }
    }

    /// The local has changed.
    pub(super) fn charged(&mut self) {
        self.lags = true;
    }

    /// The counter is what the local is.
    pub(super) fn written(&mut self) {
        self.lags = false;
    }

    /// Whether the counter must be written before `operator`.
    pub(super) fn is_due(&self, operator: &Operator<'_>) -> bool {
        self.lags
            && match operator {
                Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                    self.leaves(*relative_depth)
                }
                // A table that cannot be read does not validate.
                Operator::BrTable { targets } => {
                    self.leaves(targets.default())
                        || targets
                            .targets()
                            .any(|depth| depth.is_ok_and(|depth| self.leaves(depth)))
                }
                Operator::End => self.blocks.len() == 1,
                operator => !goes_on(operator),
            }
    }

    /// Whether a branch to the block of this depth leaves the function.
    fn leaves(&self, depth: u32) -> bool {
        usize::try_from(depth).is_ok_and(|depth| depth + 1 >= self.blocks.len())
    }

    /// What is known behind `operator`, before which the counter was written if that
    /// [was due](Self::is_due).
    pub(super) fn passed(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. } | Operator::If { .. } => {
                let at_else = self.lags && matches!(operator, Operator::If { .. });
                self.blocks.push(Block { is_loop: false, at_end: false, at_else });
            }
            Operator::Loop { .. } => {
                self.blocks.push(Block { is_loop: true, at_end: false, at_else: false });
                // The loop's head is reached from its end, too.
                self.lags = true;
            }
            Operator::Else => {
                if let Some(block) = self.blocks.last_mut() {
                    block.at_end |= self.lags;
                    self.lags = std::mem::take(&mut block.at_else);
                }
            }
            Operator::End => {
                let block = self.blocks.pop();
                self.lags |= block.is_some_and(|block| block.at_end || block.at_else);
            }
            Operator::Br { relative_depth } => {
                self.branches(*relative_depth);
                self.lags = false;
            }
            Operator::BrIf { relative_depth } => self.branches(*relative_depth),
            Operator::BrTable { targets } => {
                self.branches(targets.default());
                targets.targets().flatten().for_each(|depth| self.branches(depth));
                self.lags = false;
            }
            Operator::Return | Operator::Unreachable => self.lags = false,
            _ => {}
        }
    }

    fn branches(&mut self, depth: u32) {
        let lags = self.lags;
        let depth = usize::try_from(depth).unwrap_or(usize::MAX);
        if let Some(block) = self.blocks.iter_mut().rev().nth(depth)
            && !block.is_loop
        {
            block.at_end |= lags;
        }
    }
}

/// Whether the function always goes on behind `operator`, and nobody else runs in between.
fn goes_on(operator: &Operator<'_>) -> bool {
    use Operator as Op;
    matches!(
        operator,
        Op::Nop
            | Op::Block { .. }
            | Op::Loop { .. }
            | Op::If { .. }
            | Op::Else
            | Op::Drop
            | Op::Select
            | Op::TypedSelect { .. }
            | Op::LocalGet { .. }
            | Op::LocalSet { .. }
            | Op::LocalTee { .. }
            | Op::GlobalGet { .. }
            | Op::GlobalSet { .. }
            | Op::MemorySize { .. }
            | Op::TableSize { .. }
            | Op::I32Const { .. }
            | Op::I64Const { .. }
            | Op::F32Const { .. }
            | Op::F64Const { .. }
            | Op::I32Eqz
            | Op::I32Eq
            | Op::I32Ne
            | Op::I32LtS
            | Op::I32LtU
            | Op::I32GtS
            | Op::I32GtU
            | Op::I32LeS
            | Op::I32LeU
            | Op::I32GeS
            | Op::I32GeU
            | Op::I64Eqz
            | Op::I64Eq
            | Op::I64Ne
            | Op::I64LtS
            | Op::I64LtU
            | Op::I64GtS
            | Op::I64GtU
            | Op::I64LeS
            | Op::I64LeU
            | Op::I64GeS
            | Op::I64GeU
            | Op::F32Eq
            | Op::F32Ne
            | Op::F32Lt
            | Op::F32Gt
            | Op::F32Le
            | Op::F32Ge
            | Op::F64Eq
            | Op::F64Ne
            | Op::F64Lt
            | Op::F64Gt
            | Op::F64Le
            | Op::F64Ge
            | Op::I32Clz
            | Op::I32Ctz
            | Op::I32Popcnt
            | Op::I32Add
            | Op::I32Sub
            | Op::I32Mul
            | Op::I32And
            | Op::I32Or
            | Op::I32Xor
            | Op::I32Shl
            | Op::I32ShrS
            | Op::I32ShrU
            | Op::I32Rotl
            | Op::I32Rotr
            | Op::I64Clz
            | Op::I64Ctz
            | Op::I64Popcnt
            | Op::I64Add
            | Op::I64Sub
            | Op::I64Mul
            | Op::I64And
            | Op::I64Or
            | Op::I64Xor
            | Op::I64Shl
            | Op::I64ShrS
            | Op::I64ShrU
            | Op::I64Rotl
            | Op::I64Rotr
            | Op::F32Abs
            | Op::F32Neg
            | Op::F32Ceil
            | Op::F32Floor
            | Op::F32Trunc
            | Op::F32Nearest
            | Op::F32Sqrt
            | Op::F32Add
            | Op::F32Sub
            | Op::F32Mul
            | Op::F32Div
            | Op::F32Min
            | Op::F32Max
            | Op::F32Copysign
            | Op::F64Abs
            | Op::F64Neg
            | Op::F64Ceil
            | Op::F64Floor
            | Op::F64Trunc
            | Op::F64Nearest
            | Op::F64Sqrt
            | Op::F64Add
            | Op::F64Sub
            | Op::F64Mul
            | Op::F64Div
            | Op::F64Min
            | Op::F64Max
            | Op::F64Copysign
            | Op::I32WrapI64
            | Op::I64ExtendI32S
            | Op::I64ExtendI32U
            | Op::I32Extend8S
            | Op::I32Extend16S
            | Op::I64Extend8S
            | Op::I64Extend16S
            | Op::I64Extend32S
            | Op::I32TruncSatF32S
            | Op::I32TruncSatF32U
            | Op::I32TruncSatF64S
            | Op::I32TruncSatF64U
            | Op::I64TruncSatF32S
            | Op::I64TruncSatF32U
            | Op::I64TruncSatF64S
            | Op::I64TruncSatF64U
            | Op::F32ConvertI32S
            | Op::F32ConvertI32U
            | Op::F32ConvertI64S
            | Op::F32ConvertI64U
            | Op::F32DemoteF64
            | Op::F64ConvertI32S
            | Op::F64ConvertI32U
            | Op::F64ConvertI64S
            | Op::F64ConvertI64U
            | Op::F64PromoteF32
            | Op::I32ReinterpretF32
            | Op::I64ReinterpretF64
            | Op::F32ReinterpretI32
            | Op::F64ReinterpretI64
            | Op::RefNull { .. }
            | Op::RefFunc { .. }
            | Op::RefIsNull
    )
}

#[cfg(test)]
mod tests {
    use wasmparser::{Parser, Payload};

    use super::*;

    /// The operators before which the counter is written in a function with this body, in which
    /// each `nop` stands for a charge.
    fn due(body: &str) -> Vec<String> {
        let code =
            wat::parse_str(format!("(module (memory 1) (func (param i32) {body}))")).unwrap();
        let (mut unwritten, mut due) = (Unwritten::new(), Vec::new());
        for payload in Parser::new(0).parse_all(&code) {
            let Payload::CodeSectionEntry(body) = payload.unwrap() else { continue };
            for operator in body.get_operators_reader().unwrap() {
                let operator = operator.unwrap();
                if operator == Operator::Nop {
                    unwritten.charged();
                }
                if unwritten.is_due(&operator) {
                    unwritten.written();
                    let name = format!("{operator:?}");
                    due.push(name.split([' ', '{']).next().unwrap().to_owned());
                }
                unwritten.passed(&operator);
            }
        }
        due
    }

    const LOAD: &str = "(drop (i32.load (i32.const 0)))";
    const IF: &str = "local.get 0 if";

    #[test]
    fn the_counter_is_written_before_what_may_trap_and_once() {
        assert_eq!(due(&format!("nop {LOAD} {LOAD}")), ["I32Load"]);
        assert_eq!(due(&format!("nop nop {LOAD} nop")), ["I32Load", "End"]);
        assert_eq!(due("nop return"), ["Return"]);
        assert_eq!(due("nop unreachable"), ["Unreachable"]);
        assert_eq!(due("local.get 0 drop"), [""; 0]);
    }

    #[test]
    fn a_branch_takes_along_what_is_not_written() {
        assert_eq!(due(&format!("block nop {IF} br 1 end end {LOAD}")), ["I32Load"]);
        assert_eq!(due(&format!("block local.get 0 br_if 0 nop end {LOAD}")), ["I32Load"]);
        assert_eq!(due(&format!("block nop local.get 0 br_if 0 {LOAD} end {LOAD}")).len(), 2);
        assert_eq!(
            due(&format!("block block nop local.get 0 br_table 0 1 end {LOAD} end")).len(),
            2
        );
        // What comes behind a branch cannot be reached.
        assert_eq!(due(&format!("block nop {LOAD} br 0 end {LOAD}")), ["I32Load"]);
    }

    #[test]
    fn both_arms_of_an_if_count() {
        assert_eq!(due(&format!("{IF} nop end {LOAD}")), ["I32Load"]);
        assert_eq!(due(&format!("{IF} else nop end {LOAD}")), ["I32Load"]);
        assert_eq!(due(&format!("nop {IF} {LOAD} end {LOAD}")), ["I32Load", "I32Load"]);
        assert_eq!(due(&format!("nop {IF} {LOAD} else {LOAD} end {LOAD}")), ["I32Load", "I32Load"]);
        assert_eq!(due(&format!("nop {LOAD} {IF} end {LOAD}")), ["I32Load"]);
    }

    #[test]
    fn the_head_of_a_loop_is_reached_from_its_end() {
        assert_eq!(due(&format!("loop {LOAD} nop local.get 0 br_if 0 end")), ["I32Load", "End"]);
    }

    #[test]
    fn a_branch_out_of_the_function_is_its_end() {
        for branch in ["br 1", "local.get 0 br_if 1", "local.get 0 br_table 0 1"] {
            let due = due(&format!("block nop {branch} end"));
            assert_eq!(due.len(), 1, "{branch}: {due:?}");
            assert!(due[0].starts_with("Br"), "{branch}: {due:?}");
        }
    }
}

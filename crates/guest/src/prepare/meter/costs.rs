//! What a guest's own computation costs, in units of fuel.
//!
//! An operator costs one unit, and one that makes no code costs nothing. A relaxed vector operator
//! that is made of several plain ones costs as many. Entering a function costs
//! [`fuel::ENTRY`], also by a tail call. A bulk operator costs [`fuel::BULK`], and one unit more
//! for each byte or element. Growth is paid for when it has succeeded.

use wasmparser::Operator;

use crate::{fuel, prepare::relaxed::Plain};

/// What an operator costs, without what depends on its operands.
pub(super) fn operator(operator: &Operator<'_>) -> u64 {
    match operator {
        Operator::Nop
        | Operator::Drop
        | Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::Unreachable
        | Operator::Return
        | Operator::Else
        | Operator::End => 0,
        Operator::MemoryGrow { .. } => fuel::MEMORY_GROW,
        Operator::TableGrow { .. } => fuel::TABLE_GROW,
        Operator::RefFunc { .. } => fuel::REF_FUNC,
        operator if is_linear(operator) => fuel::BULK,
        operator => Plain::of(operator).map_or(1, Plain::operators),
    }
}

/// Whether an operator costs one unit more for each byte or element that its last operand counts.
pub(super) fn is_linear(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryInit { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableInit { .. }
    )
}

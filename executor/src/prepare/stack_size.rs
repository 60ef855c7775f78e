//! What each function of a module needs of the stack, by finite-wasm's analysis.

use finite_wasm::{
    Analysis, max_stack::SizeConfig, prefix_sum_vec::PrefixSumVec, wasmparser::ValType,
};
use outlayer_protocol::Status;

use crate::verdict::invalid_module;

/// The part of every frame that is no local: return address, saved registers.
const FRAME_BYTES: u64 = 64;

struct Sizes;

fn size(ty: ValType) -> u8 {
    match ty {
        ValType::I32 | ValType::F32 => 4,
        ValType::I64 | ValType::F64 | ValType::Ref(_) => 8,
        ValType::V128 => 16,
    }
}

impl SizeConfig for Sizes {
    fn size_of_value(&self, ty: ValType) -> u8 {
        size(ty)
    }

    fn size_of_function_activation(&self, locals: &PrefixSumVec<ValType, u32>) -> u64 {
        let (mut bytes, mut next) = (FRAME_BYTES, 0u64);
        for (last, ty) in locals {
            let last = u64::from(*last);
            bytes += (last + 1).saturating_sub(next) * u64::from(size(*ty));
            next = last + 1;
        }
        bytes
    }
}

/// The need of each function that the module defines, in order, in bytes of the accounting.
pub(super) fn charges(code: &[u8]) -> Result<Vec<u32>, Status> {
    let analysis = Analysis::new()
        .with_stack(Sizes)
        .analyze(code)
        .map_err(|error| invalid_module(format!("the stack's size cannot be told: {error}")))?;
    let frames = analysis.function_frame_sizes.into_iter();
    Ok(frames
        .zip(analysis.function_operand_stack_sizes)
        .map(|(frame, operands)| u32::try_from(frame.saturating_add(operands)).unwrap_or(u32::MAX))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_its_fixed_part_its_locals_and_its_operands() {
        let module = wat::parse_str(
            "(module
                (func)
                (func (param i32 i64) (local f64 v128))
                (func (result i32) (i32.add (i32.const 1) (i32.const 2)))
                (func (local i64 i64 i64)))",
        )
        .unwrap();
        assert_eq!(charges(&module).unwrap(), [64, 64 + 4 + 8 + 8 + 16, 64 + 8, 64 + 24]);
    }
}

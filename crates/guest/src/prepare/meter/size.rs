//! How much stack each function of a module needs, by finite-wasm's analysis.

use finite_wasm::{
    Analysis, max_stack::SizeConfig, prefix_sum_vec::PrefixSumVec, wasmparser::ValType,
};
use outlayer_protocol::Status;

use super::values;
use crate::verdict::invalid_module;

/// The part of every frame that is not a local: return address, saved registers.
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

/// A byte of the values that a function makes counts for so little of a byte that is needed. A
/// native frame is at most this many times what is counted
/// ([`NATIVE_STACK_BYTES`](super::NATIVE_STACK_BYTES)): the values take what they count for, and
/// the fixed part is enough for whatever else a frame has.
pub(super) const MADE_BYTES_A_BYTE: u64 = 32;

/// What each function needs that the module defines, in their order, bytes.
pub(super) fn needs(code: &[u8]) -> Result<Vec<u32>, Status> {
    let analysis = Analysis::new()
        .with_stack(Sizes)
        .analyze(code)
        .map_err(|error| invalid_module(format!("the stack's size cannot be told: {error}")))?;
    let made = values::made(code).map_err(|error| invalid_module(error.message()))?;
    let frames = analysis.function_frame_sizes.into_iter();
    let needs = frames.zip(analysis.function_operand_stack_sizes).zip(made);
    Ok(needs
        .map(|((frame, operands), made)| {
            let need = frame.saturating_add(operands).saturating_add(made / MADE_BYTES_A_BYTE);
            u32::try_from(need).unwrap_or(u32::MAX)
        })
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
        assert_eq!(needs(&module).unwrap(), [64, 64 + 4 + 8 + 8 + 16, 64 + 8, 64 + 24]);
    }

    #[test]
    fn a_function_that_makes_many_values_needs_more() {
        let of = |body: &str, count: usize| {
            let body = format!("(drop {body})").repeat(count);
            let text = format!("(module (func (param i32 f64) {body}))");
            needs(&wat::parse_str(text).unwrap()).unwrap()[0]
        };
        assert_eq!(of("(i32.const 1)", 1_000), 64 + 12 + 4);
        assert_eq!(of("(i32.eqz (local.get 0))", 1_000), 64 + 12 + 4 + 8_000 / 32);
        assert_eq!(of("(f64.neg (local.get 1))", 1_000), 64 + 12 + 8 + 16_000 / 32);
    }
}

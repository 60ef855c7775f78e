//! How much stack each function of a module needs, by finite-wasm's analysis.

use finite_wasm::{
    Analysis, max_stack::SizeConfig, prefix_sum_vec::PrefixSumVec, wasmparser::ValType,
};
use outlayer_protocol::Status;
use wasmparser::{BinaryReaderError, Parser, Payload};

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

/// A function is counted with at least one byte for this many operators. A compiler may keep values
/// that the code only names again, which no analysis of operands sees: about 4 bytes an operator at
/// most, found by experiment. So a native frame is at most 16 times what is counted.
const OPERATORS_A_BYTE: u64 = 4;

/// How many operators each function has that the module defines.
fn operators(code: &[u8]) -> Result<Vec<u64>, BinaryReaderError> {
    let mut counts = Vec::new();
    for payload in Parser::new(0).parse_all(code) {
        if let Payload::CodeSectionEntry(body) = payload? {
            let mut count = 0;
            for operator in body.get_operators_reader()? {
                operator?;
                count += 1;
            }
            counts.push(count);
        }
    }
    Ok(counts)
}

/// What each function needs that the module defines, in their order, bytes.
pub(super) fn charges(code: &[u8]) -> Result<Vec<u32>, Status> {
    let analysis = Analysis::new()
        .with_stack(Sizes)
        .analyze(code)
        .map_err(|error| invalid_module(format!("the stack's size cannot be told: {error}")))?;
    let operators = operators(code).map_err(|error| invalid_module(error.message()))?;
    let frames = analysis.function_frame_sizes.into_iter();
    let needs = frames.zip(analysis.function_operand_stack_sizes).zip(operators);
    Ok(needs
        .map(|((frame, operands), operators)| {
            let need = frame.saturating_add(operands).max(operators / OPERATORS_A_BYTE);
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
        assert_eq!(charges(&module).unwrap(), [64, 64 + 4 + 8 + 8 + 16, 64 + 8, 64 + 24]);
    }

    #[test]
    fn a_function_of_many_operators_needs_more() {
        let body = "(drop (i32.const 1))".repeat(1_000);
        let module = wat::parse_str(format!("(module (func {body}))")).unwrap();
        assert_eq!(charges(&module).unwrap(), [2_001 / 4]);
    }
}

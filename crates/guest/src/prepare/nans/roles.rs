//! What operators do with floats.

use wasmparser::Operator;

/// The canonical NaN of 32 bits.
pub(super) const CANONICAL_32: u32 = 0x7fc0_0000;
/// The canonical NaN of 64 bits.
pub(super) const CANONICAL_64: u64 = 0x7ff8_0000_0000_0000;

/// A type whose values may be NaN, by which a vector also says how many numbers it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Float {
    F32,
    F64,
    F32x4,
    F64x2,
}

/// What an operator does with floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Computes a float of the type `gives` from floats of the type `takes`. It makes no difference
    /// which NaN an operand is.
    Computes { takes: Float, gives: Float },
    /// Computes something else from floats of this type. It makes no difference which NaN an
    /// operand is.
    Compares(Float),
    /// Clears the sign. A canonical NaN stays one, and another NaN another one.
    Absolute(Float),
    /// Makes a float of this type that is no NaN, or is the canonical one.
    Makes(Float),
    /// May see all bits of its operands.
    Sees,
}

/// What `operator` does with floats.
pub(super) fn of(operator: &Operator<'_>) -> Role {
    use Float::{F32, F32x4, F64, F64x2};
    use Operator as Op;
    let computes = |float| Role::Computes { takes: float, gives: float };
    match operator {
        Op::F32Ceil | Op::F32Floor | Op::F32Trunc | Op::F32Nearest | Op::F32Sqrt => computes(F32),
        Op::F32Add | Op::F32Sub | Op::F32Mul | Op::F32Div | Op::F32Min | Op::F32Max => {
            computes(F32)
        }
        Op::F64Ceil | Op::F64Floor | Op::F64Trunc | Op::F64Nearest | Op::F64Sqrt => computes(F64),
        Op::F64Add | Op::F64Sub | Op::F64Mul | Op::F64Div | Op::F64Min | Op::F64Max => {
            computes(F64)
        }
        Op::F32x4Ceil
        | Op::F32x4Floor
        | Op::F32x4Trunc
        | Op::F32x4Nearest
        | Op::F32x4Sqrt
        | Op::F32x4Add
        | Op::F32x4Sub
        | Op::F32x4Mul
        | Op::F32x4Div
        | Op::F32x4Min
        | Op::F32x4Max
        | Op::F32x4RelaxedMin
        | Op::F32x4RelaxedMax
        | Op::F32x4RelaxedMadd
        | Op::F32x4RelaxedNmadd => computes(F32x4),
        Op::F64x2Ceil
        | Op::F64x2Floor
        | Op::F64x2Trunc
        | Op::F64x2Nearest
        | Op::F64x2Sqrt
        | Op::F64x2Add
        | Op::F64x2Sub
        | Op::F64x2Mul
        | Op::F64x2Div
        | Op::F64x2Min
        | Op::F64x2Max
        | Op::F64x2RelaxedMin
        | Op::F64x2RelaxedMax
        | Op::F64x2RelaxedMadd
        | Op::F64x2RelaxedNmadd => computes(F64x2),
        Op::F32DemoteF64 => Role::Computes { takes: F64, gives: F32 },
        Op::F64PromoteF32 => Role::Computes { takes: F32, gives: F64 },
        Op::F32x4DemoteF64x2Zero => Role::Computes { takes: F64x2, gives: F32x4 },
        Op::F64x2PromoteLowF32x4 => Role::Computes { takes: F32x4, gives: F64x2 },
        Op::F32Abs => Role::Absolute(F32),
        Op::F64Abs => Role::Absolute(F64),
        Op::F32x4Abs => Role::Absolute(F32x4),
        Op::F64x2Abs => Role::Absolute(F64x2),
        Op::F32ConvertI32S | Op::F32ConvertI32U | Op::F32ConvertI64S | Op::F32ConvertI64U => {
            Role::Makes(F32)
        }
        Op::F64ConvertI32S | Op::F64ConvertI32U | Op::F64ConvertI64S | Op::F64ConvertI64U => {
            Role::Makes(F64)
        }
        Op::F32Const { value } if is_canonical_32(value.bits()) => Role::Makes(F32),
        Op::F64Const { value } if is_canonical_64(value.bits()) => Role::Makes(F64),
        Op::F32Eq | Op::F32Ne | Op::F32Lt | Op::F32Gt | Op::F32Le | Op::F32Ge => {
            Role::Compares(F32)
        }
        Op::F64Eq | Op::F64Ne | Op::F64Lt | Op::F64Gt | Op::F64Le | Op::F64Ge => {
            Role::Compares(F64)
        }
        Op::I32TruncF32S
        | Op::I32TruncF32U
        | Op::I64TruncF32S
        | Op::I64TruncF32U
        | Op::I32TruncSatF32S
        | Op::I32TruncSatF32U
        | Op::I64TruncSatF32S
        | Op::I64TruncSatF32U => Role::Compares(F32),
        Op::I32TruncF64S
        | Op::I32TruncF64U
        | Op::I64TruncF64S
        | Op::I64TruncF64U
        | Op::I32TruncSatF64S
        | Op::I32TruncSatF64U
        | Op::I64TruncSatF64S
        | Op::I64TruncSatF64U => Role::Compares(F64),
        Op::F32x4Eq
        | Op::F32x4Ne
        | Op::F32x4Lt
        | Op::F32x4Gt
        | Op::F32x4Le
        | Op::F32x4Ge
        | Op::I32x4TruncSatF32x4S
        | Op::I32x4TruncSatF32x4U
        | Op::I32x4RelaxedTruncF32x4S
        | Op::I32x4RelaxedTruncF32x4U => Role::Compares(F32x4),
        Op::F64x2Eq
        | Op::F64x2Ne
        | Op::F64x2Lt
        | Op::F64x2Gt
        | Op::F64x2Le
        | Op::F64x2Ge
        | Op::I32x4TruncSatF64x2SZero
        | Op::I32x4TruncSatF64x2UZero
        | Op::I32x4RelaxedTruncF64x2SZero
        | Op::I32x4RelaxedTruncF64x2UZero => Role::Compares(F64x2),
        _ => Role::Sees,
    }
}

fn is_canonical_32(bits: u32) -> bool {
    !f32::from_bits(bits).is_nan() || bits == CANONICAL_32
}

fn is_canonical_64(bits: u64) -> bool {
    !f64::from_bits(bits).is_nan() || bits == CANONICAL_64
}

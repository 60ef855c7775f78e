//! Relaxed vector operators, as WebAssembly's deterministic profile has them.
//!
//! Such an operator may differ between machines. The specification lists what it may do, and its
//! deterministic profile takes the first of each list. All of these are made of plain operators, so
//! the relaxed ones are replaced by them, and every engine computes the same. In particular, a
//! multiplication and an addition round twice, and the sum of a dot product's pairs saturates.

use wasmparser::Operator;

use super::{
    encode::{indexed, vector},
    op,
};

const I8X16_SHUFFLE: usize = 0x0d;
const I8X16_SWIZZLE: usize = 0x0e;
const I32X4_EXTADD_PAIRWISE_I16X8_S: usize = 0x7e;
const I16X8_Q15MULR_SAT_S: usize = 0x82;
const I16X8_ADD_SAT_S: usize = 0x8f;
const I16X8_EXTMUL_LOW_I8X16_S: usize = 0x9c;
const I16X8_EXTMUL_HIGH_I8X16_S: usize = 0x9d;
const I32X4_ADD: usize = 0xae;
const F32X4_NEG: usize = 0xe1;
const F32X4_ADD: usize = 0xe4;
const F32X4_MUL: usize = 0xe6;
const F32X4_MIN: usize = 0xe8;
const F32X4_MAX: usize = 0xe9;
const F64X2_NEG: usize = 0xed;
const F64X2_ADD: usize = 0xf0;
const F64X2_MUL: usize = 0xf2;
const F64X2_MIN: usize = 0xf4;
const F64X2_MAX: usize = 0xf5;
const I32X4_TRUNC_SAT_F32X4_S: usize = 0xf8;
const I32X4_TRUNC_SAT_F32X4_U: usize = 0xf9;
const I32X4_TRUNC_SAT_F64X2_S_ZERO: usize = 0xfc;
const I32X4_TRUNC_SAT_F64X2_U_ZERO: usize = 0xfd;

/// What a relaxed operator is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    /// One operator on the same operands.
    One(usize),
    /// A product, which may change its sign, and a sum.
    MultiplyAdd { multiply: usize, negate: Option<usize>, add: usize },
    /// Products of bytes, of which two neighbours are added. `adds` says that two neighbours of the
    /// sums are added once more, and a third operand.
    Dot { adds: bool },
}

impl Plain {
    /// What `operator` is made of. `None` for one that is not relaxed.
    pub(super) fn of(operator: &Operator<'_>) -> Option<Self> {
        use Operator as Op;
        let single = |negate| Self::MultiplyAdd { multiply: F32X4_MUL, negate, add: F32X4_ADD };
        let double = |negate| Self::MultiplyAdd { multiply: F64X2_MUL, negate, add: F64X2_ADD };
        Some(match operator {
            Op::I8x16RelaxedSwizzle => Self::One(I8X16_SWIZZLE),
            Op::I32x4RelaxedTruncF32x4S => Self::One(I32X4_TRUNC_SAT_F32X4_S),
            Op::I32x4RelaxedTruncF32x4U => Self::One(I32X4_TRUNC_SAT_F32X4_U),
            Op::I32x4RelaxedTruncF64x2SZero => Self::One(I32X4_TRUNC_SAT_F64X2_S_ZERO),
            Op::I32x4RelaxedTruncF64x2UZero => Self::One(I32X4_TRUNC_SAT_F64X2_U_ZERO),
            Op::I8x16RelaxedLaneselect
            | Op::I16x8RelaxedLaneselect
            | Op::I32x4RelaxedLaneselect
            | Op::I64x2RelaxedLaneselect => Self::One(op::V128_BITSELECT),
            Op::F32x4RelaxedMin => Self::One(F32X4_MIN),
            Op::F32x4RelaxedMax => Self::One(F32X4_MAX),
            Op::F64x2RelaxedMin => Self::One(F64X2_MIN),
            Op::F64x2RelaxedMax => Self::One(F64X2_MAX),
            Op::I16x8RelaxedQ15mulrS => Self::One(I16X8_Q15MULR_SAT_S),
            Op::F32x4RelaxedMadd => single(None),
            Op::F32x4RelaxedNmadd => single(Some(F32X4_NEG)),
            Op::F64x2RelaxedMadd => double(None),
            Op::F64x2RelaxedNmadd => double(Some(F64X2_NEG)),
            Op::I16x8RelaxedDotI8x16I7x16S => Self::Dot { adds: false },
            Op::I32x4RelaxedDotI8x16I7x16AddS => Self::Dot { adds: true },
            _ => return None,
        })
    }

    /// How many operators compute something in what it is made of. Each costs as one.
    pub(super) fn operators(self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::MultiplyAdd { negate: None, .. } => 2,
            Self::MultiplyAdd { negate: Some(_), .. } => 3,
            Self::Dot { adds: false } => 5,
            Self::Dot { adds: true } => 7,
        }
    }

    /// How many locals for vectors it needs.
    fn locals(self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::MultiplyAdd { .. } => 1,
            Self::Dot { adds: false } => 2,
            Self::Dot { adds: true } => 3,
        }
    }

    /// Writes what it is made of. `first` is the first of the locals that it needs.
    pub(super) fn write(self, first: u32, out: &mut Vec<u8>) {
        let third = first.saturating_add(2);
        match self {
            Self::One(operator) => vector(out, operator),
            Self::MultiplyAdd { multiply, negate, add } => {
                indexed(out, op::LOCAL_SET, first);
                vector(out, multiply);
                if let Some(negate) = negate {
                    vector(out, negate);
                }
                indexed(out, op::LOCAL_GET, first);
                vector(out, add);
            }
            Self::Dot { adds: false } => dot(first, out),
            Self::Dot { adds: true } => {
                indexed(out, op::LOCAL_SET, third);
                dot(first, out);
                vector(out, I32X4_EXTADD_PAIRWISE_I16X8_S);
                indexed(out, op::LOCAL_GET, third);
                vector(out, I32X4_ADD);
            }
        }
    }
}

/// How many locals for vectors a body needs for all of its relaxed operators.
pub(super) fn locals(operators: &[Operator<'_>]) -> usize {
    operators.iter().filter_map(Plain::of).map(Plain::locals).max().unwrap_or_default()
}

/// The sums of two neighbours each among the products of two vectors' bytes.
fn dot(first: u32, out: &mut Vec<u8>) {
    let second = first.saturating_add(1);
    // Both vectors, and then the products of their lower and of their upper halves.
    for product in [I16X8_EXTMUL_LOW_I8X16_S, I16X8_EXTMUL_HIGH_I8X16_S] {
        if product == I16X8_EXTMUL_LOW_I8X16_S {
            indexed(out, op::LOCAL_SET, second);
            indexed(out, op::LOCAL_TEE, first);
        } else {
            indexed(out, op::LOCAL_GET, first);
        }
        indexed(out, op::LOCAL_GET, second);
        vector(out, product);
    }
    indexed(out, op::LOCAL_SET, second);
    indexed(out, op::LOCAL_TEE, first);
    for neighbour in 0..2 {
        if neighbour > 0 {
            indexed(out, op::LOCAL_GET, first);
        }
        indexed(out, op::LOCAL_GET, second);
        vector(out, I8X16_SHUFFLE);
        out.extend((0..8).flat_map(|lane| {
            let byte = 4 * lane + 2 * neighbour;
            [byte, byte + 1]
        }));
    }
    vector(out, I16X8_ADD_SAT_S);
}

#[cfg(test)]
mod tests {
    use wasmparser::{Parser, Payload, WasmFeatures};

    use super::*;
    use crate::prepare::{FEATURES, meter, shape};

    const RELAXED: [(&str, usize); 20] = [
        ("i8x16.relaxed_swizzle", 2),
        ("i32x4.relaxed_trunc_f32x4_s", 1),
        ("i32x4.relaxed_trunc_f32x4_u", 1),
        ("i32x4.relaxed_trunc_f64x2_s_zero", 1),
        ("i32x4.relaxed_trunc_f64x2_u_zero", 1),
        ("f32x4.relaxed_madd", 3),
        ("f32x4.relaxed_nmadd", 3),
        ("f64x2.relaxed_madd", 3),
        ("f64x2.relaxed_nmadd", 3),
        ("i8x16.relaxed_laneselect", 3),
        ("i16x8.relaxed_laneselect", 3),
        ("i32x4.relaxed_laneselect", 3),
        ("i64x2.relaxed_laneselect", 3),
        ("f32x4.relaxed_min", 2),
        ("f32x4.relaxed_max", 2),
        ("f64x2.relaxed_min", 2),
        ("f64x2.relaxed_max", 2),
        ("i16x8.relaxed_q15mulr_s", 2),
        ("i16x8.relaxed_dot_i8x16_i7x16_s", 2),
        ("i32x4.relaxed_dot_i8x16_i7x16_add_s", 3),
    ];

    #[test]
    fn no_relaxed_operator_is_left() {
        for (name, operands) in RELAXED {
            let operands = "(local.get 0)".repeat(operands);
            let text = format!("(module (func (param v128) (result v128) ({name} {operands})))");
            let code = wat::parse_str(text).unwrap();
            let instrumented = [
                meter::instrument(&code).unwrap(),
                meter::instrument_in_component(&code).unwrap(),
                meter::instrument_in_composition(&code, 1 << 20).unwrap(),
            ];
            for instrumented in instrumented {
                let plain: WasmFeatures = FEATURES.difference(WasmFeatures::RELAXED_SIMD);
                wasmparser::Validator::new_with_features(plain)
                    .validate_all(&instrumented)
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
                let mut bodies = 0;
                for payload in Parser::new(0).parse_all(&instrumented) {
                    let Payload::CodeSectionEntry(body) = payload.unwrap() else { continue };
                    bodies += 1;
                    let mut operators = body.get_operators_reader().unwrap().into_iter();
                    assert!(operators.all(|operator| Plain::of(&operator.unwrap()).is_none()));
                }
                assert!(bodies > 0);
            }
        }
    }

    /// Engines bound the bytes of a body, and a dot product is made of many.
    #[test]
    fn the_largest_body_stays_one_that_engines_take() {
        for (name, _) in RELAXED {
            let operands = RELAXED.iter().find(|(other, _)| *other == name).unwrap().1;
            let one = format!("{} {name} ", "local.get 0 ".repeat(operands - 1));
            let bytes = 3 + 2 * (operands - 1);
            let locals = "(local f32)".repeat(200);
            let mut count = (shape::MAX_BODY_BYTES - 1_000) / bytes;
            let code = loop {
                let text = format!(
                    "(module (func (param v128) (result v128) {locals} local.get 0 {}))",
                    one.repeat(count)
                );
                let code = wat::parse_str(text).unwrap();
                if shape::check(&code).is_ok() {
                    break code;
                }
                count = count * 9 / 10;
            };
            let instrumented = meter::instrument(&code).unwrap();
            wasmparser::Validator::new_with_features(FEATURES)
                .validate_all(&instrumented)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

//! Canonical NaNs: what a computation makes is the one NaN that every engine agrees on.
//!
//! WebAssembly leaves open which NaN an operator gives, and engines differ. So the result of each
//! operator that computes a float becomes `0x7fc00000` or `0x7ff8000000000000` where it is a NaN.
//! Operators that only move a number, or change its sign, keep all of its bits.
//!
//! That is how it looks from outside. Inside of a function it makes no difference to another
//! computation, or to a comparison, *which* NaN its operand is. So a result stays as it is while
//! only such operators take it, and is made canonical where something else may see its bits: where
//! it is stored, passed on, or taken apart. A local may hold a number that is not canonical, where
//! it is read more often by computations than by something else. `places` finds these places.
//!
//! A number `x` is made canonical by `select(x, NaN, x == x)`.

mod places;
mod roles;

use wasmparser::{BinaryReaderError, Operator, Payload};

use self::roles::Float;
use super::{
    arity::Signatures,
    encode::{indexed, vector},
    function::Body,
    op,
};

/// What must be known of a module to make the NaNs of its functions canonical.
#[derive(Default)]
pub struct Module {
    signatures: Signatures,
}

impl Module {
    /// Reads one of the sections before the code.
    ///
    /// # Errors
    /// When it does not parse.
    pub fn read(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
        self.signatures.read(payload)
    }

    /// Where the body of the `defined`th function makes numbers canonical. `first` is the index of
    /// its first local that is not declared yet.
    pub fn places(&self, body: &Body<'_>, defined: usize, first: u32) -> Places {
        let operators = &body.operators;
        if !operators
            .iter()
            .any(|operator| matches!(roles::of(operator), roles::Role::Computes { .. }))
        {
            return Places::default();
        }
        let found = places::find(&self.signatures, operators, &body.groups, defined);
        Places::new(found, operators, first)
    }
}

/// Where a body makes numbers canonical, and what it needs to do so.
#[derive(Default)]
pub struct Places {
    /// After which operators, ascending, and in which local the number is then.
    places: Vec<(usize, Float, Held)>,
    /// The types of the locals that are added.
    added: Vec<u8>,
    next: usize,
}

/// Where a number is, beside the stack of operands.
#[derive(Clone, Copy)]
enum Held {
    /// In this local of the function's own.
    In(u32),
    /// Nowhere. It is put into this local, which is added.
    To(u32),
}

impl Places {
    fn new(found: Vec<(usize, Float)>, operators: &[Operator<'_>], first: u32) -> Self {
        let mut added: Vec<u8> = Vec::new();
        let mut places = Vec::with_capacity(found.len());
        for (at, float) in found {
            let held = match operators.get(at) {
                Some(Operator::LocalGet { local_index } | Operator::LocalTee { local_index }) => {
                    Held::In(*local_index)
                }
                _ => {
                    let ty = float.ty();
                    let known = added.iter().position(|known| *known == ty);
                    let number = known.unwrap_or_else(|| {
                        added.push(ty);
                        added.len() - 1
                    });
                    Held::To(first.saturating_add(u32::try_from(number).unwrap_or(u32::MAX)))
                }
            };
            places.push((at, float, held));
        }
        Self { places, added, next: 0 }
    }

    /// The locals that are added behind those of the function, each encoded as a group of one: two
    /// bytes.
    pub fn locals(&self) -> Vec<u8> {
        self.added.iter().flat_map(|ty| [1, *ty]).collect()
    }

    /// Writes what belongs behind the operator of this number. Operators come in their order.
    pub fn write_after(&mut self, at: usize, out: &mut Vec<u8>) {
        while let Some((place, float, held)) = self.places.get(self.next)
            && *place <= at
        {
            self.next += 1;
            float.make_canonical(*held, out);
        }
    }
}

impl Float {
    fn ty(self) -> u8 {
        match self {
            Self::F32 => op::F32,
            Self::F64 => op::F64,
            Self::F32x4 | Self::F64x2 => op::V128,
        }
    }

    /// Makes the topmost operand canonical.
    fn make_canonical(self, held: Held, out: &mut Vec<u8>) {
        let local = match held {
            Held::In(local) => local,
            Held::To(local) => {
                indexed(out, op::LOCAL_TEE, local);
                local
            }
        };
        let single = roles::CANONICAL_32.to_le_bytes();
        let double = roles::CANONICAL_64.to_le_bytes();
        match self {
            Self::F32 => {
                out.push(op::F32_CONST);
                out.extend(single);
            }
            Self::F64 => {
                out.push(op::F64_CONST);
                out.extend(double);
            }
            Self::F32x4 => {
                vector(out, op::V128_CONST);
                out.extend(single.repeat(4));
            }
            Self::F64x2 => {
                vector(out, op::V128_CONST);
                out.extend(double.repeat(2));
            }
        }
        indexed(out, op::LOCAL_GET, local);
        indexed(out, op::LOCAL_GET, local);
        match self {
            Self::F32 => out.extend([op::F32_EQ, op::SELECT]),
            Self::F64 => out.extend([op::F64_EQ, op::SELECT]),
            Self::F32x4 | Self::F64x2 => {
                let equal = if self == Self::F32x4 { op::F32X4_EQ } else { op::F64X2_EQ };
                vector(out, equal);
                vector(out, op::V128_BITSELECT);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::{Parser, WasmFeatures};

    use super::*;
    use crate::prepare::{FEATURES, meter, shape};

    /// After which operators of the last function numbers are made canonical, by their names.
    fn places(items: &str) -> Vec<String> {
        let code = wat::parse_str(format!("(module (memory 1) {items})")).unwrap();
        let (mut module, mut defined, mut found) = (Module::default(), 0, Vec::new());
        for payload in Parser::new(0).parse_all(&code) {
            let payload = payload.unwrap();
            module.read(&payload).unwrap();
            let Payload::CodeSectionEntry(body) = payload else { continue };
            let body = Body::read(&body).unwrap();
            let places = module.places(&body, defined, 9);
            let name = |at: usize| format!("{:?}", body.operators[at]);
            found = places.places.iter().map(|(at, ..)| name(*at)).collect();
            defined += 1;
        }
        found
            .into_iter()
            .map(|name: String| name.split(' ').next().unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn only_what_is_seen_is_made_canonical() {
        let store = |value: &str| {
            places(&format!("(func (param f64 f64) (f64.store (i32.const 0) {value}))"))
        };
        let product = "(f64.mul (local.get 0) (local.get 1))";
        assert_eq!(store(product), ["F64Mul"]);
        assert_eq!(store(&format!("(f64.add {product} {product})")), ["F64Add"]);
        assert_eq!(store(&format!("(f64.abs {product})")), ["F64Abs"]);
        assert_eq!(store(&format!("(f64.neg {product})")), ["F64Mul"]);
        assert_eq!(store(&format!("(f64.copysign {product} {product})")), ["F64Mul", "F64Mul"]);
        assert_eq!(store("(local.get 0)"), [""; 0]);
        // A comparison does not see which NaN it is, and neither does a conversion.
        for taken in ["f64.lt (f64.const 1)", "i32.trunc_sat_f64_s"] {
            assert_eq!(
                places(&format!("(func (param f64 f64) (drop ({taken} {product})))")),
                [""; 0]
            );
        }
        // Where one of two may be any number, the other is made canonical at once.
        let select = |other: &str| store(&format!("(select {product} {other} (i32.const 1))"));
        assert_eq!(select(product), ["Select"]);
        assert_eq!(select("(f64.const 2)"), ["Select"]);
        assert_eq!(select("(local.get 1)"), ["F64Mul"]);
    }

    #[test]
    fn a_local_holds_what_computations_take() {
        let body = |body: &str| places(&format!("(func (param f64) (local f64 f64) {body})"));
        let set = "(local.set 1 (f64.sqrt (local.get 0)))";
        let store = "(f64.store (i32.const 0) (local.get 1))";
        let add = "(local.set 1 (f64.add (local.get 1) (local.get 0)))";
        assert_eq!(body(&format!("{set} {add}")), [""; 0]);
        // Stored less often than it is set, it is made canonical where it is stored.
        assert_eq!(body(&format!("{set} {add} {store}")), ["LocalGet"]);
        assert_eq!(body(&format!("{set} {store} {store}")), ["F64Sqrt"]);
        assert_eq!(body(&format!("(loop {add} (br 0))")), [""; 0]);
        assert_eq!(
            body(&format!("{set} (loop {add} (br_if 0 (i32.const 1))) {store} {store}")),
            ["LocalGet", "LocalGet"]
        );
        // What may be any number makes the local one that holds numbers as they are.
        let load = "(local.set 1 (f64.load (i32.const 0)))";
        assert_eq!(body(&format!("{load} {add}")), ["F64Add"]);
        // So does a local that is handed on, whatever comes first.
        let on = "(local.set 2 (local.get 1))";
        let other = "(local.set 2 (f64.sqrt (local.get 2)))";
        assert_eq!(body(&format!("{on} {other}")), [""; 0]);
        assert_eq!(body(&format!("{on} {other} {load}")), ["F64Sqrt"]);
        // A parameter comes from elsewhere.
        assert_eq!(body("(local.set 0 (f64.sqrt (local.get 0)))"), ["F64Sqrt"]);
    }

    #[test]
    fn what_leaves_a_block_or_function_is_seen() {
        let sqrt = "(f64.sqrt (local.get 0))";
        let of = |body: &str| places(&format!("(func (param f64) (result f64) {body})"));
        assert_eq!(of(sqrt), ["F64Sqrt"]);
        assert_eq!(of(&format!("(return {sqrt})")), ["F64Sqrt"]);
        assert_eq!(of(&format!("(br 0 {sqrt})")), ["F64Sqrt"]);
        assert_eq!(
            of(&format!("(block (result f64) (br_if 0 {sqrt} (i32.const 1)))")),
            ["F64Sqrt"]
        );
        assert_eq!(of(&format!("(call 0 {sqrt})")), ["F64Sqrt"]);
        assert_eq!(of(&format!("{sqrt} unreachable")), [""; 0]);
        // Code that is never reached is left alone.
        assert_eq!(of(&format!("unreachable {sqrt} (drop) (block {sqrt} (return))")), [""; 0]);
    }

    #[test]
    fn a_vector_of_other_lanes_is_seen() {
        let store = |value: &str| {
            places(&format!("(func (param v128) (v128.store (i32.const 0) {value}))"))
        };
        let sqrt = "(f64x2.sqrt (local.get 0))";
        assert_eq!(store(&format!("(f64x2.floor {sqrt})")), ["F64x2Floor"]);
        assert_eq!(store(&format!("(f32x4.floor {sqrt})")), ["F64x2Sqrt", "F32x4Floor"]);
        assert_eq!(store(&format!("(f64x2.pmin {sqrt} (local.get 0))")), ["F64x2Sqrt"]);
        assert_eq!(store(&format!("(v128.not {sqrt})")), ["F64x2Sqrt"]);
    }

    /// Engines bound the bytes of a body.
    #[test]
    fn the_largest_body_stays_one_that_engines_take() {
        let pair = "f64.sqrt f64.neg ";
        let pairs = shape::MAX_BODY_BYTES / 2 - 1_000;
        let locals = "(local f32)".repeat(200);
        let text = format!(
            "(module (func (param f64) (result f64) {locals} local.get 0 {}))",
            pair.repeat(pairs)
        );
        let code = wat::parse_str(text).unwrap();
        let instrumented = meter::instrument(&code).unwrap();
        assert!(instrumented.len() > 8 * code.len());
        let features: WasmFeatures = FEATURES;
        wasmparser::Validator::new_with_features(features).validate_all(&instrumented).unwrap();
    }
}

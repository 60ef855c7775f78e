//! Guests of random expressions over numbers that are often NaN, of every kind. They print what
//! they leave in memory.

use std::fmt::Write as _;

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};

use crate::common::Run;

/// Where the numbers lie that are read, in words.
const INPUT: usize = 1_024;
const WORDS: usize = 64;
/// Where numbers are stored.
const RESULTS: usize = 4_096;
const RESULT_BYTES: usize = 4_096;

const DOUBLES: [u64; 9] = [
    0x7ff8_0000_0000_0000,
    0xfff8_0000_0000_0000,
    0x7ff0_0000_0000_0001,
    0x7ffc_dead_beef_0001,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x3ff8_0000_0000_0000,
    0x8000_0000_0000_0000,
    0x7fa0_0001_ffc0_1234,
];

#[derive(Clone, Copy, PartialEq)]
enum Type {
    F32,
    F64,
    V128,
}
use Type::{F32, F64, V128};

impl Type {
    fn name(self) -> &'static str {
        match self {
            F32 => "f32",
            F64 => "f64",
            V128 => "v128",
        }
    }
}

struct Writer {
    random: ChaCha20Rng,
    simd: bool,
    /// How many functions have been written, all of the type `(f64, f32) -> f64`.
    functions: usize,
    /// How many loops are around what is written.
    loops: usize,
}

/// A guest from a seed.
pub(in crate::cross_engine) fn guest(seed: u64, simd: bool) -> Run {
    let random = ChaCha20Rng::seed_from_u64(seed);
    let mut writer = Writer { random, simd, functions: 0, loops: 0 };
    let mut items = format!("(data (i32.const {INPUT}) \"");
    for _ in 0..WORDS {
        let word = DOUBLES[writer.below(DOUBLES.len())];
        word.to_le_bytes().iter().for_each(|byte| write!(items, "\\{byte:02x}").unwrap());
    }
    items += "\") (global $g (mut f64) (f64.const 1))";
    for _ in 0..3 {
        items += &writer.function();
    }
    let calls: String = (0..3)
        .map(|number| {
            format!(
                "(f64.store (i32.const {}) (call $f{number} (f64.load (i32.const {INPUT}))
                    (f32.const nan:0x200001)))",
                RESULTS + 8 * number
            )
        })
        .collect();
    Run::module(&format!(
        r#"{items} (func (export "_start") {calls}
            (call $print (i32.const {RESULTS}) (i32.const {RESULT_BYTES})))"#
    ))
    .limits(|limits| limits.output_bytes = 1 << 16)
}

impl Writer {
    fn below(&mut self, bound: usize) -> usize {
        self.random.next_u32() as usize % bound
    }

    fn one(&mut self, of: &[&'static str]) -> &'static str {
        of[self.below(of.len())]
    }

    fn function(&mut self) -> String {
        let statements = self.statements(5);
        let result = self.expression(F64, 3);
        let number = self.functions;
        self.functions += 1;
        let vectors = if self.simd { "(local $v0 v128) (local $v1 v128)" } else { "" };
        format!(
            "(func $f{number} (param $p64 f64) (param $p32 f32) (result f64)
                (local $d0 f64) (local $d1 f64) (local $d2 f64) (local $s0 f32) (local $s1 f32)
                (local $i0 i32) (local $i1 i32) {vectors} {statements} {result})"
        )
    }

    fn statements(&mut self, count: usize) -> String {
        (0..count).map(|_| self.statement()).collect()
    }

    fn statement(&mut self) -> String {
        let ty = self.ty();
        match self.below(8) {
            0 => {
                let value = self.expression(F64, 3);
                format!("(global.set $g {value})")
            }
            1 if self.loops < 2 => {
                let counter = format!("$i{}", self.loops);
                self.loops += 1;
                let body = self.statements(3);
                self.loops -= 1;
                format!(
                    "(local.set {counter} (i32.const 3)) (loop $l {body} (br_if $l (local.tee
                        {counter} (i32.sub (local.get {counter}) (i32.const 1)))))"
                )
            }
            2 => {
                let (condition, one, other) =
                    (self.condition(), self.statement(), self.statement());
                format!("(if {condition} (then {one}) (else {other}))")
            }
            3 => {
                let (value, condition) = (self.expression(ty, 3), self.condition());
                format!(
                    "(block $out (br_if $out {condition}) (drop {value}) {} (br $out))",
                    self.statement()
                )
            }
            4 | 5 => {
                let value = self.expression(ty, 3);
                format!("({}.store (i32.const {}) {value})", ty.name(), self.result())
            }
            _ => {
                let value = self.expression(ty, 3);
                format!("(local.set {} {value})", self.local(ty))
            }
        }
    }

    fn result(&mut self) -> usize {
        RESULTS + 64 + 16 * self.below(RESULT_BYTES / 16 - 8)
    }

    fn ty(&mut self) -> Type {
        match self.below(if self.simd { 3 } else { 2 }) {
            0 => F32,
            1 => F64,
            _ => V128,
        }
    }

    fn local(&mut self, ty: Type) -> &'static str {
        match ty {
            F32 => self.one(&["$s0", "$s1", "$p32"]),
            F64 => self.one(&["$d0", "$d1", "$d2", "$d2", "$p64"]),
            V128 => self.one(&["$v0", "$v1"]),
        }
    }

    fn condition(&mut self) -> String {
        let ty = if self.below(2) == 0 { F32 } else { F64 };
        let operator = self.one(&["eq", "ne", "lt", "ge"]);
        let (one, other) = (self.expression(ty, 1), self.expression(ty, 1));
        format!("({}.{operator} {one} {other})", ty.name())
    }

    fn leaf(&mut self, ty: Type) -> String {
        let name = ty.name();
        match self.below(4) {
            0 => format!("({name}.load (i32.const {}))", INPUT + 8 * self.below(WORDS - 2)),
            1 if ty == F64 && self.below(3) == 0 => "(global.get $g)".to_owned(),
            1 if ty != V128 => {
                let constant = ["nan", "-nan", "nan:0x200001", "1.5", "0", "-inf"];
                format!("({name}.const {})", self.one(&constant))
            }
            _ => format!("(local.get {})", self.local(ty)),
        }
    }

    fn expression(&mut self, ty: Type, depth: usize) -> String {
        if depth == 0 {
            return self.leaf(ty);
        }
        let name = ty.name();
        let next = depth - 1;
        match self.below(16) {
            0 => self.leaf(ty),
            1 => {
                let value = self.expression(ty, next);
                format!("(local.tee {} {value})", self.local(ty))
            }
            2 => {
                let (one, other) = (self.expression(ty, next), self.expression(ty, next));
                let condition = self.condition();
                if ty == V128 || self.below(2) == 0 {
                    return format!("(select (result {name}) {one} {other} {condition})");
                }
                format!("(select {one} {other} {condition})")
            }
            3 => {
                let (one, other) = (self.expression(ty, next), self.expression(ty, next));
                let condition = self.condition();
                let chosen = ["then", "else"].map(|arm| (arm, self.below(4) == 0));
                let arm = |(arm, leaves): (&str, bool), value: &str| {
                    let leave = if leaves { "(br 1)" } else { "" };
                    format!("({arm} {value} {leave})")
                };
                format!(
                    "(block (result {name}) (if (result {name}) {condition} {} {}))",
                    arm(chosen[0], &one),
                    arm(chosen[1], &other)
                )
            }
            4 => {
                let (one, other) = (self.expression(ty, next), self.expression(ty, next));
                let condition = self.condition();
                format!("(block (result {name}) (br_if 0 {one} {condition}) drop {other})")
            }
            5 if ty == F64 && self.functions > 0 => {
                let number = self.below(self.functions);
                let (one, other) = (self.expression(F64, next), self.expression(F32, next));
                format!("(call $f{number} {one} {other})")
            }
            _ => self.computed(ty, next),
        }
    }

    fn computed(&mut self, ty: Type, depth: usize) -> String {
        const TWO: [&str; 7] = ["add", "sub", "mul", "div", "min", "max", "copysign"];
        const ONE: [&str; 8] = ["sqrt", "ceil", "floor", "trunc", "nearest", "neg", "abs", "abs"];
        if ty == V128 {
            return self.vector(depth);
        }
        let name = ty.name();
        match self.below(10) {
            0 => {
                let (other, operator) =
                    if ty == F32 { (F64, "demote_f64") } else { (F32, "promote_f32") };
                let value = self.expression(other, depth);
                format!("({name}.{operator} {value})")
            }
            1 => {
                let integer = if ty == F32 { "i32" } else { "i64" };
                let value = self.expression(ty, depth);
                format!("({name}.reinterpret_{integer} ({integer}.reinterpret_{name} {value}))")
            }
            2 => {
                let integer = self.one(&["i32", "i64"]);
                let value = self.expression(ty, depth);
                format!("({name}.convert_{integer}_s ({integer}.trunc_sat_{name}_s {value}))")
            }
            3 if self.simd => {
                let value = self.expression(V128, depth);
                let shape = if ty == F32 { "f32x4" } else { "f64x2" };
                format!("({shape}.extract_lane {} {value})", self.below(2))
            }
            4 | 5 => {
                let value = self.expression(ty, depth);
                format!("({name}.{} {value})", self.one(&ONE))
            }
            _ => {
                let (one, other) = (self.expression(ty, depth), self.expression(ty, depth));
                format!("({name}.{} {one} {other})", self.one(&TWO))
            }
        }
    }

    fn vector(&mut self, depth: usize) -> String {
        let shape = self.one(&["f32x4", "f64x2"]);
        let one = self.expression(V128, depth);
        match self.below(8) {
            0 => {
                let ty = if shape == "f32x4" { F32 } else { F64 };
                let value = self.expression(ty, depth);
                format!("({shape}.splat {value})")
            }
            1 => {
                let change = ["f32x4.demote_f64x2_zero", "f64x2.promote_low_f32x4"];
                format!("({} {one})", self.one(&change))
            }
            2 => {
                format!("({shape}.{} {one})", self.one(&["sqrt", "neg", "abs", "floor", "nearest"]))
            }
            3 => {
                let other = self.expression(V128, depth);
                format!("({} {one} {other})", self.one(&["v128.xor", "v128.and", "i64x2.add"]))
            }
            _ => {
                let other = self.expression(V128, depth);
                let operator =
                    self.one(&["add", "sub", "mul", "div", "min", "max", "pmin", "pmax", "lt"]);
                format!("({shape}.{operator} {one} {other})")
            }
        }
    }
}

//! Relaxed vector operators compute what WebAssembly's deterministic profile says.

use wasmparser::{Operator, Parser, Payload};
use wasmtime::{Config, Engine};

use super::{PLENTY, is_invalid_under_gas, used};
use crate::{
    common::{PRELUDE, Run},
    cross_engine::{generated, generated_run, nans::printed},
};

/// Operators that are one plain operator, with the number of their operands.
const PLAIN: [(&str, usize); 14] = [
    ("i8x16.relaxed_swizzle", 2),
    ("i32x4.relaxed_trunc_f32x4_s", 1),
    ("i32x4.relaxed_trunc_f32x4_u", 1),
    ("i32x4.relaxed_trunc_f64x2_s_zero", 1),
    ("i32x4.relaxed_trunc_f64x2_u_zero", 1),
    ("i8x16.relaxed_laneselect", 3),
    ("i16x8.relaxed_laneselect", 3),
    ("i32x4.relaxed_laneselect", 3),
    ("i64x2.relaxed_laneselect", 3),
    ("f32x4.relaxed_min", 2),
    ("f32x4.relaxed_max", 2),
    ("f64x2.relaxed_min", 2),
    ("f64x2.relaxed_max", 2),
    ("i16x8.relaxed_q15mulr_s", 2),
];

/// Vectors of zeros, infinities, NaNs, the ends of the integers, and numbers whose product and sum
/// round otherwise in one step than in two.
fn vectors() -> Vec<[u8; 16]> {
    let singles = |lanes: [u32; 4]| {
        let mut bytes = [0; 16];
        for (bytes, lane) in bytes.chunks_mut(4).zip(lanes) {
            bytes.copy_from_slice(&lane.to_le_bytes());
        }
        bytes
    };
    let doubles = |lanes: [u64; 2]| {
        let mut bytes = [0; 16];
        for (bytes, lane) in bytes.chunks_mut(8).zip(lanes) {
            bytes.copy_from_slice(&lane.to_le_bytes());
        }
        bytes
    };
    vec![
        [0; 16],
        [0x80; 16],
        [0x7f; 16],
        std::array::from_fn(|at| u8::try_from(at * 37 % 256).unwrap()),
        singles([0x3f80_0001, 0x8000_0000, 0x7f80_0000, 0x7fa0_0123]),
        singles([0x3f80_0003, 0x7f7f_ffff, 0xff80_0000, 0xffc0_0001]),
        singles([0xbf80_0000, 0x0000_0001, 0x4f00_0000, 0x4f80_0000]),
        doubles([0x3ff0_0000_0000_0001, 0x7ff4_0000_0000_0123]),
        doubles([0xbff0_0000_0000_0003, 0x41f0_0000_0000_0000]),
        doubles([0xfff8_0000_0000_0001, 0x7fef_ffff_ffff_ffff]),
    ]
}

/// A guest that applies an operator to all triples of the vectors, and prints the results.
fn every_triple(operator: &str, operands: usize) -> Run {
    let vectors = vectors();
    let end = vectors.len() * 16;
    let data: String = vectors.iter().flatten().map(|byte| format!("\\{byte:02x}")).collect();
    let loads: String = ["$i", "$j", "$k"]
        .iter()
        .take(operands)
        .map(|at| format!("(v128.load (local.get {at}))"))
        .collect();
    let results = vectors.len().pow(3) * 16;
    let next = |at: &str| {
        format!(
            "(br_if {at} (i32.lt_u (local.tee {at} (i32.add (local.get {at}) (i32.const 16)))
                (i32.const {end})))"
        )
    };
    let text = format!(
        r#"(module {PRELUDE} (data (i32.const 0) "{data}")
            (func (export "_start") (local $i i32) (local $j i32) (local $k i32) (local $to i32)
                (local.set $to (i32.const 4096))
                (loop $i (local.set $j (i32.const 0))
                    (loop $j (local.set $k (i32.const 0))
                        (loop $k
                            (v128.store (local.get $to) ({operator} {loads}))
                            (local.set $to (i32.add (local.get $to) (i32.const 16)))
                            {})
                        {})
                    {})
                (call $print (i32.const 4096) (i32.const {results}))))"#,
        next("$k"),
        next("$j"),
        next("$i"),
    );
    Run::wat(&text).fuel(PLENTY).limits(|limits| limits.output_bytes = 64 << 10)
}

/// wasmtime alone, with its own form of relaxed operators that is the same everywhere.
fn deterministic() -> Engine {
    let mut config = Config::new();
    config.relaxed_simd_deterministic(true).cranelift_nan_canonicalization(true);
    Engine::new(&config).unwrap()
}

#[test]
fn they_are_what_wasmtime_alone_computes_where_it_follows_the_profile() {
    let alone = deterministic();
    for (operator, operands) in PLAIN {
        let mut run = every_triple(operator, operands);
        assert_eq!(run.output(), printed(&alone, &run.code), "{operator}");
        is_invalid_under_gas(&run);
    }
}

/// What an operator on three vectors gives for each lane's bytes.
fn expected<const LANE: usize>(of: impl Fn([[u8; LANE]; 3]) -> [u8; LANE]) -> Vec<u8> {
    let vectors = vectors();
    let mut out = Vec::new();
    for first in &vectors {
        for second in &vectors {
            for third in &vectors {
                for lane in (0..16).step_by(LANE) {
                    let bytes = |vector: &[u8; 16]| vector[lane..lane + LANE].try_into().unwrap();
                    out.extend(of([bytes(first), bytes(second), bytes(third)]));
                }
            }
        }
    }
    out
}

#[test]
fn a_product_and_a_sum_round_twice() {
    let single = |sign: f32| {
        expected::<4>(|bytes| {
            let [a, b, c] = bytes.map(f32::from_le_bytes);
            let sum = a * b * sign + c;
            if sum.is_nan() { 0x7fc0_0000u32.to_le_bytes() } else { sum.to_le_bytes() }
        })
    };
    let double = |sign: f64| {
        expected::<8>(|bytes| {
            let [a, b, c] = bytes.map(f64::from_le_bytes);
            let sum = a * b * sign + c;
            if sum.is_nan() { 0x7ff8_0000_0000_0000u64.to_le_bytes() } else { sum.to_le_bytes() }
        })
    };
    assert_eq!(every_triple("f32x4.relaxed_madd", 3).output(), single(1.0));
    assert_eq!(every_triple("f32x4.relaxed_nmadd", 3).output(), single(-1.0));
    assert_eq!(every_triple("f64x2.relaxed_madd", 3).output(), double(1.0));
    assert_eq!(every_triple("f64x2.relaxed_nmadd", 3).output(), double(-1.0));
    // In one step, the results would be others: the vectors can tell.
    let run = every_triple("f64x2.relaxed_madd", 3);
    assert_ne!(run.clone().output(), printed(&deterministic(), &run.code));
}

/// The sum of two neighbours' products, which only overflows for four times the least byte.
fn pair(a: &[u8], b: &[u8]) -> i16 {
    let product = |at: usize| i16::from(a[at].cast_signed()) * i16::from(b[at].cast_signed());
    product(0).saturating_add(product(1))
}

#[test]
fn a_dot_product_saturates() {
    let dot = expected::<2>(|[a, b, _]| pair(&a, &b).to_le_bytes());
    assert_eq!(every_triple("i16x8.relaxed_dot_i8x16_i7x16_s", 2).output(), dot);
    assert!(dot.chunks(2).any(|lane| lane == i16::MAX.to_le_bytes()));
    let adds = expected::<4>(|[a, b, c]| {
        let pairs = [0, 2].map(|at| i32::from(pair(&a[at..], &b[at..])));
        i32::from_le_bytes(c).wrapping_add(pairs[0] + pairs[1]).to_le_bytes()
    });
    assert_eq!(every_triple("i32x4.relaxed_dot_i8x16_i7x16_add_s", 3).output(), adds);
}

#[test]
fn they_cost_as_the_plain_operators_that_they_are_made_of() {
    let cost = |operator: &str, operands: usize| {
        let of = |times: usize| {
            let one = format!("(drop ({operator} {}))", "(v128.const i64x2 1 2)".repeat(operands));
            used(&Run::start(&one.repeat(times)))
        };
        of(3) - of(2) - operands as u64
    };
    for (operator, operands) in PLAIN {
        assert_eq!(cost(operator, operands), 1, "{operator}");
    }
    for (operator, operands, units) in [
        ("f32x4.relaxed_madd", 3, 2),
        ("f64x2.relaxed_madd", 3, 2),
        ("f32x4.relaxed_nmadd", 3, 3),
        ("f64x2.relaxed_nmadd", 3, 3),
        ("i16x8.relaxed_dot_i8x16_i7x16_s", 2, 5),
        ("i32x4.relaxed_dot_i8x16_i7x16_add_s", 3, 7),
    ] {
        assert_eq!(cost(operator, operands), units, "{operator}");
    }
}

/// Whether a module has an operator in which wasmtime's own form is another than the profile's.
fn is_the_engines_own(code: &[u8]) -> bool {
    Parser::new(0).parse_all(code).any(|payload| match payload.unwrap() {
        Payload::CodeSectionEntry(body) => {
            body.get_operators_reader().unwrap().into_iter().any(|operator| {
                matches!(
                    operator.unwrap(),
                    Operator::F32x4RelaxedMadd
                        | Operator::F32x4RelaxedNmadd
                        | Operator::F64x2RelaxedMadd
                        | Operator::F64x2RelaxedNmadd
                        | Operator::I16x8RelaxedDotI8x16I7x16S
                        | Operator::I32x4RelaxedDotI8x16I7x16AddS
                )
            })
        }
        _ => false,
    })
}

#[test]
fn generated_modules_print_what_they_print_on_wasmtime_alone() {
    let alone = deterministic();
    let mut compared = 0;
    for seed in (0..400).filter(|seed| generated::is_free_of_traps(*seed)) {
        let Some(code) = generated::command(seed, generated::RELAXED) else { continue };
        if is_the_engines_own(&code) {
            continue;
        }
        let execution = generated_run(code.clone()).run();
        if execution.status == outlayer_protocol::Status::Completed {
            assert_eq!(execution.output, printed(&alone, &code), "seed {seed}");
            compared += 1;
        }
    }
    println!("{compared} modules");
    assert!(compared > 20);
}

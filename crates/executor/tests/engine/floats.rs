//! Floating-point corner cases. Every expected bit follows from IEEE 754 and WebAssembly's rules.
//! They leave one choice open, which the executor makes: a NaN that an operation makes is the
//! positive quiet NaN without a payload.
//!
//! Operands come from the input, so that no compiler knows them, and once more as constants, so
//! that a compiler may compute the result. Results go through the memory to the output. Each case
//! runs optimised and not, and under both meters.

use outlayer_executor::{Executor, ExecutorConfig};
use outlayer_protocol::{Compute, Status};

use crate::common::{Run, executor, trapped};

/// The NaN that operations make, of 64 and of 32 bits.
const NAN: u64 = 0x7ff8_0000_0000_0000;
const NAN_32: u64 = 0x7fc0_0000;
/// NaNs with a payload, quiet and negative, or signalling.
const QUIET: u64 = 0xfff8_0000_0000_0001;
const SIGNALLING: u64 = 0x7ff4_0000_0000_0123;
const QUIET_32: u64 = 0xffc0_0001;
const SIGNALLING_32: u64 = 0x7fa0_0123;

const SIGN: u64 = 1 << 63;
const SIGN_32: u64 = 1 << 31;
const INF: u64 = 0x7ff0_0000_0000_0000;
const INF_32: u64 = 0x7f80_0000;
const ONE: u64 = 0x3ff0_0000_0000_0000;
const MINUS_ONE: u64 = ONE | SIGN;
const ONE_32: u64 = 0x3f80_0000;
/// The largest finite numbers.
const MAX: u64 = 0x7fef_ffff_ffff_ffff;
const MAX_32: u64 = 0x7f7f_ffff;

/// An operator, the types of its operands and of its result (`d` f64, `s` f32, `l` i64, `i` i32),
/// the bits of the operands, and those of the result.
type Case = (&'static str, &'static str, &'static [u64], u64);

const ARITHMETIC: &[Case] = &[
    // Signed zeros.
    ("f64.add", "ddd", &[0, SIGN], 0),
    ("f64.add", "ddd", &[SIGN, SIGN], SIGN),
    ("f64.sub", "ddd", &[0, 0], 0),
    ("f64.sub", "ddd", &[SIGN, 0], SIGN),
    ("f64.mul", "ddd", &[0, MINUS_ONE], SIGN),
    ("f64.div", "ddd", &[MINUS_ONE, INF], SIGN),
    ("f64.sqrt", "dd", &[SIGN], SIGN),
    // Infinities.
    ("f64.div", "ddd", &[ONE, 0], INF),
    ("f64.div", "ddd", &[ONE, SIGN], INF | SIGN),
    ("f64.add", "ddd", &[INF, ONE], INF),
    ("f64.sqrt", "dd", &[INF], INF),
    // NaNs from operands that are none.
    ("f64.add", "ddd", &[INF, INF | SIGN], NAN),
    ("f64.sub", "ddd", &[INF, INF], NAN),
    ("f64.mul", "ddd", &[INF, SIGN], NAN),
    ("f64.div", "ddd", &[0, SIGN], NAN),
    ("f64.div", "ddd", &[INF, INF], NAN),
    ("f64.sqrt", "dd", &[MINUS_ONE], NAN),
    // NaNs from NaNs.
    ("f64.add", "ddd", &[SIGNALLING, ONE], NAN),
    ("f64.sub", "ddd", &[ONE, QUIET], NAN),
    ("f64.mul", "ddd", &[QUIET, SIGNALLING], NAN),
    ("f64.div", "ddd", &[SIGNALLING, QUIET], NAN),
    ("f64.sqrt", "dd", &[QUIET], NAN),
    ("f64.ceil", "dd", &[SIGNALLING], NAN),
    ("f64.floor", "dd", &[QUIET], NAN),
    ("f64.trunc", "dd", &[SIGNALLING], NAN),
    ("f64.nearest", "dd", &[QUIET], NAN),
    // Rounding to the nearest, and ties to even: 1 + 2^-53 is half way, the next number is not.
    ("f64.add", "ddd", &[ONE, 0x3ca0_0000_0000_0000], ONE),
    ("f64.add", "ddd", &[ONE, 0x3ca0_0000_0000_0001], ONE + 1),
    ("f64.add", "ddd", &[ONE + 1, 0x3ca0_0000_0000_0000], ONE + 2),
    ("f64.div", "ddd", &[ONE, 0x4008_0000_0000_0000], 0x3fd5_5555_5555_5555),
    ("f64.sqrt", "dd", &[0x4000_0000_0000_0000], 0x3ff6_a09e_667f_3bcd),
    // The largest number and half of its last place, then less than half.
    ("f64.add", "ddd", &[MAX, 0x7c90_0000_0000_0000], INF),
    ("f64.add", "ddd", &[MAX, 0x7c8f_ffff_ffff_ffff], MAX),
    // Subnormal numbers are kept: sums, the first normal number, and half of the smallest number
    // and of three times the smallest.
    ("f64.add", "ddd", &[1, 1], 2),
    ("f64.add", "ddd", &[0x000f_ffff_ffff_ffff, 1], 0x0010_0000_0000_0000),
    ("f64.mul", "ddd", &[1, 0x3fe0_0000_0000_0000], 0),
    ("f64.mul", "ddd", &[3, 0x3fe0_0000_0000_0000], 2),
    ("f32.add", "sss", &[0, SIGN_32], 0),
    ("f32.sub", "sss", &[SIGN_32, 0], SIGN_32),
    ("f32.div", "sss", &[ONE_32, SIGN_32], INF_32 | SIGN_32),
    ("f32.div", "sss", &[0, 0], NAN_32),
    ("f32.mul", "sss", &[INF_32, 0], NAN_32),
    ("f32.add", "sss", &[SIGNALLING_32, ONE_32], NAN_32),
    ("f32.sqrt", "ss", &[QUIET_32], NAN_32),
    ("f32.nearest", "ss", &[SIGNALLING_32], NAN_32),
    ("f32.add", "sss", &[ONE_32, 0x3380_0000], ONE_32),
    ("f32.add", "sss", &[ONE_32, 0x3380_0001], ONE_32 + 1),
    ("f32.add", "sss", &[MAX_32, 0x7300_0000], INF_32),
    ("f32.mul", "sss", &[3, 0x3f00_0000], 2),
    ("f32.div", "sss", &[ONE_32, 0x4040_0000], 0x3eaa_aaab),
];

const CHOICES: &[Case] = &[
    ("f64.min", "ddd", &[0, SIGN], SIGN),
    ("f64.min", "ddd", &[SIGN, 0], SIGN),
    ("f64.max", "ddd", &[0, SIGN], 0),
    ("f64.max", "ddd", &[SIGN, 0], 0),
    ("f64.min", "ddd", &[ONE, INF | SIGN], INF | SIGN),
    ("f64.max", "ddd", &[MAX, INF], INF),
    ("f64.min", "ddd", &[ONE, SIGNALLING], NAN),
    ("f64.min", "ddd", &[QUIET, INF | SIGN], NAN),
    ("f64.max", "ddd", &[SIGNALLING, INF], NAN),
    ("f64.max", "ddd", &[INF, QUIET], NAN),
    ("f32.min", "sss", &[0, SIGN_32], SIGN_32),
    ("f32.max", "sss", &[SIGN_32, 0], 0),
    ("f32.min", "sss", &[QUIET_32, ONE_32], NAN_32),
    ("f32.max", "sss", &[ONE_32, SIGNALLING_32], NAN_32),
    // Comparisons: NaN is unordered, zeros are equal.
    ("f64.eq", "ddi", &[NAN, NAN], 0),
    ("f64.ne", "ddi", &[NAN, NAN], 1),
    ("f64.lt", "ddi", &[SIGNALLING, ONE], 0),
    ("f64.ge", "ddi", &[ONE, QUIET], 0),
    ("f64.eq", "ddi", &[0, SIGN], 1),
    ("f64.lt", "ddi", &[SIGN, 0], 0),
    ("f64.le", "ddi", &[0, SIGN], 1),
    ("f32.gt", "ssi", &[INF_32, NAN_32], 0),
    ("f32.ne", "ssi", &[SIGN_32, 0], 0),
    // Only the sign bit is looked at and changed, whatever the number.
    ("f64.neg", "dd", &[SIGNALLING], SIGNALLING | SIGN),
    ("f64.abs", "dd", &[QUIET], QUIET & !SIGN),
    ("f64.copysign", "ddd", &[SIGNALLING, SIGN], SIGNALLING | SIGN),
    ("f64.copysign", "ddd", &[ONE, QUIET], MINUS_ONE),
    ("f32.neg", "ss", &[SIGNALLING_32], SIGNALLING_32 | SIGN_32),
    ("f32.abs", "ss", &[QUIET_32], QUIET_32 & !SIGN_32),
    ("f32.copysign", "sss", &[QUIET_32, 0], QUIET_32 & !SIGN_32),
];

const ROUNDINGS: &[Case] = &[
    // 0.5, 1.5, 2.5 and -0.5: ties to even, and the sign stays.
    ("f64.nearest", "dd", &[0x3fe0_0000_0000_0000], 0),
    ("f64.nearest", "dd", &[0x3ff8_0000_0000_0000], 0x4000_0000_0000_0000),
    ("f64.nearest", "dd", &[0x4004_0000_0000_0000], 0x4000_0000_0000_0000),
    ("f64.nearest", "dd", &[0xbfe0_0000_0000_0000], SIGN),
    // 2^51 + 0.5 and 2^51 + 1.5.
    ("f64.nearest", "dd", &[0x4320_0000_0000_0001], 0x4320_0000_0000_0000),
    ("f64.nearest", "dd", &[0x4320_0000_0000_0003], 0x4320_0000_0000_0004),
    ("f64.ceil", "dd", &[0xbfe0_0000_0000_0000], SIGN),
    ("f64.ceil", "dd", &[1], ONE),
    ("f64.floor", "dd", &[SIGN | 1], MINUS_ONE),
    ("f64.floor", "dd", &[SIGN], SIGN),
    ("f64.trunc", "dd", &[0xbfef_ffff_ffff_ffff], SIGN),
    ("f64.trunc", "dd", &[INF | SIGN], INF | SIGN),
    ("f32.nearest", "ss", &[0x3f00_0000], 0),
    ("f32.nearest", "ss", &[0xc020_0000], 0xc000_0000),
    ("f32.ceil", "ss", &[0xbf00_0000], SIGN_32),
    ("f32.trunc", "ss", &[0xbf7f_ffff], SIGN_32),
];

const CONVERSIONS: &[Case] = &[
    // 2147483647.9, -2147483648.9, -0.9, 4294967295.9: cut, they fit.
    ("i32.trunc_f64_s", "di", &[0x41df_ffff_fff9_999a], 0x7fff_ffff),
    ("i32.trunc_f64_s", "di", &[0xc1e0_0000_001c_cccd], 0x8000_0000),
    ("i32.trunc_f64_u", "di", &[0xbfec_cccc_cccc_cccd], 0),
    ("i32.trunc_f64_u", "di", &[0x41ef_ffff_fffc_cccd], 0xffff_ffff),
    ("i64.trunc_f64_s", "dl", &[0xc3e0_0000_0000_0000], 1 << 63),
    // The largest number below 2^64.
    ("i64.trunc_f64_u", "dl", &[0x43ef_ffff_ffff_ffff], 0xffff_ffff_ffff_f800),
    ("i32.trunc_f32_s", "si", &[0x4eff_ffff], 0x7fff_ff80),
    // Saturating.
    ("i32.trunc_sat_f64_s", "di", &[SIGNALLING], 0),
    ("i32.trunc_sat_f64_s", "di", &[INF], 0x7fff_ffff),
    ("i32.trunc_sat_f64_s", "di", &[INF | SIGN], 0x8000_0000),
    ("i32.trunc_sat_f64_u", "di", &[MINUS_ONE], 0),
    ("i32.trunc_sat_f64_u", "di", &[MAX], 0xffff_ffff),
    ("i64.trunc_sat_f64_s", "dl", &[0x43e0_0000_0000_0000], i64::MAX.cast_unsigned()),
    ("i64.trunc_sat_f64_u", "dl", &[0x43f0_0000_0000_0000], u64::MAX),
    ("i64.trunc_sat_f64_u", "dl", &[QUIET], 0),
    ("i32.trunc_sat_f32_u", "si", &[QUIET_32], 0),
    ("i64.trunc_sat_f32_s", "sl", &[INF_32 | SIGN_32], 1 << 63),
    ("i64.trunc_sat_f32_u", "sl", &[MAX_32], u64::MAX),
    // 2^64 - 1; 2^53 + 1 and 2^53 + 3, which are half way.
    ("f64.convert_i64_u", "ld", &[u64::MAX], 0x43f0_0000_0000_0000),
    ("f64.convert_i64_s", "ld", &[(1 << 53) + 1], 0x4340_0000_0000_0000),
    ("f64.convert_i64_s", "ld", &[(1 << 53) + 3], 0x4340_0000_0000_0002),
    ("f64.convert_i64_s", "ld", &[1 << 63], 0xc3e0_0000_0000_0000),
    ("f64.convert_i32_u", "id", &[0xffff_ffff], 0x41ef_ffff_ffe0_0000),
    ("f64.convert_i32_s", "id", &[0xffff_ffff], MINUS_ONE),
    // 2^24 + 1 and 2^24 + 3; then numbers that must not be rounded twice.
    ("f32.convert_i32_s", "is", &[16_777_217], 0x4b80_0000),
    ("f32.convert_i32_s", "is", &[16_777_219], 0x4b80_0002),
    ("f32.convert_i64_s", "ls", &[0x7fff_ff40_0000_0000], 0x5eff_fffe),
    ("f32.convert_i64_s", "ls", &[0x7fff_ff40_0000_0001], 0x5eff_ffff),
    ("f32.convert_i64_u", "ls", &[u64::MAX], 0x5f80_0000),
    // 1 + 2^-24 is half way; so is 1 + 3 * 2^-24.
    ("f32.demote_f64", "ds", &[0x3ff0_0000_1000_0000], ONE_32),
    ("f32.demote_f64", "ds", &[0x3ff0_0000_1000_0001], ONE_32 + 1),
    ("f32.demote_f64", "ds", &[0x3ff0_0000_3000_0000], ONE_32 + 2),
    // The largest and the smallest, and half a place beyond.
    ("f32.demote_f64", "ds", &[0x47ef_ffff_efff_ffff], MAX_32),
    ("f32.demote_f64", "ds", &[0x47ef_ffff_f000_0000], INF_32),
    ("f32.demote_f64", "ds", &[0x3690_0000_0000_0000], 0),
    ("f32.demote_f64", "ds", &[0x3690_0000_0000_0001], 1),
    ("f32.demote_f64", "ds", &[SIGN], SIGN_32),
    ("f32.demote_f64", "ds", &[QUIET], NAN_32),
    ("f32.demote_f64", "ds", &[SIGNALLING], NAN_32),
    ("f64.promote_f32", "sd", &[1], 0x36a0_0000_0000_0000),
    ("f64.promote_f32", "sd", &[SIGN_32], SIGN),
    ("f64.promote_f32", "sd", &[SIGNALLING_32], NAN),
    ("f64.promote_f32", "sd", &[QUIET_32], NAN),
    // The same bits as another type.
    ("i64.reinterpret_f64", "dl", &[SIGNALLING], SIGNALLING),
    ("f64.reinterpret_i64", "ld", &[QUIET], QUIET),
    ("i32.reinterpret_f32", "si", &[SIGNALLING_32], SIGNALLING_32),
    ("f32.reinterpret_i32", "is", &[QUIET_32], QUIET_32),
];

/// Where the input lies in memory.
const OPERANDS: usize = 1_024;
/// Where the results lie in memory.
const RESULTS: usize = 32_768;

fn name(ty: char) -> &'static str {
    match ty {
        'd' => "f64",
        's' => "f32",
        'l' => "i64",
        _ => "i32",
    }
}

fn loaded(ty: char, at: usize) -> String {
    format!("({}.load (i32.const {at}))", name(ty))
}

fn constant(ty: char, bits: u64) -> String {
    match ty {
        'd' => format!("(f64.reinterpret_i64 (i64.const {bits}))"),
        's' => format!("(f32.reinterpret_i32 (i32.const {bits}))"),
        'l' => format!("(i64.const {bits})"),
        _ => format!("(i32.const {bits})"),
    }
}

const READ_OPERANDS: &str = "
    (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 30000))
    (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))
        (then unreachable))";

/// A guest that computes each case into a word of its output.
fn guest(cases: &[Case], operand: impl Fn(char, usize, u64) -> String) -> Run {
    let (mut body, mut input) = (READ_OPERANDS.to_owned(), Vec::new());
    for (index, (operator, types, operands, _)) in cases.iter().enumerate() {
        let mut types: Vec<char> = types.chars().collect();
        let result = types.pop().unwrap();
        let mut expressions = String::new();
        for (ty, bits) in types.iter().zip(*operands) {
            expressions += &operand(*ty, OPERANDS + input.len(), *bits);
            input.extend_from_slice(&bits.to_le_bytes());
        }
        body += &format!(
            "({}.store (i32.const {}) ({operator} {expressions}))",
            name(result),
            RESULTS + 8 * index
        );
    }
    body += &format!("(call $print (i32.const {RESULTS}) (i32.const {}))", 8 * cases.len());
    Run::start(&body).input(input)
}

#[test]
fn every_operation_gives_the_bits_that_the_rules_say() {
    let unoptimised =
        Executor::new(ExecutorConfig { optimize: false, ..ExecutorConfig::default() }).unwrap();
    for cases in [ARITHMETIC, CHOICES, ROUNDINGS, CONVERSIONS] {
        let from_input = guest(cases, |ty, at, _| loaded(ty, at));
        let folded = guest(cases, |ty, _, bits| constant(ty, bits));
        for (operands, run) in [("the input", from_input), ("constants", folded)] {
            for compute in [Compute::Fuel(1_000_000), Compute::Gas(1_000_000_000_000)] {
                for (optimised, executor) in [(true, executor()), (false, &unoptimised)] {
                    let execution =
                        run.clone().limits(|limits| limits.compute = compute).on(executor).unwrap();
                    assert_eq!(execution.status, Status::Completed);
                    let words = execution.output.chunks_exact(8);
                    assert_eq!(words.len(), cases.len());
                    for (word, (operator, _, given, expected)) in words.zip(cases) {
                        let found = u64::from_le_bytes(word.try_into().unwrap());
                        assert_eq!(
                            found,
                            *expected,
                            "{operator} {given:x?} from {operands}, {}, optimised: {optimised}: \
                             {found:#x}, not {expected:#x}",
                            compute.meter()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_conversion_out_of_range_traps() {
    let (overflow, invalid) = ("integer overflow", "invalid conversion to integer");
    let cases: &[(Case, &str)] = &[
        // 2^31, -2^31 - 1, 2^32, -1; then 2^63 and 2^64.
        (("i32.trunc_f64_s", "di", &[0x41e0_0000_0000_0000], 0), overflow),
        (("i32.trunc_f64_s", "di", &[0xc1e0_0000_0020_0000], 0), overflow),
        (("i32.trunc_f64_u", "di", &[0x41f0_0000_0000_0000], 0), overflow),
        (("i32.trunc_f64_u", "di", &[MINUS_ONE], 0), overflow),
        (("i64.trunc_f64_s", "dl", &[0x43e0_0000_0000_0000], 0), overflow),
        (("i64.trunc_f64_u", "dl", &[0x43f0_0000_0000_0000], 0), overflow),
        (("i32.trunc_f32_s", "si", &[0x4f00_0000], 0), overflow),
        (("i64.trunc_f32_u", "sl", &[ONE_32 | SIGN_32], 0), overflow),
        (("i64.trunc_f32_s", "sl", &[INF_32], 0), overflow),
        (("i32.trunc_f64_s", "di", &[INF | SIGN], 0), overflow),
        (("i32.trunc_f64_s", "di", &[SIGNALLING], 0), invalid),
        (("i64.trunc_f64_u", "dl", &[QUIET], 0), invalid),
        (("i32.trunc_f32_u", "si", &[NAN_32], 0), invalid),
        (("i64.trunc_f32_s", "sl", &[SIGNALLING_32], 0), invalid),
    ];
    for (case, reason) in cases {
        for compute in [Compute::Fuel(1_000_000), Compute::Gas(1_000_000_000_000)] {
            let run = guest(&[*case], |ty, at, _| loaded(ty, at));
            let status = run.limits(|limits| limits.compute = compute).status();
            assert_eq!(status, trapped(reason), "{} {:x?}", case.0, case.2);
        }
    }
}

/// Locals, globals, parameters, results, `select` and the memory only move a number, so all of its
/// bits arrive.
#[test]
fn what_only_moves_a_number_keeps_its_bits() {
    for (ty, bits) in [
        ('d', SIGNALLING),
        ('d', QUIET),
        ('d', SIGN),
        ('s', SIGNALLING_32),
        ('s', QUIET_32),
        ('s', SIGN_32),
    ] {
        let (float, operand) = (name(ty), loaded(ty, OPERANDS));
        let items = format!(
            r#"(global $g (mut {float}) ({float}.const 1))
            (func $same (param $a {float}) (result {float}) (local $b {float})
                (local.set $b (local.get $a)) (global.set $g (local.get $b))
                (select (global.get $g) ({float}.const 2) (i32.const 1)))
            (func (export "_start") {READ_OPERANDS}
                ({float}.store (i32.const 2048) (call $same {operand}))
                ({float}.store (i32.const 2056)
                    (block $b (result {float}) (br $b ({float}.load (i32.const 2048)))))
                (memory.copy (i32.const 2064) (i32.const 2056) (i32.const 8))
                ({float}.store (i32.const 2072) (if (result {float}) (i32.load (i32.const 8))
                    (then ({float}.load (i32.const 2064))) (else ({float}.const nan))))
                (call $print (i32.const 2048) (i32.const 32)))"#
        );
        for compute in [Compute::Fuel(1_000_000), Compute::Gas(1_000_000_000_000)] {
            let mut run = Run::module(&items)
                .input(bits.to_le_bytes())
                .limits(|limits| limits.compute = compute);
            assert_eq!(run.words(), [bits; 4], "{float} {bits:#x}");
        }
    }
}

/// Vectors, which only the fuel meter allows: two words in, two words out.
#[test]
fn vectors_follow_the_same_rules() {
    let both = |low: u64, high: u64| low | high << 32;
    let two = |operator: &'static str, a: [u64; 2], b: [u64; 2], expected: [u64; 2]| {
        (
            format!("({operator} (v128.load (i32.const 1024)) (v128.load (i32.const 1040)))"),
            a,
            b,
            expected,
        )
    };
    let one = |operator: &'static str, a: [u64; 2], expected: [u64; 2]| {
        (format!("({operator} (v128.load (i32.const 1024)))"), a, [0; 2], expected)
    };
    for (operation, a, b, expected) in [
        two("f64x2.min", [0, QUIET], [SIGN, ONE], [SIGN, NAN]),
        two("f64x2.max", [SIGN, ONE], [0, SIGNALLING], [0, NAN]),
        two("f64x2.add", [SIGNALLING, INF], [ONE, INF | SIGN], [NAN, NAN]),
        two("f64x2.div", [ONE, 0], [SIGN, 0], [INF | SIGN, NAN]),
        // The second operand if it is less (or greater), else the first, unchanged.
        two("f64x2.pmin", [0, SIGNALLING], [SIGN, ONE], [0, SIGNALLING]),
        two("f64x2.pmax", [SIGN, ONE], [0, QUIET], [SIGN, ONE]),
        two("f64x2.eq", [NAN, 0], [NAN, SIGN], [0, u64::MAX]),
        one(
            "f64x2.nearest",
            [0xbfe0_0000_0000_0000, 0x4004_0000_0000_0000],
            [SIGN, 0x4000_0000_0000_0000],
        ),
        one("f64x2.neg", [SIGNALLING, 0], [SIGNALLING | SIGN, SIGN]),
        one("f64x2.sqrt", [MINUS_ONE, SIGN], [NAN, SIGN]),
        one("f64x2.promote_low_f32x4", [both(1, SIGNALLING_32), 0], [0x36a0_0000_0000_0000, NAN]),
        one(
            "f32x4.demote_f64x2_zero",
            [0x3ff0_0000_1000_0001, QUIET],
            [both(ONE_32 + 1, NAN_32), 0],
        ),
        one("f32x4.abs", [both(QUIET_32, SIGN_32), 0], [both(QUIET_32 & !SIGN_32, 0), 0]),
        two(
            "f32x4.min",
            [both(0, QUIET_32), both(ONE_32, INF_32)],
            [both(SIGN_32, ONE_32), both(SIGNALLING_32, MAX_32)],
            [both(SIGN_32, NAN_32), both(NAN_32, MAX_32)],
        ),
        one(
            "i32x4.trunc_sat_f32x4_s",
            [both(INF_32, SIGNALLING_32), both(INF_32 | SIGN_32, ONE_32)],
            [both(0x7fff_ffff, 0), both(0x8000_0000, 1)],
        ),
        one("i32x4.trunc_sat_f64x2_u_zero", [MINUS_ONE, MAX], [both(0, 0xffff_ffff), 0]),
        one("f64x2.convert_low_i32x4_u", [both(0xffff_ffff, 1), 0], [0x41ef_ffff_ffe0_0000, ONE]),
        one(
            "f32x4.convert_i32x4_u",
            [both(0xffff_ffff, 16_777_217), both(16_777_219, 0)],
            [both(0x4f80_0000, 0x4b80_0000), both(0x4b80_0002, 0)],
        ),
    ] {
        let body = format!(
            "{READ_OPERANDS} (v128.store (i32.const {RESULTS}) {operation})
             (call $print (i32.const {RESULTS}) (i32.const 16))"
        );
        let input: Vec<u8> = a.into_iter().chain(b).flat_map(u64::to_le_bytes).collect();
        let mut run = Run::start(&body).input(input);
        let found = run.words();
        assert_eq!(found, expected, "{operation} {a:x?} {b:x?}: {found:x?}, not {expected:x?}");
    }
}

//! How large compiled frames are, compared with what stack metering counts for them. Functions are
//! made so that a compiler keeps what it can: values that are made again after a call, that a loop
//! need not make in each turn, that are used together, that a sum of all of them uses late. Twelve
//! parameters that are alive throughout are a wall, behind which wasmtime's allocator of registers
//! does not use the place of a value for another one.

use outlayer_executor::prepare::meter::{
    NATIVE_STACK_BYTES, STACK_BYTES, instrument, instrument_in_composition, stack_needs,
};
use outlayer_protocol::Status;
use wasmtime::{Config, Engine, Module, OptLevel};

use crate::common::{PRELUDE, Run};

/// How many values each function makes.
const VALUES: usize = 900;
/// How many of them one call takes.
const WIDE: usize = 60;
/// How many arms its switch has.
const ARMS: usize = 30;

/// A way to make a value: its type, and the expression for each of many.
type Kind = (&'static str, fn(usize) -> String);

const KINDS: [Kind; 9] = [
    ("i32", |i| format!("(i32.xor (local.get $i) (i32.const {}))", i * 7_919 + 13)),
    ("i32", |i| format!("(i32.trunc_sat_f64_s (f64.add (local.get $d) (f64.const {})))", i + 13)),
    ("i64", |i| format!("(i64.mul (local.get $l) (i64.const {}))", i * 7_919 + 13)),
    ("i64", |i| format!("(i64.load offset={} (local.get $i))", i * 8)),
    ("f32", |i| format!("(f32.demote_f64 (f64.mul (local.get $d) (f64.const {})))", i + 13)),
    ("f64", |i| format!("(f64.mul (local.get $d) (f64.const {}))", i + 13)),
    ("v128", |i| format!("(v128.const i64x2 {} {i})", i * 7_919 + 13)),
    ("v128", |i| format!("(f64x2.mul (local.get $v) (f64x2.splat (f64.const {})))", i + 13)),
    ("v128", |_| "(call $vector)".to_owned()),
];

/// What is done with the values: from their type and themselves, the body of a function.
type Use = fn(&str, &[String]) -> String;

const USES: [(&str, Use); 7] = [
    ("kept over a call", |ty, values| {
        let stored = stored(ty, values);
        format!("{stored} (call $touch) {stored}")
    }),
    ("an address, too", |ty, values| match ty {
        "i32" => {
            let used: String = values
                .iter()
                .map(|value| format!("(i32.store (i32.and {value} (i32.const 0xffff)) {value})"))
                .collect();
            format!("{used} (call $touch) {used}")
        }
        _ => stored(ty, values),
    }),
    ("invariants of a loop", |ty, values| {
        switch(values, |arm| format!("{} (call $touch)", stored(ty, arm)), "br $again")
    }),
    ("kept in the arms of a switch", |ty, values| {
        let arm = |arm: &[String]| {
            let stored = stored(ty, arm);
            format!("{stored} (call $touch) {stored}")
        };
        switch(values, arm, "return")
    }),
    ("used together", |ty, values| {
        values.chunks(WIDE).map(|some| format!("{} (call $wide_{ty})", some.concat())).collect()
    }),
    ("summed", |ty, values| {
        let sum = match ty {
            "v128" => "i64x2.add".to_owned(),
            ty => format!("{ty}.add"),
        };
        let (first, others) = values.split_first().unwrap();
        let others: String = others.iter().map(|value| format!("{value} {sum} ")).collect();
        format!("{first} {others} (call $take_{ty})")
    }),
    ("each kept in a variable over the next", |ty, values| {
        let step = |pair: &[String]| {
            format!(
                "(local.set $one_{ty} {}) (call $take_{ty} (local.get $other_{ty}))
                (local.set $other_{ty} {}) (call $take_{ty} (local.get $one_{ty}))",
                pair[0], pair[1]
            )
        };
        values.chunks(2).map(step).collect()
    }),
];

fn stored(ty: &str, values: &[String]) -> String {
    let store = |(at, value)| format!("({ty}.store offset={} (i32.const 0) {value})", at * 16);
    values.iter().enumerate().map(store).collect()
}

/// A switch in a loop, whose arms have a part of the values each, and end with `end`.
fn switch(values: &[String], arm: impl Fn(&[String]) -> String, end: &str) -> String {
    let labels: Vec<_> = (0..ARMS).map(|label| label.to_string()).collect();
    let mut body = format!(
        "(loop $again {} (br_table {} (local.tee $turn (i32.add (local.get $turn) (i32.const 1))))",
        "(block ".repeat(ARMS),
        labels.join(" ")
    );
    for some in values.chunks(values.len() / ARMS) {
        body += &format!(") {} ({end})", arm(some));
    }
    body + ")"
}

const TYPES: [&str; 5] = ["i32", "i64", "f32", "f64", "v128"];

/// A module with a function for each use of this kind of values, and for each beside a wall.
fn module((ty, value): Kind) -> Vec<u8> {
    let values: Vec<_> = (0..VALUES).map(value).collect();
    let wall: String = (0..12).map(|at| format!("(param $wall_{at} {ty})")).collect();
    let seen: String =
        (0..12).map(|at| format!("(call $take_{ty} (local.get $wall_{at}))")).collect();
    let mut functions = String::new();
    for (_, use_of) in USES {
        for (wall, seen) in [("", ""), (&*wall, &*seen)] {
            let locals: String = TYPES
                .iter()
                .map(|ty| format!("(local $one_{ty} {ty}) (local $other_{ty} {ty})"))
                .collect();
            functions += &format!(
                "(func (param $i i32) (param $l i64) (param $d f64) (param $v v128) {wall} {locals}
                    (local $turn i32) {} {seen})",
                use_of(ty, &values)
            );
        }
    }
    let takers: String = TYPES
        .iter()
        .map(|ty| {
            let wide = format!("{ty} ").repeat(WIDE);
            format!("(func $take_{ty} (param {ty})) (func $wide_{ty} (param {wide}))")
        })
        .collect();
    let text = format!(
        r#"(module (memory (export "memory") 1) (global $double (mut f64) (f64.const 0))
            {functions} {takers}
            (func $touch (global.set $double (f64.const 1)))
            (func $vector (result v128) (call $touch) (v128.load (i32.const 0))))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// An engine as the executor sets it up for modules under fuel.
fn engine(level: OptLevel) -> Engine {
    let mut config = Config::new();
    config.cranelift_opt_level(level).epoch_interruption(true).wasm_branch_hinting(true);
    Engine::new(&config).unwrap()
}

/// The engine for compositions, which counts fuel and makes NaNs canonical.
fn engine_of_compositions() -> Engine {
    let mut config = Config::new();
    config.cranelift_nan_canonicalization(true).consume_fuel(true);
    Engine::new(&config).unwrap()
}

/// How many bytes a function takes of the native stack, by the comparison with which it begins on
/// x86-64: the bound is put into r10, so many bytes are added, and the stack has to be above that.
fn frame(code: &[u8]) -> u32 {
    for at in 0..code.len().min(100) {
        match code.get(at..at + 7) {
            Some([0x49, 0x81, 0xc2, bytes @ ..]) => {
                return u32::from_le_bytes(bytes.try_into().unwrap());
            }
            Some([0x49, 0x83, 0xc2, bytes, ..]) => return (*bytes).into(),
            _ => {}
        }
    }
    0
}

/// The frames of the first `count` functions that the module defines.
fn frames(engine: &Engine, instrumented: &[u8], count: usize) -> Vec<u32> {
    let module = Module::new(engine, instrumented).unwrap();
    let code = module.text();
    module
        .functions()
        .take(count)
        .map(|function| frame(&code[function.offset..function.offset + function.len]))
        .collect()
}

#[test]
#[cfg(target_arch = "x86_64")]
fn no_frame_is_larger_than_what_is_counted_for_it_allows() {
    let allowed = u32::try_from(NATIVE_STACK_BYTES).unwrap() / STACK_BYTES;
    let (engine, of_compositions) = (engine(OptLevel::Speed), engine_of_compositions());
    let unoptimised = self::engine(OptLevel::None);
    let mut worst = 0;
    for (index, kind) in KINDS.into_iter().enumerate() {
        let code = module(kind);
        let needs = stack_needs(&code).unwrap();
        let metered = instrument(&code).unwrap();
        let in_composition = instrument_in_composition(&code, STACK_BYTES).unwrap();
        let mut compiled = vec![(&engine, &metered)];
        match index % 2 {
            0 => compiled.push((&of_compositions, &in_composition)),
            _ => compiled.push((&unoptimised, &metered)),
        }
        for (way, (engine, instrumented)) in compiled.into_iter().enumerate() {
            let frames = frames(engine, instrumented, needs.len());
            for (at, (need, frame)) in needs.iter().zip(frames).enumerate() {
                let name = USES.get(at / 2).map_or("another", |(name, _)| name);
                assert!(
                    frame <= need * allowed,
                    "{}, {name}, {way}: {frame} bytes for {need}",
                    kind.1(0)
                );
                worst = worst.max(frame / need);
            }
        }
    }
    // It can fail: some of these functions come near.
    assert!(worst >= allowed * 2 / 3, "{worst}");
}

/// A program with functions like these ends with the verdict, and not on the native stack.
#[test]
fn functions_with_large_frames_end_with_the_verdict() {
    for (ty, add, wall) in [("i64", "i64.add", 0), ("v128", "i64x2.add", 0), ("v128", "", 12)] {
        for count in [100, 1_000, 5_000] {
            let params = format!("{ty} ").repeat(wall);
            let passed: String = (0..wall).map(|at| format!("(local.get {at})")).collect();
            let body = if wall == 0 {
                format!("(call $value) {} drop", format!("(call $value) {add} ").repeat(count))
            } else {
                format!("{} (call $wide)", "(call $value)".repeat(20)).repeat(count / 20)
            };
            let zeros = match ty {
                "v128" => "(v128.const i64x2 0 0)",
                _ => "(i64.const 0)",
            };
            let text = format!(
                r#"(module (memory (export "memory") 1)
                    (func $value (result {ty}) ({ty}.load (i32.const 0)))
                    (func $wide (param {}))
                    (func $deep (param {params}) {body} (call $deep {passed}) {body}
                        {passed} {})
                    (func (export "_start") (call $deep {})))"#,
                format!("{ty} ").repeat(20),
                "drop ".repeat(wall),
                zeros.repeat(wall)
            );
            let status = Run::wat(&text).fuel(1_000_000_000).status();
            assert_eq!(status, Status::StackOverflow, "{ty} {wall} {count}");
        }
    }
}

/// An interpreter is one large function that calls itself, and has a bound of its own on how deep:
/// QuickJS takes 320 bytes of a mebibyte for each call of a function without arguments. A program
/// can catch the error that it throws there, and nothing else.
#[test]
fn an_interpreter_comes_to_its_own_bound() {
    // Operators as many as those of QuickJS's interpreter, of which each run takes one arm.
    let arms: String = (0..240)
        .map(|arm| {
            let steps: String = (0..12)
                .map(|step| {
                    let at = (arm * 12 + step) * 8;
                    format!(
                        "(i64.store offset={at} (local.get $frame)
                            (i64.add (i64.load offset={at} (local.get $frame)) (i64.const 3)))
                        (local.set $x (i32.add (local.get $x) (i32.const {step})))"
                    )
                })
                .collect();
            format!("{steps} (br $next))")
        })
        .collect();
    let labels: Vec<_> = (0..240).map(|label| label.to_string()).collect();
    let text = format!(
        r#"(module {PRELUDE} (global $left (mut i32) (i32.const 1048576))
            (func $interpret (param $x i32) (result i32) (local $frame i32) (local $deep i32)
                (global.set $left (i32.sub (global.get $left) (i32.const 320)))
                (if (i32.lt_s (global.get $left) (i32.const 0)) (then (return (i32.const 0))))
                (block $next {} (br_table {} (i32.const 7)) {arms})
                (local.set $deep (call $interpret (i32.add (local.get $x) (i32.const 1))))
                (global.set $left (i32.add (global.get $left) (i32.const 320)))
                (i32.add (local.get $deep) (i32.const 1)))
            (func (export "_start")
                (call $emit (i64.extend_i32_u (call $interpret (i32.const 0))))))"#,
        "(block ".repeat(240),
        labels.join(" "),
    );
    let code = wat::parse_str(&text).unwrap();
    assert_eq!(Run::bytes(code).fuel(1_000_000_000).words(), [3_276]);
}

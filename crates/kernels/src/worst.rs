//! Guests that take as much time as they can for each unit of fuel.
//!
//! Each does one costly thing for ever, or for as long as its fuel lasts, so that the time for a
//! unit is that of a run over what it used. Those whose cost depends on how much memory they reach
//! use all of the memory that they are given.

use crate::{
    KernelError,
    composition::{Encoding, StringPassage, Text, handle_passage, list_passage},
};

/// A guest that takes long for its fuel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worst {
    /// What it does.
    pub name: String,
    /// A core module, or a component.
    pub wasm: Vec<u8>,
}

const PAGE: u64 = 64 << 10;
const LINE: u64 = 64;
/// How often the costly operator stands in the body of a loop.
const UNROLLED: usize = 64;

/// All guests, with `memory_bytes` of memory where it matters, and strings of this many
/// `characters`.
///
/// # Errors
/// [`KernelError`] when the text of a guest is not valid WebAssembly.
pub fn worst(memory_bytes: u64, characters: u32) -> Result<Vec<Worst>, KernelError> {
    let mut texts = chases(memory_bytes);
    texts.extend(operators());
    texts.extend(relaxed());
    texts.extend(bulk());
    texts.extend(growth());
    texts.extend(calls());
    texts.extend(host());
    texts.extend(compositions(characters));
    texts.into_iter().map(|(name, text)| assembled(name, &text)).collect()
}

/// Only those whose cost depends on the memory.
///
/// # Errors
/// As [`worst`].
pub fn chasing(memory_bytes: u64) -> Result<Vec<Worst>, KernelError> {
    chases(memory_bytes).into_iter().map(|(name, text)| assembled(name, &text)).collect()
}

/// A guest of the search: a loop over these operators, which take a number from the stack and leave
/// one. [`PIECES`] has some to draw from.
///
/// # Errors
/// [`KernelError`] when the text is not valid WebAssembly.
pub fn of_pieces(name: &str, pieces: &[&str]) -> Result<Worst, KernelError> {
    let body = pieces.concat();
    let text =
        module("", "(local.set $x (i32.const 1))", &format!("local.get $x {body} local.set $x"));
    assembled(name.to_owned(), &text)
}

fn assembled(name: String, text: &str) -> Result<Worst, KernelError> {
    match wat::parse_str(text) {
        Ok(wasm) => Ok(Worst { name, wasm }),
        Err(source) => Err(KernelError::new(name, source)),
    }
}

type Named = (String, String);

/// What the search puts together: each takes an `i32` and leaves one.
pub const PIECES: &[&str] = &[
    " i32.const 7 i32.div_u ",
    " i32.const 3 i32.rem_s ",
    " i32.clz ",
    " i32.popcnt ",
    " i32.const 13 i32.rotl ",
    " i64.extend_i32_s i64.const 1234567 i64.or i64.const 977 i64.div_s i32.wrap_i64 ",
    " f64.convert_i32_s f64.sqrt f64.sqrt f64.sqrt i32.trunc_sat_f64_s ",
    " f64.convert_i32_u f64.const 0 f64.div f64.floor i32.trunc_sat_f64_u ",
    " f32.convert_i32_s f32.nearest f32.const 0.5 f32.min i32.reinterpret_f32 ",
    " i32x4.splat f32x4.convert_i32x4_s f32x4.sqrt i32x4.trunc_sat_f32x4_s i32x4.extract_lane 0 ",
    " i8x16.splat i8x16.popcnt i8x16.extract_lane_s 3 ",
    " i64x2.extend_low_i32x4_s ",
    " i32.const 65532 i32.and i32.load ",
    " i32.const 65532 i32.and i32.load offset=62 ",
    " local.tee $x i32.const 65532 i32.and local.get $x i32.store local.get $x ",
    " local.tee $x i32.const 1 i32.and call_indirect (type $unary) ",
    " call $id ",
    " drop i32.const 0 memory.grow ",
    " drop memory.size ",
    " local.set $x i32.const 3 i32.const 5 i32.const 1 memory.copy local.get $x ",
    " local.set $x i32.const 65 i32.const 0 i32.const 2 memory.fill local.get $x ",
    " local.set $x i32.const 0 i32.const 1 i32.const 1 table.copy local.get $x ",
    " local.set $x i32.const 0 i32.const 0 table.get table.set local.get $x ",
    " global.set $g global.get $g ",
];

/// A module that does `setup` once, and `body` again and again. It reads a key of storage in
/// between, by which an embedder can tell.
fn module(items: &str, setup: &str, body: &str) -> String {
    sized(items, setup, body, "2")
}

fn sized(items: &str, setup: &str, body: &str, pages: &str) -> String {
    // A type that takes and leaves a number for the pieces of the search.
    let body = body
        .replace(
            " i64x2.extend_low_i32x4_s ",
            " i32x4.splat i64x2.extend_low_i32x4_s i32x4.extract_lane 0 ",
        )
        .replace(
            "local.tee $x i32.const 1 i32.and call_indirect (type $unary)",
            "local.tee $x local.get $x i32.const 1 i32.and call_indirect (type $unary)",
        );
    format!(
        r#"(module
    (type $unary (func (param i32) (result i32)))
    (import "outlayer" "storage_read" (func $mark (param i32 i32 i32 i32) (result i64)))
    {items}
    (memory (export "memory") {pages})
    (table $t 2 2 funcref)
    (elem (i32.const 0) $id $id)
    (global $g (mut i32) (i32.const 0))
    (data $d "some bytes")
    (func $id (param i32) (result i32) (local.get 0))
    (func (export "_start") (local $i i32) (local $x i32) (local $y i64) (local $f f64)
        (local $g f32) (local $v v128)
        {setup}
        (drop (call $mark (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0)))
        (loop $forever {body} (br $forever))))"#
    )
}

/// Loads, each of whose addresses is the result of the one before, all over the memory.
fn chases(memory_bytes: u64) -> Vec<Named> {
    let pages = memory_bytes / PAGE;
    // The next of `nodes` is that of a linear congruence with a full period, which no prefetcher
    // follows.
    let chase = |name: &str, stride: u64, offset: u64, load: &str| {
        let nodes = (memory_bytes / stride).next_power_of_two();
        let nodes = if nodes > memory_bytes / stride { nodes / 2 } else { nodes };
        // The last node's bytes must be within the memory.
        let setup = format!(
            "(local.set $i (i32.const {last}))
            (loop $l
                (i32.store offset={offset}
                    (i32.mul (local.get $i) (i32.const {stride}))
                    (i32.mul (i32.const {stride}) (i32.and (i32.const {last})
                        (i32.add (i32.const 12345677) (i32.mul (local.get $i)
                            (i32.const 1664525))))))
                (br_if $l (i32.ge_s (local.tee $i (i32.sub (local.get $i) (i32.const 1)))
                    (i32.const 0))))",
            last = nodes - 1,
        );
        let load = format!(" {load} offset={offset}").repeat(UNROLLED);
        let body = format!("local.get $x {load} local.set $x");
        // One page more, for what reaches beyond the last node.
        (name.to_owned(), sized("", &setup, &body, &format!("{}", pages.max(2))))
    };
    vec![
        chase("a load from another line", LINE, 0, "i32.load"),
        chase("a load across two lines", LINE * 2, 62, "i32.load"),
        chase("a load from another page", 4096, 64, "i32.load"),
        chase("a load across two pages", 8192, 4094, "i32.load"),
    ]
}

/// An operator, again and again, on what it gave before.
fn operators() -> Vec<Named> {
    let mut all = Vec::new();
    for (ty, local, setup, operators) in [
        (
            "i32",
            "$x",
            "(local.set $x (i32.const -7))",
            &[
                "i32.const 1 i32.div_s",
                "i32.const 1 i32.div_u",
                "i32.const -9 i32.rem_s",
                "i32.clz",
                "i32.popcnt",
                "i32.extend8_s",
            ][..],
        ),
        (
            "i64",
            "$y",
            "(local.set $y (i64.const -7777777777777777777))",
            &[
                "i64.const 1 i64.div_s",
                "i64.const 1 i64.div_u",
                "i64.const -9 i64.rem_s",
                "i64.popcnt",
            ][..],
        ),
        (
            "f64",
            "$f",
            "(local.set $f (f64.const 1e300))",
            &[
                "f64.sqrt",
                "f64.nearest",
                "f64.ceil",
                "f64.const 3 f64.div",
                "f64.const nan f64.min",
                "f64.const 1.0000001 f64.mul",
                "f64.const 1e-310 f64.mul",
                "f64.neg",
                "i64.trunc_sat_f64_s f64.convert_i64_s",
                "i64.trunc_sat_f64_u f64.convert_i64_u",
                "f32.demote_f64 f64.promote_f32",
            ][..],
        ),
        (
            "v128",
            "$v",
            "",
            &[
                "f64x2.sqrt",
                "f32x4.sqrt",
                "i8x16.popcnt",
                "f64x2.nearest",
                "v128.const i64x2 3 5 i64x2.mul",
                "v128.const i64x2 3 5 i8x16.swizzle",
                "i32x4.trunc_sat_f64x2_u_zero f64x2.convert_low_i32x4_u",
                "v128.const i64x2 1 1 f64x2.div",
                "i32.const 3 i8x16.shr_s",
                "v128.const i64x2 1 1 f64x2.max",
                "i8x16.bitmask i8x16.splat",
            ][..],
        ),
    ] {
        for operator in operators {
            let body = format!(
                "local.get {local} {} local.set {local}",
                format!(" {operator} ").repeat(UNROLLED)
            );
            let name = format!("{ty}: {}", operator.split('.').next_back().unwrap_or(operator));
            all.push((format!("{name} ({operator})"), module("", setup, &body)));
        }
    }
    all.push((
        "br_table".to_owned(),
        module(
            "",
            "",
            &format!(
                "(local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525))
                    (i32.const 1013904223)))
                {} (br_table {} (i32.shr_u (local.get $x) (i32.const 24))) {}",
                "(block ".repeat(256),
                (0..256).map(|label| label.to_string()).collect::<Vec<_>>().join(" "),
                ")".repeat(256)
            ),
        ),
    ));
    all.push((
        "global".to_owned(),
        module("", "", &"(global.set $g (i32.add (global.get $g) (i32.const 1)))".repeat(UNROLLED)),
    ));
    all
}

/// Bulk operators on few bytes or elements, and on many.
fn bulk() -> Vec<Named> {
    let mut all = Vec::new();
    for bytes in [0, 1, 3, 63, 5_000] {
        for (name, operator) in [
            ("memory.fill", "(memory.fill (i32.const 4093) (i32.const 1) (local.get $x))"),
            ("memory.copy", "(memory.copy (i32.const 4093) (i32.const 30001) (local.get $x))"),
        ] {
            let setup = format!("(local.set $x (i32.const {bytes}))");
            all.push((format!("{name} of {bytes}"), module("", &setup, &operator.repeat(8))));
        }
    }
    for count in [0, 1, 2] {
        for (name, operator) in [
            ("memory.init", "(memory.init $d (i32.const 9) (i32.const 0) (local.get $x))"),
            ("table.copy", "(table.copy (i32.const 0) (i32.const 0) (local.get $x))"),
            ("table.fill", "(table.fill (i32.const 0) (ref.null func) (local.get $x))"),
            ("table.init", "(table.init $e (i32.const 0) (i32.const 0) (local.get $x))"),
        ] {
            let setup = format!("(local.set $x (i32.const {count}))");
            let items = "(elem $e func $id $id)";
            all.push((format!("{name} of {count}"), module(items, &setup, &operator.repeat(8))));
        }
    }
    all.push((
        "table.get and table.set".to_owned(),
        module("", "", &"(table.set (local.get $x) (table.get (local.get $x)))".repeat(8)),
    ));
    all.push((
        "ref.func and ref.is_null".to_owned(),
        module(
            "",
            "",
            &"(table.set (local.get $x) (ref.func $id))
                (drop (ref.is_null (table.get (i32.const 0))))"
                .repeat(8),
        ),
    ));
    all
}

/// Growing by nothing, and in vain.
fn growth() -> Vec<Named> {
    vec![
        (
            "memory.grow by nothing".to_owned(),
            sized("", "", &"(drop (memory.grow (i32.const 0)))".repeat(8), "2"),
        ),
        (
            "memory.grow in vain".to_owned(),
            sized("", "", &"(drop (memory.grow (i32.const -1)))".repeat(8), "2 3"),
        ),
        (
            "table.grow by nothing".to_owned(),
            module("", "", &"(drop (table.grow $t (ref.null func) (i32.const 0)))".repeat(8)),
        ),
        (
            "table.grow in vain".to_owned(),
            module("", "", &"(drop (table.grow $t (ref.null func) (i32.const 1)))".repeat(8)),
        ),
        ("memory.size".to_owned(), module("", "", &"(drop (memory.size))".repeat(UNROLLED))),
    ]
}

/// Relaxed vector operators that become several plain ones.
fn relaxed() -> Vec<Named> {
    let one = |operator: &str, operands: usize| {
        let operands = "(local.get $v)".repeat(operands);
        let body = format!("(local.set $v ({operator} {operands}))").repeat(UNROLLED);
        let items = format!("(func $work (local $v v128) {body})");
        (operator.to_owned(), module(&items, "", "(call $work)"))
    };
    vec![
        one("f32x4.relaxed_madd", 3),
        one("f64x2.relaxed_nmadd", 3),
        one("i16x8.relaxed_dot_i8x16_i7x16_s", 2),
        one("i32x4.relaxed_dot_i8x16_i7x16_add_s", 3),
    ]
}

/// Calls: of an empty function, through a table, of a function with many locals, in place of the
/// caller.
fn calls() -> Vec<Named> {
    let many = format!("(func $many (local {}))", "i64 ".repeat(200));
    vec![
        (
            "call".to_owned(),
            module("", "", &"(local.set $x (call $id (local.get $x)))".repeat(UNROLLED)),
        ),
        (
            "call_indirect".to_owned(),
            module(
                "",
                "",
                &"(local.set $x (call_indirect (type $unary) (local.get $x) (i32.const 1)))"
                    .repeat(UNROLLED),
            ),
        ),
        (
            "call with many locals".to_owned(),
            module(
                &format!("{many} (func $use (local {}) (drop (local.get 3)))", "i64 ".repeat(200)),
                "",
                &"(call $many) (call $use)".repeat(8),
            ),
        ),
        (
            "return_call".to_owned(),
            module(
                "(func $turn (param i32) (if (local.get 0)
                    (then (return_call $turn (i32.sub (local.get 0) (i32.const 1))))))",
                "",
                "(call $turn (i32.const 100))",
            ),
        ),
        (
            "return_call_indirect with a call before".to_owned(),
            module(
                "(type $turn (func (param i32)))
                (table $turns 3 funcref) (elem (table $turns) (i32.const 2) func $turn)
                (func $turn (type $turn) (drop (call $id (i32.const 1))) (if (local.get 0)
                    (then (return_call_indirect $turns (type $turn)
                        (i32.sub (local.get 0) (i32.const 1)) (i32.const 2)))))",
                "",
                "(call $turn (i32.const 100))",
            ),
        ),
    ]
}

/// Calls of the host.
fn host() -> Vec<Named> {
    let p1 = |name: &str, parameters: &str, call: &str| {
        (
            format!("host: {name} {call}"),
            module(
                &format!(
                    r#"(import "wasi_snapshot_preview1" "{name}"
                        (func $f (param {parameters}) (result i32)))"#
                ),
                // A list of 64 buffers of one byte, and 64 subscriptions to the clock.
                "(local.set $i (i32.const 0))
                (loop $l
                    (i32.store (i32.add (i32.const 1024) (local.get $i)) (i32.const 8))
                    (i32.store offset=4 (i32.add (i32.const 1024) (local.get $i)) (i32.const 0))
                    (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8)))
                        (i32.const 8192))))",
                &format!("(drop (call $f {call}))").repeat(4),
            ),
        )
    };
    let outlayer = |name: &str, ty: &str, call: &str, drops: bool| {
        let call_text = format!("(call $f {call})");
        let call_text = if drops { format!("(drop {call_text})") } else { call_text };
        (
            format!("host: {name} {call}"),
            module(
                &format!(r#"(import "outlayer" "{name}" (func $f {ty}))"#),
                "",
                &call_text.repeat(4),
            ),
        )
    };
    let c = |values: &[i64]| {
        values.iter().map(|value| format!("(i32.const {value})")).collect::<Vec<_>>().join(" ")
    };
    vec![
        p1("sched_yield", "", ""),
        p1("clock_time_get", "i32 i64 i32", "(i32.const 1) (i64.const 0) (i32.const 16)"),
        p1("random_get", "i32 i32", &c(&[16, 0])),
        p1("random_get", "i32 i32", &c(&[16, 1])),
        p1("random_get", "i32 i32", &c(&[16, 65_536])),
        p1("fd_write", "i32 i32 i32 i32", &c(&[1, 1024, 0, 16])),
        p1("fd_write", "i32 i32 i32 i32", &c(&[1, 1024, 1_000, 16])),
        p1("fd_read", "i32 i32 i32 i32", &c(&[0, 1024, 1_000, 16])),
        p1("args_get", "i32 i32", &c(&[16, 64])),
        p1("environ_get", "i32 i32", &c(&[16, 256])),
        p1("environ_sizes_get", "i32 i32", &c(&[16, 20])),
        p1("poll_oneoff", "i32 i32 i32 i32", &c(&[32_768, 65_536, 1, 16])),
        p1("poll_oneoff", "i32 i32 i32 i32", &c(&[32_768, 65_536, 500, 16])),
        p1("fd_fdstat_get", "i32 i32", &c(&[1, 16])),
        p1(
            "path_open",
            "i32 i32 i32 i32 i32 i64 i64 i32 i32",
            "(i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 0) \
             (i64.const 0) (i32.const 0) (i32.const 0)",
        ),
        outlayer("context_read", "(param i32 i32) (result i32)", &c(&[16, 1_000]), true),
        outlayer("random_fill", "(param i32 i32)", &c(&[16, 1]), false),
        outlayer(
            "storage_read",
            "(param i32 i32 i32 i32) (result i64)",
            &c(&[16, 1, 64, 64]),
            true,
        ),
        outlayer("storage_write", "(param i32 i32 i32 i32)", &c(&[16, 1, 64, 0]), false),
        outlayer("storage_write", "(param i32 i32 i32 i32)", &c(&[16, 256, 64, 5_000]), false),
        outlayer("storage_remove", "(param i32 i32) (result i32)", &c(&[16, 1]), true),
    ]
}

/// Values between components, and nothing but calls.
fn compositions(long: u32) -> Vec<Named> {
    let mut all = Vec::new();
    for from in Encoding::ALL {
        for to in Encoding::ALL {
            for text in Text::ALL {
                // A single character only asks what a call costs.
                let lengths = if text == Text::Ascii { &[1, long][..] } else { &[long] };
                for &characters in lengths {
                    let passage = StringPassage {
                        text,
                        times: u32::MAX,
                        ..StringPassage::new(from, to, characters)
                    };
                    all.push((
                        format!("string {from} to {to}, {characters} {text}"),
                        passage.text_format(),
                    ));
                }
            }
        }
    }
    for (element, size) in [("u8", 1), ("u64", 8), ("string", 8)] {
        all.push((format!("list of {element}"), list_passage(element, long / 20, size, u32::MAX)));
    }
    all.push(("handles".to_owned(), handle_passage(u32::MAX)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guest_is_valid_text() {
        for memory_bytes in [1 << 20, 16 << 20, 256 << 20] {
            assert!(worst(memory_bytes, 1_000).unwrap().len() > 100);
        }
        for piece in PIECES {
            of_pieces("one", &[piece]).unwrap();
        }
    }
}

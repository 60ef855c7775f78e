//! Guests that are made to meet a bound of a parser, a compiler, an allocator or a host.

use outlayer_executor::prepare::encode;

use super::composed;
use crate::common::{Run, components, corpus};

const DEPTHS: [usize; 4] = [10, 100, 10_000, 1_000_000];

const COMMAND: &str = r#"(memory (export "memory") 1)"#;
/// What makes a NEAR contract of a module.
const CONTRACT: &str = r#"(import "env" "input" (func (param i64))) (memory 1)"#;

pub(crate) type Named = (String, Vec<u8>);

pub(crate) fn text(name: &str, text: &str) -> Named {
    (name.to_owned(), wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// The items of a module with the function `$run`, which is exported as a command or a method.
fn items() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = [
        ("nothing", "(func $run)".to_owned()),
        ("a start that traps", "(func $run) (func $s unreachable) (start $s)".to_owned()),
        ("a start that never ends", "(func $run) (func $s (loop (br 0))) (start $s)".to_owned()),
        ("recursion", "(func $run (call $run))".to_owned()),
        ("a segment out of bounds", r#"(func $run) (data (i32.const 65535) "ab")"#.to_owned()),
        (
            "an element out of bounds",
            "(table 1 funcref) (func $run) (elem (i32.const 1) $run)".to_owned(),
        ),
        ("a huge table", "(table 4294967295 funcref) (func $run)".to_owned()),
        ("a table with a bound", "(table 1 2 funcref) (func $run)".to_owned()),
        (
            "a table that grows",
            "(table 1 funcref) (func $run (loop
                (br_if 0 (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1)))))"
                .to_owned(),
        ),
        (
            "memory that grows",
            "(func $run (loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))))"
                .to_owned(),
        ),
        (
            "a division",
            "(func $run (drop (i32.div_s (i32.const -2147483648) (i32.const -1))))".to_owned(),
        ),
        ("a conversion", "(func $run (drop (i32.trunc_f32_s (f32.const nan))))".to_owned()),
        (
            "calls through a table",
            "(table 2 funcref) (elem (i32.const 0) $f) (func $f (param i64))
                (func $run (call_indirect (i32.const 0)))"
                .to_owned(),
        ),
        (
            "a call of null",
            "(table 2 funcref) (func $run (call_indirect (i32.const 1)))".to_owned(),
        ),
    ]
    .map(|(name, items)| (name.to_owned(), items))
    .to_vec();
    for count in [98, 99, 100, 101] {
        all.push((
            format!("{count} tables"),
            format!("{} (func $run)", "(table 0 funcref)".repeat(count)),
        ));
    }
    for count in [100, 20_000, 100_001] {
        let many = |what: &str| what.repeat(count);
        all.push((format!("{count} globals"), format!("{} (func $run)", many(GLOBAL))));
        all.push((format!("{count} types"), format!("{} (func $run)", many("(type (func))"))));
        all.push((
            format!("{count} data segments"),
            format!("{} (func $run)", many(r#"(data "")"#)),
        ));
        all.push((
            format!("{count} element segments"),
            format!("(func $run) {}", many("(elem declare func $run)")),
        ));
        all.push((
            format!("{count} exports"),
            format!(
                "(func $run) {}",
                (0..count)
                    .map(|index| format!(r#"(export "e{index}" (func $run))"#))
                    .collect::<String>()
            ),
        ));
        if count <= 20_000 {
            all.push((
                format!("{count} functions in a table"),
                format!(
                    "(table {count} funcref) (func $run) (elem (i32.const 0) func {})",
                    many("$run ")
                ),
            ));
            all.push((format!("{count} functions"), format!("(func $run) {}", many("(func)"))));
        }
        all.push((format!("{count} locals"), format!("(func $run (local {}))", many("i64 "))));
        all.push((
            format!("{count} operands"),
            format!("(func $run {} {})", many("(i32.const 1)"), many("drop ")),
        ));
    }
    for count in [63, 64, 65, 1_000, 1_001] {
        let values = "i32 ".repeat(count);
        all.push((format!("{count} parameters"), format!("(func (param {values})) (func $run)")));
        all.push((
            format!("{count} results"),
            format!("(func (result {values}) unreachable) (func $run)"),
        ));
        // Values that are alive all at once, in a function that does nothing else.
        let loads: String =
            (0..count).map(|index| format!("(i32.load (i32.const {}))", index * 4)).collect();
        all.push((
            format!("{count} live values"),
            format!("(func $run {loads} {} drop)", "i32.add ".repeat(count - 1)),
        ));
    }
    all
}

pub(crate) const GLOBAL: &str = "(global (mut i64) (i64.const 0))";

/// Bodies that are best written as bytes, and how often their one part is repeated.
fn bodies() -> Vec<Named> {
    let mut all = Vec::new();
    for depth in DEPTHS {
        let nested = |open: &[u8], close: &[u8]| [open.repeat(depth), close.repeat(depth)].concat();
        all.push((format!("{depth} blocks"), nested(&[0x02, 0x40], &[0x0b])));
        all.push((format!("{depth} loops"), nested(&[0x03, 0x40], &[0x0b])));
        all.push((format!("{depth} ifs"), nested(&[0x41, 0, 0x04, 0x40], &[0x0b])));
        all.push((format!("{depth} ifs with else"), nested(&[0x41, 0, 0x04, 0x40, 0x05], &[0x0b])));
        all.push((format!("{depth} opens"), [0x02, 0x40].repeat(depth)));
        let mut table = vec![0x41, 0, 0x0e];
        encode::unsigned(&mut table, depth);
        table.extend(vec![0; depth + 1]);
        all.push((format!("{depth} targets"), table));
        all.push((
            format!("{depth} selects"),
            [&[0x41, 0][..], &[0x41, 1, 0x41, 2, 0x1b].repeat(depth), &[0x1a]].concat(),
        ));
        all.push((
            format!("{depth} additions"),
            [&[0x41, 0][..], &[0x41, 1, 0x6a].repeat(depth), &[0x1a]].concat(),
        ));
        all.push((
            format!("{depth} tees"),
            [&[0x41, 0][..], &[0x22, 0].repeat(depth), &[0x1a]].concat(),
        ));
    }
    all
}

/// A module with this body of its exported function, which has one local. It begins with sections
/// that are already encoded.
fn with_body(before: &[(u8, &[u8])], imported: usize, export: &str, body: &[u8]) -> Vec<u8> {
    let mut code = b"\0asm\x01\0\0\0".to_vec();
    for (id, content) in before {
        encode::section(&mut code, *id, content);
    }
    encode::section(&mut code, 3, &[1, 0]);
    encode::section(&mut code, 5, &[1, 0, 1]);
    let mut exports = vec![2];
    encode::unsigned(&mut exports, export.len());
    exports.extend_from_slice(export.as_bytes());
    exports.push(0);
    encode::unsigned(&mut exports, imported);
    exports.extend_from_slice(&[6]);
    exports.extend_from_slice(b"memory");
    exports.extend_from_slice(&[2, 0]);
    encode::section(&mut code, 7, &exports);
    let body = [&[1, 1, 0x7f][..], body, &[0x0b]].concat();
    let mut bodies = vec![1];
    encode::unsigned(&mut bodies, body.len());
    bodies.extend(body);
    encode::section(&mut code, 10, &bodies);
    code
}

/// Modules whose sections nest, chain or repeat in ways that text does not show.
fn sections() -> Vec<Named> {
    let module = |sections: &[(u8, &[u8])]| {
        let mut code = b"\0asm\x01\0\0\0".to_vec();
        for (id, content) in sections {
            encode::section(&mut code, *id, content);
        }
        code
    };
    let number = |value: usize| {
        let mut bytes = Vec::new();
        encode::unsigned(&mut bytes, value);
        bytes
    };
    let mut all = vec![
        ("no bytes".to_owned(), Vec::new()),
        ("a header".to_owned(), b"\0asm\x01\0\0\0".to_vec()),
        ("another version".to_owned(), b"\0asm\x02\0\0\0".to_vec()),
        ("another layer".to_owned(), b"\0asm\x01\0\x02\0".to_vec()),
    ];
    for depth in DEPTHS {
        // A type that is a subtype of the one before, and so on.
        let mut chain = number(depth);
        chain.extend([0x50, 0, 0x60, 0, 0]);
        for index in 0..depth - 1 {
            chain.extend([0x50, 1]);
            chain.extend(number(index));
            chain.extend([0x60, 0, 0]);
        }
        all.push((format!("{depth} subtypes"), module(&[(1, &chain)])));
        let group = [&[1, 0x4e][..], &number(depth), &[0x60, 0, 0].repeat(depth)].concat();
        all.push((format!("{depth} types in a group"), module(&[(1, &group)])));
        let nested = [&[1][..], &[0x4e, 1].repeat(depth), &[0x60, 0, 0]].concat();
        all.push((format!("{depth} groups in groups"), module(&[(1, &nested)])));
        let refs = [&[1, 0x60, 1][..], &[0x63].repeat(depth), &[0, 0]].concat();
        all.push((format!("{depth} references"), module(&[(1, &refs)])));
        // A global's initial value that adds up.
        let sum = [&[1, 0x7f, 0, 0x41, 0][..], &[0x41, 1, 0x6a].repeat(depth), &[0x0b]].concat();
        all.push((format!("{depth} constant additions"), module(&[(6, &sum)])));
        let deep =
            [&[1, 0x7f, 0][..], &[0x41, 0].repeat(depth), &[0x6a].repeat(depth - 1), &[0x0b]]
                .concat();
        all.push((format!("{depth} constants"), module(&[(6, &deep)])));
        let name = [&[4][..], b"name", &[1, 5, 1, 0, 1, b'a', 0].repeat(depth)].concat();
        all.push((format!("{depth} names"), module(&[(0, &name)])));
        let nested = [&[4][..], b"name", &[0, 0x7f].repeat(depth)].concat();
        all.push((format!("{depth} names that do not end"), module(&[(0, &nested)])));
        all.push((
            format!("{depth} custom sections"),
            [&b"\0asm\x01\0\0\0"[..], &[0, 2, 1, b'a'].repeat(depth.min(1_000_000))].concat(),
        ));
        all.push((
            format!("{depth} type sections"),
            [&b"\0asm\x01\0\0\0"[..], &[1, 1, 0].repeat(depth)].concat(),
        ));
    }
    all
}

/// Modules for the core backends.
pub(crate) fn modules() -> Vec<Named> {
    let mut all: Vec<Named> = items()
        .into_iter()
        .map(|(name, items)| {
            text(&name, &format!(r#"(module {items} {COMMAND} (export "_start" (func $run)))"#))
        })
        .collect();
    let types: (u8, &[u8]) = (1, &[1, 0x60, 0, 0]);
    all.extend(
        bodies().into_iter().map(|(name, body)| (name, with_body(&[types], 0, "_start", &body))),
    );
    all.extend(sections());
    for count in [100, 100_000] {
        let import = r#"(import "outlayer" "log" (func (param i32 i32)))"#.repeat(count);
        all.push(text(
            &format!("{count} imports"),
            &format!(r#"(module {import} (func $run) {COMMAND} (export "_start" (func $run)))"#),
        ));
        let functions: String = (0..count).map(|index| format!("{index} ")).collect();
        all.push(text(
            &format!("{count} imports in a table"),
            &format!(
                r#"(module {import} (table {count} funcref) (elem (i32.const 0) func {functions})
                    (func $run) {COMMAND} (export "_start" (func $run)))"#
            ),
        ));
    }
    for memory in ["0", "1 1", "2048", "2049", "65536", "1 65536"] {
        all.push(text(
            &format!("memory {memory}"),
            &format!(r#"(module (memory (export "memory") {memory}) (func (export "_start")))"#),
        ));
    }
    all
}

/// Modules for NEAR's runner.
pub(crate) fn contracts() -> Vec<Named> {
    let mut all: Vec<Named> = items()
        .into_iter()
        .map(|(name, items)| {
            text(&name, &format!(r#"(module {CONTRACT} {items} (export "run" (func $run)))"#))
        })
        .collect();
    let types: (u8, &[u8]) = (1, &[2, 0x60, 0, 0, 0x60, 1, 0x7e, 0]);
    let import = [&[1, 3][..], b"env", &[5], b"input", &[0, 1]].concat();
    let before = [types, (2, &import[..])];
    all.extend(
        bodies().into_iter().map(|(name, body)| (name, with_body(&before, 1, "run", &body))),
    );
    for depth in DEPTHS {
        let sum = [&[1, 0x7f, 0, 0x41, 0][..], &[0x41, 1, 0x6a].repeat(depth), &[0x0b]].concat();
        let code = with_body(&before, 1, "run", &[]);
        let code = [&code[..], &[6, 0]].concat();
        all.push((format!("{depth} constant additions"), {
            let mut code = code.clone();
            encode::section(&mut code, 6, &sum);
            code
        }));
        let name = [&[4][..], b"name", &[1, 5, 1, 0, 1, b'a', 0].repeat(depth)].concat();
        all.push((format!("{depth} names"), {
            let mut code = with_body(&before, 1, "run", &[]);
            encode::section(&mut code, 0, &name);
            code
        }));
    }
    for import in [
        r#"(import "env" "missing" (func))"#,
        r#"(import "env" "input" (func))"#,
        r#"(import "env" "m" (memory 1))"#,
        r#"(import "env" "g" (global i32))"#,
        r#"(import "env" "t" (table 1 funcref))"#,
        r#"(import "internal" "finite_wasm_gas" (func (param i64)))"#,
        r#"(import "wasi_snapshot_preview1" "fd_write" (func))"#,
    ] {
        all.push(text(
            import,
            &format!(r#"(module {import} {CONTRACT} (func (export "run")))"#).replace(
                &format!("{import} {CONTRACT}"),
                &format!(r#"(import "env" "input" (func (param i64))) {import}"#),
            ),
        ));
    }
    for (name, export) in [
        ("a method with parameters", r#"(func (export "run") (param i32))"#),
        ("a method that is a memory", r#"(memory 1) (export "run" (memory 0))"#),
        ("an imported method", r#"(export "run" (func 0))"#),
        ("reserved names", r#"(func (export "start")) (func (export "run"))"#),
        (
            "a reserved global",
            r#"(global (export "remaining_gas") (mut i64) (i64.const 9))
            (func (export "run"))"#,
        ),
        ("names with a zero", r#"(func (export "\00run")) (func (export "run"))"#),
    ] {
        all.push(text(
            name,
            &format!(r#"(module (import "env" "input" (func (param i64))) {export})"#),
        ));
    }
    all
}

/// Guests that complete.
pub(crate) fn programs() -> Vec<(&'static str, Run)> {
    vec![
        ("a component", components::wasi("(call $print (i32.const 0) (i32.const 3))")),
        (
            "a component of the host's",
            components::host("(call $print (i32.const 0) (i32.const 3))"),
        ),
    ]
}

const METHODS: &str = r#"(module
    (import "env" "input" (func $input (param i64)))
    (import "env" "register_len" (func $register_len (param i64) (result i64)))
    (import "env" "read_register" (func $read_register (param i64 i64)))
    (import "env" "value_return" (func $value_return (param i64 i64)))
    (import "env" "log_utf8" (func $log_utf8 (param i64 i64)))
    (import "env" "sha256" (func $sha256 (param i64 i64 i64)))
    (import "env" "storage_write" (func $write (param i64 i64 i64 i64 i64) (result i64)))
    (import "env" "storage_read" (func $read (param i64 i64 i64) (result i64)))
    (import "env" "promise_batch_create" (func $promise (param i64 i64) (result i64)))
    (memory 1) (table 3 funcref) (elem (i32.const 0) $f $f) (global $g (mut i64) (i64.const 5))
    (data (i32.const 0) "key and value")
    (func $f (param i64) (result i64) (i64.mul (local.get 0) (global.get $g)))
    (func (export "run") (local $i i64)
        (call $input (i64.const 0)) (call $read_register (i64.const 0) (i64.const 64))
        (loop $l
            (local.set $i (i64.add (local.get $i) (i64.const 1)))
            (global.set $g (call_indirect (param i64) (result i64) (local.get $i) (i32.const 1)))
            (br_if $l (i64.lt_u (local.get $i) (i64.const 20))))
        (call $sha256 (i64.const 5) (i64.const 64) (i64.const 1))
        (drop (call $write (i64.const 3) (i64.const 0) (i64.const 5) (i64.const 8) (i64.const 2)))
        (drop (call $read (i64.const 3) (i64.const 0) (i64.const 3)))
        (call $log_utf8 (i64.const 3) (i64.const 0))
        (drop (memory.grow (i32.const 1)))
        (call $read_register (i64.const 1) (i64.const 128))
        (call $value_return (i64.const 32) (i64.const 128))))"#;

/// What mutations of contracts begin with.
pub(crate) fn seed_contracts() -> Vec<Named> {
    let mut all = contracts();
    all.extend((0..60).map(|_| text("methods", METHODS)));
    all
}

/// What mutations of modules begin with.
pub(crate) fn seed_modules() -> Vec<Named> {
    let mut all = modules();
    let guests = corpus::guests().into_iter().map(|(name, run)| (name, run.code));
    let guests: Vec<Named> = guests.collect();
    for _ in 0..5 {
        all.extend(guests.clone());
    }
    all
}

/// What mutations of components begin with.
pub(crate) fn seed_components() -> Vec<Named> {
    let mut all = composed::components();
    all.extend(programs().into_iter().map(|(name, run)| (name.to_owned(), run.code)));
    all
}

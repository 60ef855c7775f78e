//! What [`ENGINE_VERSION`] stands for: a corpus of executions, and what came of each of them under
//! this number, recorded in `engine_version/N.txt`. A change to any of it needs a new number, and
//! so does a change to the versions of the crates behind it (`crates`).
//!
//! To write the file of a new number, raise `ENGINE_VERSION` in `crates/guest/src/version.rs`, then
//! run
//!
//! ```text
//! UPDATE_SNAPSHOTS=1 cargo test --workspace --test engine_version
//! ```
//!
//! A file that exists is never overwritten.
#![allow(clippy::unwrap_used)]

mod common;

#[path = "engine_version/crates.rs"]
mod crates;

use std::{fmt::Write as _, fs, path::PathBuf};

use common::{Run, components, corpus, kernels};
use outlayer_executor::{ENGINE_VERSION, Execution, NEAR_CONFIG_VERSION};
use outlayer_protocol::{Compute, GuestKind, Hash32, Limit, ResourceLimits, Status};

const FUEL: u64 = 1_000_000_000;
const GAS: u64 = 300_000_000_000_000;

fn with(mut run: Run, change: impl FnOnce(&mut ResourceLimits)) -> Run {
    change(&mut run.limits);
    run
}

fn by(run: &Run, compute: Compute) -> Run {
    with(run.clone(), |limits| limits.compute = compute)
}

/// The corpus: each execution with its name.
fn executions() -> Vec<(String, Run)> {
    let mut all = Vec::new();
    let programs = kernels::kernels().into_iter().chain(kernels::traps());
    for (name, code) in programs {
        let run = with(Run::bytes(code), |limits| limits.memory_bytes = 128 << 20);
        both_meters(&mut all, &format!("kernel {name}"), &run);
    }
    for (name, run) in corpus::guests() {
        both_meters(&mut all, &format!("wasi-p1 {name}"), &run);
    }
    for (name, run) in bounded().into_iter().chain(rejected()) {
        both_meters(&mut all, &name, &run);
    }
    all.extend(out_of_compute());
    all.extend(wasi_p2());
    all.extend(near());
    all
}

fn both_meters(all: &mut Vec<(String, Run)>, name: &str, run: &Run) {
    all.push((format!("{name}, fuel"), by(run, Compute::Fuel(FUEL))));
    all.push((format!("{name}, gas"), by(run, Compute::Gas(GAS))));
}

/// The same guests with less fuel or gas than they need.
fn out_of_compute() -> Vec<(String, Run)> {
    let mut all = Vec::new();
    let loops = Run::start("(call $log (i32.const 0) (i32.const 3)) (loop $l (br $l))");
    for (name, run) in [("curious", corpus::curious()), ("an endless loop", loops)] {
        for limit in [0, 100, 10_001, 100_000] {
            all.push((format!("{name}, fuel {limit}"), by(&run, Compute::Fuel(limit))));
        }
        for limit in [0, 1_000_000_000, 50_000_000_000, 1_000_000_000_000] {
            all.push((format!("{name}, gas {limit}"), by(&run, Compute::Gas(limit))));
        }
    }
    all
}

/// Guests that meet a limit.
fn bounded() -> Vec<(String, Run)> {
    let write = "(call $storage_write (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 100))";
    let read =
        "(drop (call $storage_read (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 8)))";
    let print = "(call $print (i32.const 0) (i32.const 100))";
    let log = "(call $log (i32.const 0) (i32.const 100))";
    let start = Run::start;
    vec![
        (Limit::MemoryBytes, with(start(""), |l| l.memory_bytes = (1 << 16) - 1)),
        (
            Limit::TableElements,
            with(Run::module(r#"(table 20 funcref) (func (export "_start"))"#), |l| {
                l.table_elements = 19
            }),
        ),
        (Limit::Instances, with(start(""), |l| l.instances = 0)),
        (Limit::OutputBytes, with(start(print), |l| l.output_bytes = 99)),
        (Limit::LogBytes, with(start(log), |l| l.log_bytes = 100)),
        (Limit::JournalBytes, with(start(write), |l| l.journal_bytes = 100)),
        (Limit::StorageReads, with(start(read), |l| l.storage_reads = 0)),
        (Limit::StorageWrites, with(start(write), |l| l.storage_writes = 0)),
        (Limit::HostCalls, with(start(print), |l| l.host_calls = 0)),
        (Limit::KeyBytes, start(&write.replacen("(i32.const 1)", "(i32.const 257)", 1))),
        (Limit::ValueBytes, start(&write.replacen("(i32.const 100)", "(i32.const 65537)", 1))),
    ]
    .into_iter()
    .map(|(limit, run)| (format!("limit {limit}"), run))
    .collect()
}

/// Code that is not run.
fn rejected() -> Vec<(String, Run)> {
    let module = |items: &str| Run::wat(&format!("(module {items})"));
    let whole = r#"(memory (export "memory") 1) (func (export "_start"))"#;
    let mut cut_short = module(whole);
    cut_short.code.truncate(20);
    let mut required = module(whole);
    required.kind = Some(GuestKind::Near);
    vec![
        ("no WebAssembly", Run::bytes(b"#!/bin/sh".to_vec())),
        ("cut short", cut_short),
        ("no _start", module(r#"(memory (export "memory") 1)"#)),
        ("no memory", module(r#"(func (export "_start"))"#)),
        ("an unknown import", module(&format!(r#"(import "env" "f" (func)) {whole}"#))),
        ("another kind", required),
        ("threads", module(r#"(memory (export "memory") 1 1 shared) (func (export "_start"))"#)),
        (
            "relaxed SIMD",
            module(&format!(
                "{whole} (func (param v128) (result v128)
                    (f32x4.relaxed_min (local.get 0) (local.get 0)))"
            )),
        ),
        (
            "SIMD",
            module(&format!(
                "{whole} (func (param v128) (result v128) (f32x4.min (local.get 0) (local.get 0)))"
            )),
        ),
        (
            "a large function",
            module(&format!("{whole} (func {})", "(drop (i32.const 1))".repeat(70_000))),
        ),
    ]
    .into_iter()
    .map(|(name, run)| (format!("code: {name}"), run))
    .collect()
}

fn wasi_p2() -> Vec<(String, Run)> {
    let clocks = "(drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0)))
        (call $emit (i64.load (i32.const 0)))
        (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 0)))
        (call $emit (i64.load (i32.const 0)))
        (i64.store (i32.const 100) (i64.const 77)) (i32.store (i32.const 116) (i32.const 1))
        (i64.store (i32.const 124) (i64.const 31536000000000000))
        (call $errno (call $poll_oneoff (i32.const 100) (i32.const 200) (i32.const 1)
            (i32.const 300)))
        (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 0)))
        (call $emit (i64.load (i32.const 0)))";
    let random = "(call $errno (call $random_get (i32.const 0) (i32.const 61)))
        (call $print (i32.const 0) (i32.const 61))";
    let deep = r#"(if (i32.eqz (local.get $i))
            (then (call $write (i32.const 2) (i32.const 0) (i32.const 4)) unreachable))"#;
    let storage = r#"(call $read (i32.const 0) (i32.const 3) (i32.const 100))
        (call $print (i32.load (i32.const 104)) (i32.load (i32.const 108)))
        (call $write (i32.const 0) (i32.const 2) (i32.const 3) (i32.const 5))
        (drop (call $remove (i32.const 1) (i32.const 2)))
        (call $line (i32.const 3) (i32.const 5))
        (call $random (i32.const 32) (i32.const 200))
        (call $print (i32.load (i32.const 200)) (i32.load (i32.const 204)))"#;
    vec![
        ("nothing", components::wasi("")),
        ("echo", components::wasi(corpus::ECHO).input("what is said")),
        ("clocks and polling", components::wasi(clocks)),
        ("randomness", components::wasi(random)),
        ("exit 1", components::wasi("(call $proc_exit (i32.const 1))")),
        ("a trap after a log line", components::wasi(deep)),
        ("an endless loop", components::wasi("(loop $l (br $l))").fuel(1_000_000)),
        (
            "growth beyond the limit",
            components::wasi("(drop (memory.grow (i32.const 1000)))")
                .limits(|l| l.memory_bytes = 10 << 20),
        ),
        ("storage, log and randomness", components::host(storage).value("key", "old")),
        ("storage reads", components::host(storage).limits(|l| l.storage_reads = 0)),
        ("in gas", by(&components::wasi(""), Compute::Gas(GAS))),
    ]
    .into_iter()
    .map(|(name, run)| (format!("wasi-p2 {name}"), run))
    .collect()
}

/// A contract with a method for each kind of host function.
const CONTRACT: &str = r#"(module
    (import "env" "input" (func $input (param i64)))
    (import "env" "register_len" (func $register_len (param i64) (result i64)))
    (import "env" "read_register" (func $read_register (param i64 i64)))
    (import "env" "value_return" (func $value_return (param i64 i64)))
    (import "env" "panic_utf8" (func $panic_utf8 (param i64 i64)))
    (import "env" "log_utf8" (func $log_utf8 (param i64 i64)))
    (import "env" "sha256" (func $sha256 (param i64 i64 i64)))
    (import "env" "random_seed" (func $random_seed (param i64)))
    (import "env" "block_timestamp" (func $block_timestamp (result i64)))
    (import "env" "prepaid_gas" (func $prepaid_gas (result i64)))
    (import "env" "used_gas" (func $used_gas (result i64)))
    (import "env" "promise_batch_create" (func $promise_batch_create (param i64 i64) (result i64)))
    (import "env" "storage_write" (func $storage_write (param i64 i64 i64 i64 i64) (result i64)))
    (import "env" "storage_read" (func $storage_read (param i64 i64 i64) (result i64)))
    (import "env" "storage_remove" (func $storage_remove (param i64 i64 i64) (result i64)))
    (memory 1)
    (data (i32.const 0) "key0valuebob.near")
    (func $return_register (param i64)
        (call $read_register (local.get 0) (i64.const 1000))
        (call $value_return (call $register_len (local.get 0)) (i64.const 1000)))
    (func $return_word (param i64)
        (i64.store (i32.const 1000) (local.get 0))
        (call $value_return (i64.const 8) (i64.const 1000)))
    (func (export "echo") (call $input (i64.const 1)) (call $return_register (i64.const 1)))
    (func (export "hash")
        (call $random_seed (i64.const 1)) (call $sha256 (i64.const -1) (i64.const 1) (i64.const 2))
        (call $return_register (i64.const 2)))
    (func (export "time") (call $return_word (call $block_timestamp)))
    (func (export "gas") (call $return_word (i64.sub (call $prepaid_gas) (call $used_gas))))
    (func (export "storage")
        (drop (call $storage_read (i64.const 4) (i64.const 0) (i64.const 1)))
        (drop (call $storage_write (i64.const 4) (i64.const 0) (i64.const 5) (i64.const 4)
            (i64.const 2)))
        (drop (call $storage_write (i64.const 3) (i64.const 0) (i64.const 5) (i64.const 4)
            (i64.const 2)))
        (drop (call $storage_remove (i64.const 2) (i64.const 0) (i64.const 3))))
    (func (export "logs")
        (call $log_utf8 (i64.const 4) (i64.const 0)) (call $log_utf8 (i64.const 5) (i64.const 4)))
    (func (export "panic") (call $log_utf8 (i64.const 4) (i64.const 0))
        (call $panic_utf8 (i64.const 5) (i64.const 4)))
    (func (export "trap") unreachable)
    (func (export "promise") (drop (call $promise_batch_create (i64.const 8) (i64.const 9))))
    (func $deep (call $deep))
    (func (export "deep") (call $deep))
    (func (export "spin") (loop $l (br $l))))"#;

fn near() -> Vec<(String, Run)> {
    let code = wat::parse_str(CONTRACT).unwrap();
    let call = |method: &str| {
        let mut run = Run::bytes(code.clone()).input("in").value("key0", "old").limits(|limits| {
            limits.compute = Compute::Gas(GAS);
            limits.memory_bytes = 128 << 20;
        });
        run.args = vec![method.to_owned()];
        run
    };
    let mut all: Vec<(String, Run)> = [
        "echo", "hash", "time", "gas", "storage", "logs", "panic", "trap", "promise", "deep",
        "missing",
    ]
    .into_iter()
    .map(|method| (method.to_owned(), call(method)))
    .collect();
    for gas in [0, 1_000_000_000, 1_000_000_000_000] {
        all.push((format!("spin, gas {gas}"), by(&call("spin"), Compute::Gas(gas))));
    }
    all.push(("in fuel".to_owned(), by(&call("echo"), Compute::Fuel(FUEL))));
    all.push((
        "storage reads".to_owned(),
        with(call("storage"), |limits| limits.storage_reads = 0),
    ));
    all.push((
        "storage writes".to_owned(),
        with(call("storage"), |limits| limits.storage_writes = 1),
    ));
    all.push(("memory".to_owned(), with(call("echo"), |limits| limits.memory_bytes = 64 << 20)));
    all.into_iter().map(|(name, run)| (format!("near {name}"), run)).collect()
}

fn status(status: &Status) -> String {
    let name = status.name();
    match status {
        Status::Exited { code } => format!("{name}: {code}"),
        Status::Trapped { reason } | Status::InvalidModule { reason } => {
            format!("{name}: {reason}")
        }
        Status::LimitExceeded { which, limit } => format!("{name}: {which} {limit}"),
        _ => name.to_owned(),
    }
}

/// The first 16 digits of the SHA-256. A difference stays hidden with a chance of 1 in 2^64.
fn digest(bytes: &[u8]) -> String {
    if bytes.is_empty() { "-".to_owned() } else { Hash32::of(bytes).to_string()[..16].to_owned() }
}

fn line(name: &str, execution: &Execution) -> String {
    let entries = |empty: bool, bytes: Vec<u8>| if empty { "-".to_owned() } else { digest(&bytes) };
    format!(
        "{name} | {} | {} | {} | {} | {} | {}",
        status(&execution.status),
        execution.used.amount(),
        digest(&execution.output),
        entries(execution.journal.is_empty(), borsh::to_vec(&execution.journal).unwrap()),
        entries(execution.reads.is_empty(), borsh::to_vec(&execution.reads).unwrap()),
        digest(&execution.logs)
    )
}

fn recorded_path() -> PathBuf {
    let name = format!("tests/engine_version/{}.txt", ENGINE_VERSION.0);
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn nothing_moves_without_a_new_engine_version() {
    let mut found = format!(
        "# Engine version {}, NEAR's configuration {NEAR_CONFIG_VERSION}. \
         Written by crates/executor/tests/engine_version.rs, which says how.\n\
         # execution | status | used | output | journal | reads | logs \
         (the first 16 digits of each SHA-256, journal and reads as borsh)\n",
        ENGINE_VERSION.0
    );
    for (name, mut run) in executions() {
        writeln!(found, "{}", line(&name, &run.run())).unwrap();
    }
    let path = recorded_path();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() && !path.exists() {
        fs::write(&path, &found).unwrap();
    }
    let recorded = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}\nengine version {} has no record; write it with UPDATE_SNAPSHOTS=1",
            path.display(),
            ENGINE_VERSION.0
        )
    });
    is_complete(&recorded);
    let moved = difference(&recorded, &found);
    assert!(
        moved.is_empty(),
        "engine version {} gives other results than it did: raise ENGINE_VERSION in \
         crates/guest/src/version.rs and write the new number's record with UPDATE_SNAPSHOTS=1 \
         (or undo what changed them)\n{moved}",
        ENGINE_VERSION.0
    );
}

/// The lines that are in only one of the two.
fn difference(recorded: &str, found: &str) -> String {
    let lacking = |these: &str, those: &str, sign: char| -> String {
        let those: std::collections::BTreeSet<&str> = those.lines().collect();
        these
            .lines()
            .filter(|line| !those.contains(line))
            .map(|line| format!("{sign} {line}\n"))
            .collect()
    };
    lacking(recorded, found, '-') + &lacking(found, recorded, '+')
}

#[test]
fn a_difference_is_shown() {
    assert_eq!(difference("a | 1\nb | 2\n", "a | 1\nb | 2\n"), "");
    assert_eq!(difference("a | 1\nb | 2\n", "a | 1\nb | 3\n"), "- b | 2\n+ b | 3\n");
}

/// Checks that the corpus has every kind of guest, and every verdict under each meter.
fn is_complete(recorded: &str) {
    for part in [
        "completed",
        "exited: 42",
        "trapped: unreachable",
        "out_of_fuel",
        "out_of_gas",
        "stack_overflow",
        "invalid_module: ",
    ] {
        assert!(recorded.contains(&format!("| {part}")), "{part}");
    }
    for (limit, _) in bounded() {
        assert!(
            recorded
                .contains(&format!("{limit}, fuel | limit_exceeded: {}", &limit["limit ".len()..])),
            "{limit}"
        );
    }
    for kind in ["kernel ", "wasi-p1 ", "wasi-p2 ", "near "] {
        assert!(recorded.lines().any(|line| line.starts_with(kind)), "{kind}");
    }
}

//! V8 comes to the same executions, to the unit of fuel.
//!
//! Node.js runs the same guests with `outlayer-js`: the rules of `outlayer-guest` built to
//! WebAssembly, around V8 as the engine. What V8 cannot decide is no verdict, and is counted here.

use std::{
    collections::HashSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock},
};

use outlayer_executor::{Backtrace, Code, Execution, Job};
use outlayer_js::{Answer, Task};
use outlayer_protocol::{Compute, Status};

use super::{
    examples,
    generated::{self, FLOATS, RELAXED},
    generated_run, kernels_that_print, nans,
};
use crate::{
    common::{PRELUDE, Run, corpus, kernels},
    features::{memories, preview0},
    plans,
};

const SEEDS: u64 = 200;

/// On this much stack V8 decides as much as wasmtime does, MiB.
const ENOUGH_STACK: u32 = 64;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The host for JavaScript engines, built.
fn host() -> &'static Path {
    static HOST: OnceLock<PathBuf> = OnceLock::new();
    HOST.get_or_init(|| {
        let built = Command::new("scripts/wasm")
            .args(["--quiet", "outlayer_js"])
            .current_dir(root())
            .status()
            .unwrap();
        assert!(built.success(), "scripts/wasm does not build outlayer_js");
        root().join("target/wasm/outlayer_js.wasm")
    })
}

fn task(run: &Run) -> Vec<u8> {
    let Run { code, kind, args, env, input, limits, context, storage, http: _ } = run;
    let job = Job {
        code: Code::of(code),
        kind: *kind,
        args,
        env,
        secrets: &[],
        input,
        limits,
        context,
        http: None,
    };
    let values = storage.values.iter().map(|(key, value)| (key.clone(), value.clone()));
    borsh::to_vec(&Task::new(&job, values.collect())).unwrap()
}

/// What V8 makes of these tasks on so many MiB of stack. `flags` are Node.js's own.
fn on_v8(flags: &[&str], stack: u32, tasks: &[Vec<u8>]) -> Vec<Answer> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name| folder.path().join(name);
    fs::write(file("tasks"), items(tasks)).unwrap();
    let ran = Command::new("node")
        .args(flags)
        .arg(root().join("crates/js/js/node.mjs"))
        .args([host(), &file("tasks"), &file("answers")])
        .arg(stack.to_string())
        .status()
        .unwrap_or_else(|error| {
            panic!("Node.js 20 or newer must be installed as `node`, for its V8: {error}")
        });
    assert!(ran.success(), "node: {ran}");
    let bytes = fs::read(file("answers")).unwrap();
    keep(&items(tasks), &bytes);
    let (mut rest, mut answers) = (&bytes[..], Vec::new());
    while let Some((length, more)) = rest.split_first_chunk() {
        let (answer, more) = more.split_at(u32::from_le_bytes(*length) as usize);
        answers.push(borsh::from_slice(answer).unwrap());
        rest = more;
    }
    assert_eq!(answers.len(), tasks.len());
    answers
}

/// Each item behind its length, as `node.mjs` reads them.
fn items(items: &[Vec<u8>]) -> Vec<u8> {
    let length = |item: &Vec<u8>| u32::try_from(item.len()).unwrap().to_le_bytes();
    items.iter().flat_map(|item| length(item).into_iter().chain(item.iter().copied())).collect()
}

/// Adds tasks and answers to those in the folder `OUTLAYER_V8_CASES`, if it is set, for
/// `scripts/check-browser`.
fn keep(tasks: &[u8], answers: &[u8]) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let Some(folder) = std::env::var_os("OUTLAYER_V8_CASES").map(PathBuf::from) else { return };
    let _turn = ONE_AT_A_TIME.lock().unwrap();
    for (name, bytes) in [("tasks", tasks), ("answers", answers)] {
        let file = fs::File::options().create(true).append(true).open(folder.join(name));
        file.unwrap().write_all(bytes).unwrap();
    }
}

/// Guests, and what the executor makes of them.
#[derive(Default)]
struct Cases {
    names: Vec<String>,
    tasks: Vec<Vec<u8>>,
    expected: Vec<Execution>,
}

impl Cases {
    /// A guest with more fuel than it needs, with what it needs, with a unit less, and a third.
    fn add(&mut self, name: &str, run: &Run) {
        let used = self.add_with(name, run, u64::MAX);
        let mut limits = vec![used, used.saturating_sub(1), used / 3];
        limits.dedup();
        for limit in limits {
            self.add_with(name, run, limit);
        }
    }

    fn add_with(&mut self, name: &str, run: &Run, limit: u64) -> u64 {
        let mut run = run.clone().limits(|limits| limits.compute = Compute::Fuel(limit));
        // Where a guest trapped is not told on V8, and no part of the verdict.
        let execution = Execution { backtrace: Backtrace::default(), ..run.run() };
        let used = execution.used.amount();
        self.names.push(format!("{name}, {limit} fuel"));
        self.tasks.push(task(&run));
        self.expected.push(execution);
        used
    }

    /// Asserts that V8 comes to the same.
    fn compare(&self, flags: &[&str]) {
        let undecided = self.undecided(flags, ENOUGH_STACK);
        assert!(undecided.is_empty(), "{undecided:?}");
        println!("{} executions", self.tasks.len());
    }

    /// Asserts that V8 comes to nothing else, and gives the names of what it cannot decide, with
    /// the reasons.
    fn undecided(&self, flags: &[&str], stack: u32) -> Vec<(String, String)> {
        let mut undecided = Vec::new();
        let answers = on_v8(flags, stack, &self.tasks).into_iter();
        for ((name, expected), answer) in self.names.iter().zip(&self.expected).zip(answers) {
            match answer {
                Answer::Verdict(ended, plan) => {
                    assert_eq!(Execution { plan, ..*ended }, *expected, "{name}");
                }
                Answer::CannotDecide(why) => undecided.push((name.clone(), why)),
            }
        }
        undecided
    }
}

#[test]
fn v8_comes_to_the_same_on_the_corpus() {
    let mut cases = Cases::default();
    for (name, run) in corpus::guests().into_iter().chain(kernels_that_print()).chain(examples()) {
        cases.add(&name, &run);
    }
    for (name, code) in kernels::traps().into_iter().chain(kernels::kernels()) {
        cases.add(name, &Run::bytes(code).limits(|limits| limits.memory_bytes = 128 << 20));
    }
    cases.add("plan", &plans::planning());
    cases.compare(&[]);
}

/// The native stack of an engine says nothing about a guest.
#[test]
fn where_v8_s_stack_ends_there_is_no_verdict() {
    let mut cases = Cases::default();
    cases.add("deep", &corpus::deep());
    cases.add("nans", &corpus::nans());
    let undecided = cases.undecided(&[], 1);
    assert!(!undecided.is_empty());
    for (name, why) in undecided {
        assert!(name.starts_with("deep"), "{name}: {why}");
        assert!(why.contains("RangeError: Maximum call stack size exceeded"), "{name}: {why}");
    }
}

#[test]
fn the_module_tells_what_v8_does_not() {
    let mut cases = Cases::default();
    let limits = |run: Run| {
        run.limits(|limits| {
            limits.memory_bytes = 3 << 16;
            limits.table_elements = 20;
        })
    };
    for (name, items, body) in [
        ("NaN", "", "(drop (i32.trunc_f64_u (f64.const nan)))"),
        ("NaN of 32 bits", "", "(drop (i64.trunc_f32_s (f32.const -nan)))"),
        ("too large", "", "(drop (i64.trunc_f32_u (f32.const 1e30)))"),
        ("infinite", "", "(drop (i32.trunc_f64_s (f64.const -inf)))"),
        ("a call of nothing", "(table 2 funcref)", "(call_indirect (i32.const 1))"),
        ("a call beyond", "(table 2 funcref)", "(call_indirect (i32.const -1))"),
        (
            "a call of another type",
            "(table 2 funcref) (elem (i32.const 0) $print)",
            "(call_indirect (i32.const 0))",
        ),
        ("memory", "", "(drop (memory.grow (i32.const 2))) (drop (memory.grow (i32.const 1)))"),
        ("all memory", "", "(drop (memory.grow (i32.const -1)))"),
        ("no memory", "", "(drop (memory.grow (i32.const 0)))"),
        (
            "table",
            "(table 1 funcref) (table $t 9 100 funcref)",
            "(drop (table.grow $t (ref.null func) (i32.const 10)))
             (drop (table.grow $t (ref.null func) (i32.const 200)))
             (local.set $i (i32.const 1))
             (drop (table.grow 0 (ref.null func) (local.get $i)))",
        ),
        (
            "all of a table",
            "(table 9 funcref)",
            "(drop (table.grow 0 (ref.null func) (i32.const -1)))",
        ),
        (
            "all of a table that has a maximum",
            "(table 9 0xffffffff funcref)",
            "(drop (table.grow 0 (ref.null func) (i32.const -1)))",
        ),
        ("a table too large", "(table 21 funcref)", ""),
        ("a segment beyond the memory", r#"(data (i32.const 65535) "two")"#, ""),
        ("a segment beyond the table", "(table 1 funcref) (elem (i32.const 1) $print)", ""),
        (
            "a part of a segment",
            r#"(data $d "two")"#,
            "(memory.init $d (i32.const 0) (i32.const 2) (i32.const 2))",
        ),
        (
            "a part of elements",
            "(table 5 funcref) (elem $e func $print)",
            "(table.init $e (i32.const 0) (i32.const 1) (i32.const 1))",
        ),
        (
            "elements beyond the table",
            "(table 1 funcref)",
            "(table.copy (i32.const 0) (i32.const 1) (i32.const 1))",
        ),
        ("a remainder", "", "(drop (i64.rem_u (i64.const 1) (local.get $x)))"),
        ("a pointer for the host", "", "(call $print (i32.const -1) (i32.const 9))"),
        ("a start function", "(start $s) (func $s unreachable)", ""),
        (
            "a start that prints",
            "(start $s) (func $s (call $print (i32.const 0) (i32.const 9)))",
            "",
        ),
        ("a tail call of nothing", "(table 2 funcref)", "(return_call_indirect (i32.const 1))"),
        (
            "tail calls",
            "(func $turn (param i32) (if (local.get 0)
                (then (return_call $turn (i32.sub (local.get 0) (i32.const 1))))))",
            "(call $turn (i32.const 100000)) (return_call $turn (i32.const 1))",
        ),
        ("a tail call of the host", "", "(return_call $proc_exit (i32.const 7))"),
        ("an export that is taken", r#"(func (export "outlayer:why"))"#, ""),
        ("an import that is not there", "", "(call $missing)"),
    ] {
        let missing = name == "an import that is not there";
        let import = if missing { r#"(import "env" "missing" (func $missing))"# } else { "" };
        let text = format!(
            r#"(module {import} {PRELUDE} {items} (func (export "_start") (local $i i32)
                (local $x i64) {body}))"#
        );
        cases.add(name, &limits(Run::wat(&text)));
    }
    cases.add(
        "a memory too large",
        &limits(Run::wat(r#"(module (memory (export "memory") 4) (func (export "_start")))"#)),
    );
    cases.add("no start", &Run::wat(r#"(module (memory (export "memory") 4))"#));
    cases.add("no memory", &Run::wat(r#"(module (func (export "_start")))"#));
    cases.compare(&[]);
    // They end in as many ways as there are.
    let statuses: HashSet<_> =
        cases.expected.iter().map(|execution| format!("{:?}", execution.status)).collect();
    assert!(statuses.len() > 12, "{statuses:?}");
}

/// V8 has several memories from version 12.0 on. Before, it decides nothing about such a guest.
#[test]
fn v8_comes_to_the_same_with_several_memories_and_with_preview_0() {
    let mut cases = Cases::default();
    cases.add("several memories", &memories::guest());
    cases.add("preview 0", &preview0::guest());
    let undecided = cases.undecided(&[], ENOUGH_STACK);
    for (name, why) in undecided {
        assert!(name.starts_with("several memories"), "{name}: {why}");
        assert!(why.contains("CompileError"), "{name}: {why}");
    }
}

/// Modules with floats and vectors, whose NaNs no generator made canonical.
#[test]
fn v8_comes_to_the_same_on_generated_modules() {
    let mut cases = Cases::default();
    for seed in 0..SEEDS {
        if let Some(code) = generated::command(seed, FLOATS) {
            cases.add(&format!("seed {seed}"), &generated_run(code));
        }
    }
    for seed in 0..SEEDS / 4 {
        if let Some(code) = generated::command(seed, RELAXED) {
            cases.add(&format!("relaxed {seed}"), &generated_run(code));
        }
    }
    for seed in 0..SEEDS / 4 {
        cases.add(&format!("expressions {seed}"), &nans::guest(seed, true));
    }
    // V8's fast compiler and its optimising one, which differ in the NaNs that they make.
    for flags in [&["--no-wasm-tier-up"][..], &["--no-liftoff"]] {
        cases.compare(flags);
    }
    let completed = cases.expected.iter().filter(|ended| ended.status == Status::Completed);
    assert!(completed.count() > cases.expected.len() / 20);
}

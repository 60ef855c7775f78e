//! An independent interpreter with a host of its own comes to the same status, output, log, reads
//! and journal.

mod chacha;
mod counted;
pub(crate) mod generated;
mod interpreter;
pub(crate) mod nans;
mod v8;

use std::{collections::BTreeMap, fs, path::Path};

use outlayer_executor::{Execution, Executor, ExecutorConfig};
use outlayer_protocol::{Compute, Hash32, Status};

use crate::common::{Run, corpus, kernels};
use interpreter::Ended;

const SEEDS: u64 = 2_000;

fn status(status: &Status) -> String {
    match status {
        Status::Exited { code } => format!("exited: {code}"),
        Status::Trapped { reason } => format!("trapped: {reason}"),
        other => other.name().to_owned(),
    }
}

/// Room for what generated modules do.
pub(crate) fn generated_run(code: Vec<u8>) -> Run {
    Run::bytes(code).limits(|limits| {
        limits.compute = Compute::Fuel(u64::MAX);
        limits.table_elements = 1 << 20;
        limits.output_bytes = 1 << 20;
        limits.log_bytes = 1 << 20;
    })
}

/// Compares what the executor gave with what the interpreter did, whose reads have values instead
/// of hashes.
fn assert_same(name: &str, execution: &Execution, ended: &Ended) {
    assert_eq!(status(&execution.status), ended.status, "{name}");
    assert_eq!(execution.output, ended.output, "{name}");
    assert_eq!(execution.logs, ended.logs, "{name}");
    let reads: BTreeMap<_, _> =
        execution.reads.iter().map(|read| (read.key.to_vec(), read.value_hash)).collect();
    let expected: BTreeMap<_, _> = ended
        .reads
        .iter()
        .map(|(key, value)| (key.clone(), value.as_ref().map(|value| Hash32::of(value))))
        .collect();
    assert_eq!(reads, expected, "{name}");
    let journal: BTreeMap<_, _> = execution
        .journal
        .iter()
        .map(|entry| (entry.key.to_vec(), entry.value.as_ref().map(|value| value.to_vec())))
        .collect();
    assert_eq!(journal, ended.journal, "{name}");
}

fn compare(name: &str, run: &Run) -> Option<String> {
    let ended = interpreter::run(run)?;
    for compute in [Compute::Fuel(u64::MAX), Compute::Gas(1_000_000_000_000_000)] {
        let execution = run.clone().limits(|limits| limits.compute = compute).run();
        assert_same(&format!("{name}, {}", compute.meter()), &execution, &ended);
    }
    same_fuel(name, run);
    Some(ended.status)
}

/// An execution pays for the operators that it has run, whichever way it took, and for nothing
/// else: as much as if it paid before each of them.
///
/// The instrumented guest comes to the same end on both engines and has used the same fuel, to the
/// unit: with more than it needs, and with less. Bounds other than those of fuel and stack are the
/// executor's alone.
pub(crate) fn same_fuel(name: &str, run: &Run) {
    let mut limits = vec![i64::MAX];
    while let Some(limit) = limits.pop() {
        let compute = Compute::Fuel(limit.cast_unsigned());
        let execution = run.clone().limits(|limits| limits.compute = compute).run();
        if matches!(execution.status, Status::LimitExceeded { .. }) {
            return;
        }
        let Some((ended, used)) = interpreter::metered(run, limit) else { return };
        assert_same(&format!("{name}, {limit} fuel"), &execution, &ended);
        assert_eq!(execution.used.amount(), used, "{name}, {limit} fuel");
        if limit == i64::MAX {
            if ended.status == "completed"
                && let Some(code) = counted::module(&run.code)
            {
                let counted = interpreter::counted(run, &code, limit);
                assert_eq!(counted, Some((ended, used)), "{name}, counted before each operator");
            }
            let used = i64::try_from(used).unwrap();
            limits.extend([used, used - 1, used / 3].into_iter().filter(|limit| *limit >= 0));
        }
    }
}

#[test]
fn the_corpus_ends_the_same_way() {
    for (name, run) in corpus::guests() {
        // The interpreter may choose which NaN an operation makes, and where its stack ends.
        if name == "nans" || name == "deep" {
            continue;
        }
        assert!(compare(&name, &run).is_some(), "{name}");
    }
    for (name, code) in kernels::traps() {
        let run = Run::bytes(code).limits(|limits| limits.memory_bytes = 128 << 20);
        // How deep a guest may recurse is bounded by the executor alone.
        if name != "deep" {
            compare(name, &run);
        }
    }
}

/// Made canonical, the interpreter's NaNs are the executor's.
#[test]
fn nans_differ_in_nothing_but_their_payload() {
    let mut run = corpus::nans();
    let ended = interpreter::run(&run).unwrap();
    let canonical = |word: &[u8]| {
        let word = u64::from_le_bytes(word.try_into().unwrap());
        let is_single = word >> 32 == 0;
        let single = f32::from_bits(u32::try_from(word & 0xffff_ffff).unwrap());
        match word {
            _ if is_single && single.is_nan() => 0x7fc0_0000,
            _ if f64::from_bits(word).is_nan() => 0x7ff8_0000_0000_0000,
            word => word,
        }
    };
    let words = |bytes: &[u8]| bytes.chunks(8).map(canonical).collect::<Vec<_>>();
    let output = run.output();
    assert_eq!(words(&output), words(&ended.output));
    assert_eq!(output.len(), 8 * 8);
}

/// The kernels that are text, changed to print a hash of what they leave in memory.
fn kernels_that_print() -> Vec<(String, Run)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernels/wat");
    let mut kernels = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "wat") {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let import = r#"(module (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))"#;
        let text = text.replacen("(module", import, 1);
        let text = text.replacen(r#"(func (export "_start")"#, "(func $kernel", 1);
        let end = text.rfind(')').unwrap();
        let code = wat::parse_str(format!(
            r#"{} (func (export "_start") (local $at i32) (local $sum i64)
                (call $kernel)
                (loop $l
                    (local.set $sum (i64.mul
                        (i64.xor (local.get $sum) (i64.load (local.get $at)))
                        (i64.const 0x100000001b3)))
                    (br_if $l (i32.lt_u
                        (local.tee $at (i32.add (local.get $at) (i32.const 8)))
                        (i32.const 0x200000))))
                (i64.store (i32.const 0x200000) (local.get $sum))
                (i64.store (i32.const 0x200008) (i64.const 0x800200000))
                (i64.store (i32.const 0x200010) (i64.const 0x10000000000))
                (drop (call $fd_write (i32.const 1) (i32.const 0x200008)
                    (i32.const 2) (i32.const 0x200018)))))"#,
            &text[..end]
        ))
        .unwrap();
        let run = Run::bytes(code).limits(|limits| limits.memory_bytes = 128 << 20);
        kernels.push((name, run));
    }
    assert!(kernels.len() > 10);
    kernels
}

#[test]
fn kernels_leave_the_same_memory() {
    for (name, run) in kernels_that_print() {
        assert_eq!(compare(&name, &run).as_deref(), Some("completed"), "{name}");
        assert_eq!(run.clone().output().len(), 8 + 256, "{name}");
    }
}

/// Guests that a compiler made: the Rust kernels, which check their own results, and the example
/// guests if `scripts/wasm` has built them.
#[test]
fn programs_of_some_size_end_the_same_way() {
    for (name, code) in kernels::kernels() {
        let run = Run::bytes(code).limits(|limits| limits.memory_bytes = 128 << 20);
        assert_eq!(compare(name, &run).as_deref(), Some("completed"), "{name}");
    }
    for (name, run) in examples() {
        assert!(compare(&name, &run).is_some(), "{name}");
    }
}

/// The example guests that are built.
fn examples() -> Vec<(String, Run)> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/wasm");
    let inputs = [
        ("echo", "what is said"),
        ("context", ""),
        ("exit", "42"),
        ("exit", "0"),
        ("big", "3000"),
        ("random-ark", r#"{"seed": 42}"#),
        ("trap", "panic"),
        ("offline", ""),
        ("key-value", r#"[{"set": ["a", "b"]}]"#),
    ];
    let example = |(name, input): (&str, &str)| match fs::read(built.join(format!("{name}.wasm"))) {
        Ok(code) => Some((format!("{name} {input}"), Run::bytes(code).input(input))),
        Err(_) => {
            println!("{name} is not built");
            None
        }
    };
    inputs.into_iter().filter_map(example).collect()
}

/// Seeds of modules in which wasmi 2.0.0 divides by zero. The generator puts a check before each of
/// their divisions that turns a divisor of zero into one, so no engine may divide by zero there.
const INTERPRETERS_FAULTS: &[u64] = &[838, 1_290];

fn is_the_interpreters_fault(seed: u64, ended: &Ended) -> bool {
    generated::is_free_of_traps(seed) && ended.status == "trapped: integer division by zero"
}

#[test]
fn generated_modules_end_the_same_way() {
    let ends = generated_ends(generated::PLAIN, SEEDS, INTERPRETERS_FAULTS);
    assert!(ends.get("completed").is_some_and(|count| *count > 200), "{ends:?}");
    assert!(ends.keys().filter(|end| end.starts_with("trapped")).count() > 2, "{ends:?}");
    let deep = ends.get("deeper than the interpreter").copied().unwrap_or_default();
    assert!(deep < 50, "{ends:?}");
}

#[test]
fn newer_generated_modules_end_the_same_way() {
    let ends = generated_ends(generated::NEWER, SEEDS / 5, &[117, 311]);
    assert!(ends.get("completed").is_some_and(|count| *count > 40), "{ends:?}");
}

/// How the modules of so many seeds end, which is the same on both engines.
fn generated_ends(
    flavour: generated::Flavour,
    seeds: u64,
    interpreters_faults: &[u64],
) -> BTreeMap<String, u32> {
    let mut ends = BTreeMap::<String, u32>::new();
    let mut faults = Vec::new();
    let alone = nans::engine(true);
    let unoptimised =
        Executor::new(ExecutorConfig { optimize: false, ..ExecutorConfig::default() }).unwrap();
    for seed in 0..seeds {
        let Some(code) = generated::command(seed, flavour) else { continue };
        let mut run = generated_run(code);
        let execution = run.run();
        let end = match &execution.status {
            // The interpreter has no such bounds.
            Status::StackOverflow | Status::LimitExceeded { .. } => status(&execution.status),
            _ => match interpreter::run(&run) {
                Some(ended) if is_the_interpreters_fault(seed, &ended) => {
                    assert_eq!(run.on(&unoptimised).unwrap(), execution, "seed {seed}");
                    // Without any meter, it goes on there too.
                    if execution.status == Status::Completed {
                        assert_eq!(execution.output, nans::printed(&alone, &run.code));
                    }
                    faults.push(seed);
                    "the interpreter's fault".to_owned()
                }
                Some(ended) => {
                    assert_same(&format!("seed {seed}"), &execution, &ended);
                    if seed % 4 == 0 {
                        same_fuel(&format!("seed {seed}"), &run);
                    }
                    ended.status
                }
                None => "deeper than the interpreter".to_owned(),
            },
        };
        *ends.entry(end).or_default() += 1;
    }
    println!("{ends:?}");
    assert_eq!(faults, interpreters_faults);
    ends
}

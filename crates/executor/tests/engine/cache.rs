//! Compiled modules in a folder. The next executor finds them again, and never loads one that is
//! not as it was written.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use outlayer_executor::{
    CacheCounts, Code, EmptySnapshot, Execution, Executor, ExecutorConfig, Fault, Job,
};
use outlayer_protocol::{Compute, Hash32, Status};
use tempfile::TempDir;

use crate::common::{self, Run, invalid};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn config(dir: &Path) -> ExecutorConfig {
    ExecutorConfig { cache_dir: Some(dir.to_owned()), ..ExecutorConfig::default() }
}

fn start(dir: &Path) -> Executor {
    Executor::new(config(dir)).unwrap()
}

const fn counts(compiled: u64, loaded: u64) -> CacheCounts {
    CacheCounts { compiled, rejected: 0, loaded }
}

/// A guest of each kind and meter, each with an output.
fn guests() -> Vec<(&'static str, Run)> {
    let core = Run::start("(call $print (i32.const 100) (i32.const 3))").input("in");
    let gas = core.clone().limits(|limits| limits.compute = Compute::Gas(1_000_000_000_000));
    let component = common::components::wasi("(call $print (i32.const 100) (i32.const 3))");
    let mut near = Run::wat(
        r#"(module (import "env" "value_return" (func $return (param i64 i64)))
            (memory 1) (data (i32.const 8) "near")
            (func (export "run") (call $return (i64.const 4) (i64.const 8))))"#,
    )
    .limits(|limits| {
        limits.compute = Compute::Gas(100_000_000_000_000);
        limits.memory_bytes = 128 << 20;
    });
    near.args = vec!["run".to_owned()];
    let guests = [("core", core), ("gas", gas), ("component", component), ("near", near)];
    guests.into_iter().chain([("large", large())]).collect()
}

/// A module whose compiled form is large enough to be mapped. It writes the end of its data.
fn large() -> Run {
    const DATA: usize = 1_200_000;
    let iovec = [4_096 + DATA - 3, 3].map(|word| u32::try_from(word).unwrap().to_le_bytes());
    let iovec: String = iovec.concat().iter().map(|byte| format!("\\{byte:02x}")).collect();
    let data: String = ('a'..='w').cycle().take(DATA).collect();
    Run::wat(&format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 24)
            (data (i32.const 0) "{iovec}")
            (data (i32.const 4096) "{data}")
            (func (export "_start")
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#
    ))
    .limits(|limits| limits.max_module_bytes = 2 << 20)
}

fn completed(mut run: Run, executor: &Executor) -> Execution {
    let execution = run.on(executor).unwrap();
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    assert!(!execution.output.is_empty());
    execution
}

/// The files of compiled modules.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "compiled"))
        .collect();
    files.sort();
    files
}

#[test]
fn a_restart_loads_what_was_compiled_before() {
    for (kind, run) in guests() {
        let dir = folder();
        let first = start(dir.path());
        let cold = completed(run.clone(), &first);
        assert_eq!(first.cache_counts(), counts(1, 0), "{kind}, cold");
        assert_eq!(completed(run.clone(), &first), cold, "{kind}");
        assert_eq!(first.cache_counts(), counts(1, 0), "{kind}, warm");
        drop(first);
        let second = start(dir.path());
        for _ in 0..3 {
            assert_eq!(completed(run.clone(), &second), cold, "{kind}");
            assert_eq!(second.cache_counts(), counts(0, 1), "{kind}, after a restart");
        }
        assert_eq!(files(dir.path()).len(), 1, "{kind}");
    }
}

#[test]
fn nothing_that_was_not_written_so_is_loaded() {
    let other = folder();
    for (kind, run) in guests() {
        let (dir, other) = (folder(), other.path());
        let cold = completed(run.clone(), &start(dir.path()));
        completed(run.clone(), &start(other));
        let file = &files(dir.path())[0];
        let whole = fs::read(file).unwrap();
        let foreign = files(other)
            .into_iter()
            .find(|path| path.file_name() == file.file_name())
            .map(|path| fs::read(path).unwrap())
            .unwrap();
        // A file is a native program. One changed byte in its code, tables or header makes it
        // another program.
        let mut tampered: Vec<(String, Vec<u8>)> = (0..=16)
            .map(|part| {
                let at = (whole.len() - 1) * part / 16;
                let mut bytes = whole.clone();
                bytes[at] ^= 1;
                (format!("byte {at}"), bytes)
            })
            .collect();
        tampered.push(("half of it".to_owned(), whole[..whole.len() / 2].to_vec()));
        tampered.push(("nothing".to_owned(), Vec::new()));
        tampered.push(("another folder's".to_owned(), foreign));
        for (what, bytes) in tampered {
            fs::write(file, &bytes).unwrap();
            let executor = start(dir.path());
            assert_eq!(completed(run.clone(), &executor), cold, "{kind}, {what}");
            assert_eq!(executor.cache_counts(), counts(1, 0), "{kind}, {what}");
            let next = start(dir.path());
            assert_eq!(completed(run.clone(), &next), cold);
            assert_eq!(next.cache_counts(), counts(0, 1), "{kind}, {what}, replaced");
        }
    }
}

#[test]
fn a_file_under_anothers_name_is_not_loaded() {
    let dir = folder();
    let (one, two) =
        (Run::start("(call $emit (i64.const 1))"), Run::start("(call $emit (i64.const 2))"));
    let executor = start(dir.path());
    let outputs = [completed(one.clone(), &executor), completed(two.clone(), &executor)];
    assert_ne!(outputs[0], outputs[1]);
    let [a, b] = &files(dir.path())[..] else { panic!("two files") };
    let swapped = dir.path().join("swapped");
    fs::rename(a, &swapped).unwrap();
    fs::rename(b, a).unwrap();
    fs::rename(&swapped, b).unwrap();
    let next = start(dir.path());
    assert_eq!([completed(one, &next), completed(two, &next)], outputs);
    assert_eq!(next.cache_counts(), counts(2, 0));
}

#[test]
fn another_meter_or_setting_or_kind_has_files_of_its_own() {
    let dir = folder();
    let [(_, core), (_, gas), ..] = &guests()[..] else { panic!("two guests") };
    completed(core.clone(), &start(dir.path()));
    let executor = start(dir.path());
    completed(gas.clone(), &executor);
    assert_eq!(executor.cache_counts(), counts(1, 0));
    let unoptimised =
        Executor::new(ExecutorConfig { optimize: false, ..config(dir.path()) }).unwrap();
    completed(core.clone(), &unoptimised);
    assert_eq!(unoptimised.cache_counts(), counts(1, 0));
    let uninterrupted =
        Executor::new(ExecutorConfig { interruptible: false, ..config(dir.path()) }).unwrap();
    completed(core.clone(), &uninterrupted);
    assert_eq!(uninterrupted.cache_counts(), counts(1, 0));
    assert_eq!(files(dir.path()).len(), 4);
}

#[test]
fn a_refusal_is_the_same_every_time_and_leaves_no_file() {
    let dir = folder();
    let mut unlinked = Run::wat(
        r#"(module (import "a" "b" (func)) (memory (export "memory") 1) (func (export "_start")))"#,
    );
    let mut malformed = Run::bytes(b"\0asm\x01\0\0\0\x0a\xff".to_vec());
    let executor = start(dir.path());
    let verdict = malformed.on(&executor).unwrap();
    for _ in 0..3 {
        assert_eq!(
            unlinked.on(&executor).unwrap().status,
            invalid("import a.b: the host has no such function")
        );
        assert_eq!(malformed.on(&executor).unwrap(), verdict);
    }
    let once = CacheCounts { rejected: 2, ..CacheCounts::default() };
    assert_eq!(executor.cache_counts(), once, "each was looked at once, and neither compiled");
    assert!(files(dir.path()).is_empty());
}

#[test]
fn what_was_used_longest_ago_leaves_the_folder() {
    let dir = folder();
    let run = |n: u32| Run::start(&format!("(call $emit (i64.const {n}))"));
    completed(run(0), &start(dir.path()));
    let bytes = fs::metadata(&files(dir.path())[0]).unwrap().len();
    let bounded = ExecutorConfig { cache_dir_bytes: bytes * 3 + bytes / 2, ..config(dir.path()) };
    let executor = Executor::new(bounded.clone()).unwrap();
    for n in 0..10 {
        completed(run(n), &executor);
        assert!(files(dir.path()).len() <= 3);
    }
    let next = Executor::new(bounded).unwrap();
    for n in [9, 8, 7] {
        completed(run(n), &next);
    }
    assert_eq!(next.cache_counts(), counts(0, 3), "the last three are there");
    completed(run(0), &next);
    assert_eq!(next.cache_counts(), counts(1, 3));
}

#[test]
fn a_folder_that_cannot_be_trusted_or_used_is_done_without() {
    let run = Run::start("(call $emit (i64.const 1))");
    let dir = folder();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let file = folder().path().join("file");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "").unwrap();
    for dir in [dir.path().to_owned(), file.clone(), file.join("below")] {
        for _ in 0..2 {
            let executor = start(&dir);
            completed(run.clone(), &executor);
            completed(run.clone(), &executor);
            assert_eq!(executor.cache_counts(), counts(1, 0), "{}", dir.display());
        }
    }
    assert!(files(dir.path()).is_empty());
}

#[test]
fn a_folder_that_goes_away_or_fills_up_fails_no_execution() {
    let dir = folder();
    let gone = dir.path().join("gone");
    let executor = start(&gone);
    fs::remove_dir_all(&gone).unwrap();
    for (kind, run) in guests() {
        let cold = completed(run.clone(), &executor);
        assert_eq!(completed(run, &executor), cold, "{kind}");
    }
    let tiny =
        Executor::new(ExecutorConfig { cache_dir_bytes: 10, ..config(&dir.path().join("tiny")) })
            .unwrap();
    for (_, run) in guests() {
        completed(run, &tiny);
    }
    assert!(files(&dir.path().join("tiny")).is_empty());
}

#[test]
fn many_threads_with_the_same_code_compile_it_once() {
    for (kind, run) in guests() {
        let dir = folder();
        let executor = &start(dir.path());
        let expected = &completed(run.clone(), &start(folder().path()));
        thread::scope(|scope| {
            for _ in 0..8 {
                let run = run.clone();
                scope.spawn(move || assert_eq!(&completed(run, executor), expected));
            }
        });
        assert_eq!(executor.cache_counts(), counts(1, 0), "{kind}");
    }
}

#[test]
fn executors_that_share_a_folder_do_not_disturb_each_other() {
    let dir = &folder();
    let run = |n: u8| Run::start(&format!("(call $emit (i64.const {n}))"));
    thread::scope(|scope| {
        for thread in 0..4u8 {
            scope.spawn(move || {
                let bounded = ExecutorConfig {
                    cache_bytes: 0,
                    cache_dir_bytes: 200_000,
                    ..config(dir.path())
                };
                let executor = Executor::new(bounded).unwrap();
                for turn in 0..30u8 {
                    let n = (turn + thread) % 5;
                    let output = completed(run(n), &executor).output;
                    assert_eq!(output, u64::from(n).to_le_bytes());
                }
            });
        }
    });
}

#[test]
fn names_are_hashes_and_files_their_owners() {
    let dir = folder();
    let executor = start(dir.path());
    for (_, mut run) in guests() {
        run.env = vec![("NAME".to_owned(), "../../etc/passwd".to_owned())];
        completed(run, &executor);
    }
    let names: BTreeSet<String> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), guests().len() + 1, "{names:?}");
    for name in names {
        let mode = fs::metadata(dir.path().join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        let hash = name.strip_suffix(".compiled").unwrap_or_default();
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(name == "key" || is_hash, "{name}");
    }
}

/// The variable with the folder, for the processes that the test below starts.
const CHILD: &str = "OUTLAYER_TEST_CACHE_DIR";

/// The same for the one with few file descriptors.
const FEW: &str = "OUTLAYER_TEST_FEW_DESCRIPTORS";

/// What each of these processes does. It is no test of its own.
#[test]
fn a_process_that_shares_the_folder() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let executor = start(Path::new(&dir));
    for (kind, run) in guests() {
        println!("{kind} {:?}", completed(run, &executor));
    }
    println!("counts {:?}", executor.cache_counts());
}

#[test]
fn processes_share_the_folder() {
    let dir = folder();
    let spawn = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cache::a_process_that_shares_the_folder", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let finish = |child: std::process::Child| {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let executions = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.contains("Execution")).map(str::to_owned).collect()
    };
    let racing: Vec<_> = (0..4).map(|_| spawn()).collect();
    let outputs: Vec<_> = racing.into_iter().map(finish).collect();
    let guests = guests().len();
    assert_eq!(executions(&outputs[0]).len(), guests, "{}", outputs[0]);
    assert!(outputs.iter().all(|output| executions(output) == executions(&outputs[0])));
    let later = finish(spawn());
    assert!(later.contains(&format!("counts {:?}", counts(0, guests as u64))), "{later}");
    assert_eq!(executions(&later), executions(&outputs[0]));
}

#[test]
fn nothing_is_compiled_under_a_hash_that_is_not_its_own() {
    let dir = folder();
    let executor = start(dir.path());
    for (name, run) in guests() {
        let other = Hash32::of(name.as_bytes());
        let job = Job {
            args: &run.args,
            env: &run.env,
            input: &run.input,
            ..Job::new(Code::hashed(other, &run.code), &run.limits, &run.context)
        };
        let ended = executor.execute(&job, &mut EmptySnapshot);
        assert!(matches!(ended, Err(Fault::Job(_))), "{name}: {ended:?}");
        assert_eq!(files(dir.path()), Vec::<PathBuf>::new(), "{name}");
        // With the hash that the code has, the same executor runs it.
        completed(run, &executor);
        fs::remove_file(files(dir.path()).pop().unwrap()).unwrap();
    }
}

#[test]
fn contracts_are_loaded_from_below_the_scratch_folder() {
    let scratch = folder();
    let config = |scratch: &Path| ExecutorConfig {
        scratch_dir: Some(scratch.to_owned()),
        ..ExecutorConfig::default()
    };
    let executor = Executor::new(config(scratch.path())).unwrap();
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    let (_, near) = guests().pop().unwrap();
    let first = completed(near.clone(), &executor);
    drop(executor);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "it goes with the executor");
    // Without a folder, everything is as before, but slower.
    let executor = Executor::new(config(&scratch.path().join("missing"))).unwrap();
    assert_eq!(completed(near, &executor), first);
}

#[test]
fn what_cannot_be_linked_is_not_compiled() {
    let memory = r#"(memory (export "memory") 1)"#;
    let start = r#"(func (export "_start"))"#;
    let core = [
        format!("(module {memory})"),
        format!("(module {start})"),
        format!(r#"(module {memory} (func (export "_start") (param i32)))"#),
        format!(r#"(module (import "outlayer" "log" (func (param i64))) {memory} {start})"#),
        format!(r#"(module (import "wasi_unstable" "fd_write" (func)) {memory} {start})"#),
        format!(r#"(module {memory} (func (export "_initialize")) (func (export "run")))"#),
    ];
    let command = r#"(core module $m (func (export "run") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $command (export "run" (func $run)))"#;
    let run = r#"(export "wasi:cli/run@0.2.3" (instance $command))"#;
    let missing = r#"(import "a:b/c" (instance (export "f" (func))))"#;
    let other = r#"(import "wasi:random/random@0.2.3" (instance
        (export "get-random-u64" (func (result u32)))))"#;
    let components = [
        format!("(component {command})"),
        format!("(component {missing} {command} {run})"),
        format!("(component {other} {command} {run})"),
        format!(r#"(component {command} (export "wasi:cli/run@0.2.3" (func $run)))"#),
    ];
    let dir = folder();
    let executor = Executor::new(config(dir.path())).unwrap();
    let mut rejected = 0;
    for text in core.iter().chain(&components) {
        for compute in [Compute::Fuel(1_000_000), Compute::Gas(1_000_000_000_000)] {
            let gas = compute.meter() == outlayer_protocol::Meter::Gas;
            let mut run = Run::wat(text).limits(|limits| limits.compute = compute);
            let status = run.on(&executor).unwrap().status;
            assert!(matches!(status, Status::InvalidModule { .. }), "{text}: {status:?}");
            // Under the gas meter, a component is not looked at at all.
            rejected += u64::from(!(gas && text.starts_with("(component")));
        }
    }
    let counts = CacheCounts { rejected, ..CacheCounts::default() };
    assert_eq!(executor.cache_counts(), counts);
    let whole = format!("(component {command} {run})");
    assert_eq!(Run::wat(&whole).on(&executor).unwrap().status, Status::Completed);
}

/// What a process with few file descriptors does. It is no test of its own.
#[test]
fn a_process_with_few_descriptors() {
    let Some(dir) = std::env::var_os(FEW) else { return };
    let few = libc::rlimit { rlim_cur: 256, rlim_max: 256 };
    // SAFETY: the limit is a value of this function's, and only read.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &few) }, 0);
    let executor = start(Path::new(&dir));
    for n in 0..400 {
        let run = Run::module(&format!(
            r#"(data (i32.const 2000) "{n:03}")
            (func (export "_start") (call $print (i32.const 2000) (i32.const 3)))"#
        ));
        assert_eq!(completed(run, &executor).output, format!("{n:03}").into_bytes());
    }
    // The same for each memory of a module that has several.
    for n in 0..50 {
        let memories: String = (1..8)
            .map(|memory| format!(r#"(memory 1) (data (memory {memory}) (i32.const 9) "{n:03}")"#))
            .collect();
        let run = Run::module(&format!(
            r#"{memories} (func (export "_start")
                (memory.copy 0 7 (i32.const 2000) (i32.const 9) (i32.const 3))
                (call $print (i32.const 2000) (i32.const 3)))"#
        ));
        assert_eq!(completed(run, &executor).output, format!("{n:03}").into_bytes());
    }
}

/// wasmtime keeps an anonymous file open for the data of each module that is in memory.
#[test]
fn modules_in_memory_do_not_use_up_the_file_descriptors() {
    let dir = folder();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cache::a_process_with_few_descriptors", "--nocapture"])
        .env(FEW, dir.path())
        .status()
        .unwrap();
    assert!(status.success());
}

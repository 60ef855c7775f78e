//! The command as the child of a sandbox, with the real engine.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::PathBuf,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread,
    time::Duration,
};

use common::{config, context};
use outlayer_executor::{Executor, ExecutorConfig};
use outlayer_guest::{
    Code, Connected, EmptySnapshot, Engine, Execution, Fault, Fetch, FetchError, Fetched, Http,
    Job, Outgoing, SnapshotError,
};
use outlayer_protocol::{
    Compute, GuestKind, HttpAccess, ResourceLimits, Status,
    http::{Answered, HttpRequest, HttpResponse},
};
use outlayer_sandbox::{Sandbox, SandboxConfig};

/// Held by every test while it has children. A test that looks for its own among the children of
/// this process holds it alone: it would take another's for its own.
static CHILDREN: RwLock<()> = RwLock::new(());

fn with_children() -> RwLockReadGuard<'static, ()> {
    CHILDREN.read().unwrap_or_else(PoisonError::into_inner)
}

fn alone_with_children() -> RwLockWriteGuard<'static, ()> {
    CHILDREN.write().unwrap_or_else(PoisonError::into_inner)
}

/// Executes over a snapshot in which the key `k` is set, and others fail.
fn execute(
    engine: &dyn Engine,
    text: &str,
    compute: Compute,
    method: &str,
) -> Result<Execution, Fault> {
    let code = wat::parse_str(text).unwrap();
    let limits = ResourceLimits {
        compute,
        memory_bytes: 128 << 20,
        max_module_bytes: 2 << 20,
        ..ResourceLimits::default()
    }
    .with_storage(8, 4, 4 << 10);
    let (args, context) = ([method.to_owned()], context());
    let job = Job { args: &args, input: b"input", ..Job::new(Code::of(&code), &limits, &context) };
    engine.execute(&job, &mut |key: &[u8]| match key {
        b"k" => Ok(Some(b"value".to_vec())),
        _ => Err(SnapshotError("the node is away".to_owned())),
    })
}

const FUEL: Compute = Compute::Fuel(10_000_000);
const GAS: Compute = Compute::Gas(300_000_000_000_000);

/// Reads the key `k`, and writes it to the log and to the output.
const MODULE: &str = r#"(module
    (import "outlayer" "storage_read" (func $read (param i32 i32 i32 i32) (result i64)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "k")
    (data (i32.const 8) "\40\00\00\00\05\00\00\00")
    (func (export "_start")
        (drop (call $read (i32.const 0) (i32.const 1) (i32.const 64) (i32.const 64)))
        (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 32)))
        (drop (call $fd_write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 32)))))"#;

/// A contract: reads a key, returns it, logs.
const CONTRACT: &str = r#"(module
    (import "env" "storage_read" (func $storage_read (param i64 i64 i64) (result i64)))
    (import "env" "read_register" (func $read_register (param i64 i64)))
    (import "env" "value_return" (func $value_return (param i64 i64)))
    (import "env" "log_utf8" (func $log (param i64 i64)))
    (memory (export "memory") 1)
    (data (i32.const 0) "k")
    (func (export "read")
        (drop (call $storage_read (i64.const 1) (i64.const 0) (i64.const 0)))
        (call $read_register (i64.const 0) (i64.const 64))
        (call $log (i64.const 5) (i64.const 64))
        (call $value_return (i64.const 5) (i64.const 64))))"#;

/// A component that succeeds.
const COMPONENT: &str = r#"(component
    (core module $m (func (export "run") (result i32) (i32.const 0)))
    (core instance $i (instantiate $m))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $cli (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $cli)))"#;

/// A component that contains another. It runs without pools, so a stack is made for it.
const COMPOSITION: &str = r#"(component
    (component $inner
        (core module $m (func (export "run") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func (export "run") (result (result)) (canon lift (core func $i "run"))))
    (instance $inner (instantiate $inner))
    (instance $cli (export "run" (func $inner "run")))
    (export "wasi:cli/run@0.2.0" (instance $cli)))"#;

const SPIN: &str = r#"(module (memory (export "memory") 1)
    (func (export "_start") (loop $again (br $again))))"#;

#[test]
fn a_child_answers_as_an_executor_in_this_process_does() {
    let _children = with_children();
    let sandbox = Sandbox::start(config()).unwrap();
    let executor = Executor::new(ExecutorConfig::default()).unwrap();
    for (what, text, compute, method) in [
        ("a module under fuel", MODULE, FUEL, ""),
        ("a module under gas", MODULE, GAS, ""),
        ("a module that runs out", SPIN, FUEL, ""),
        ("a component", COMPONENT, FUEL, ""),
        ("a contract", CONTRACT, GAS, "read"),
        ("a method that is not there", CONTRACT, GAS, "write"),
        ("no module", "(component)", FUEL, ""),
    ] {
        // The second time, the child has the code.
        for _ in 0..2 {
            let there = execute(&sandbox, text, compute, method).unwrap();
            assert_eq!(there, execute(&executor, text, compute, method).unwrap(), "{what}");
        }
    }
    let read = execute(&sandbox, CONTRACT, GAS, "read").unwrap();
    assert_eq!((read.status, read.output), (Status::Completed, b"value".to_vec()));
    // What the host cannot read is a fault on both sides.
    let other = MODULE.replace(r#"(i32.const 0) "k")"#, r#"(i32.const 0) "x")"#);
    let fault = execute(&sandbox, &other, FUEL, "").unwrap_err();
    assert_eq!(fault, execute(&executor, &other, FUEL, "").unwrap_err());
    assert_eq!(fault, Fault::Snapshot(SnapshotError("the node is away".to_owned())));
}

/// Fetches once, and writes what the host answers. Its transform answers 204 to everything.
fn fetching() -> Vec<u8> {
    let request = HttpRequest::get("https://a.example/");
    let request = borsh::to_vec(&request).unwrap();
    let text: String = request.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let module = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "outlayer" "http_fetch" (func $fetch (param i32 i32) (result i64)))
            (import "outlayer" "http_read" (func $http_read (param i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 1024) "{text}")
            (data (i32.const 3000) "\cc\00\00\00\00\00\00\00\00\00")
            (func (export "outlayer_alloc") (param i32) (result i32) (i32.const 8192))
            (func (export "outlayer_transform") (param i32 i32) (result i64)
                (i64.const 0xbb80000000a))
            (func (export "_start")
                (drop (call $fetch (i32.const 1024) (i32.const {})))
                (i32.store (i32.const 0) (i32.const 4096))
                (i32.store (i32.const 4) (call $http_read (i32.const 4096) (i32.const 4096)))
                (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
        request.len()
    );
    wat::parse_str(module).unwrap()
}

/// A network with one answer.
struct Hello;

impl Fetch for Hello {
    fn fetch(&mut self, _: &Outgoing<'_>) -> Result<Fetched, FetchError> {
        let headers = vec![("etag".to_owned(), "1".into())];
        Ok(Fetched::Fresh(Ok(HttpResponse { status: 200, headers, body: "hello".into() })))
    }
}

#[test]
fn a_guest_fetches_and_reduces_in_a_child_as_in_this_process() {
    let _children = with_children();
    let sandbox = Sandbox::start(config()).unwrap();
    let executor = Executor::new(ExecutorConfig::default()).unwrap();
    let (code, context) = (fetching(), context());
    let access = HttpAccess::to(vec!["a.example".to_owned()]);
    let run = |engine: &dyn Engine, compute, network: &mut dyn Fetch| {
        let limits = ResourceLimits { compute, ..ResourceLimits::default() };
        let job = Job {
            http: Some(Http { access: &access, several: true }),
            ..Job::new(Code::of(&code), &limits, &context)
        };
        engine.execute(&job, &mut Connected { snapshot: EmptySnapshot, network })
    };
    for compute in [FUEL, GAS] {
        let there = run(&sandbox, compute, &mut Hello).unwrap();
        assert_eq!(there.status, Status::Completed);
        let [exchange] = &there.transcript.exchanges[..] else { panic!("{there:?}") };
        let reduced = HttpResponse { status: 204, ..HttpResponse::default() };
        assert_eq!(exchange.answered, Answered::Response(reduced));
        assert_eq!(there.output, borsh::to_vec(&exchange.answered).unwrap());
        assert_eq!(run(&executor, compute, &mut Hello).unwrap(), there);
        for engine in [&sandbox as &dyn Engine, &executor] {
            assert_eq!(run(engine, compute, &mut there.transcript.clone()).unwrap(), there);
        }
    }
}

#[test]
fn a_child_that_is_killed_costs_its_own_request() {
    let _children = alone_with_children();
    let before = children();
    let sandbox = Sandbox::start(SandboxConfig { processes: 2, ..config() }).unwrap();
    thread::scope(|scope| {
        let spinning =
            scope.spawn(|| execute(&sandbox, SPIN, Compute::Fuel(1_000_000_000_000), ""));
        // A second child serves meanwhile.
        let other = scope.spawn(|| execute(&sandbox, MODULE, FUEL, ""));
        assert_eq!(other.join().unwrap().unwrap().output, b"value");
        // From here on only the child that spins is busy, and for longer than a start takes.
        let at_rest: HashMap<_, _> = children().into_iter().map(|pid| (pid, ticks(pid))).collect();
        while !spinning.is_finished() {
            for pid in children().difference(&before) {
                let used = ticks(*pid).saturating_sub(at_rest.get(pid).copied().unwrap_or(0));
                if status(*pid).contains("Name:\toutlayer") && used >= 100 {
                    let pid = rustix::process::Pid::from_raw(*pid).unwrap();
                    // It may have ended since.
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
            }
            thread::sleep(Duration::from_millis(20));
        }
        let fault = spinning.join().unwrap().unwrap_err();
        assert!(matches!(&fault, Fault::Process(why) if why.contains("SIGKILL")), "{fault}");
    });
    assert_eq!(execute(&sandbox, MODULE, FUEL, "").unwrap().output, b"value");
}

#[test]
fn a_child_holds_nothing_but_its_socket() {
    let _children = alone_with_children();
    let before = children();
    let sandbox = Sandbox::start(config()).unwrap();
    execute(&sandbox, CONTRACT, GAS, "read").unwrap();
    let mine: Vec<_> = children().difference(&before).copied().collect();
    let confined = sandbox.confined();
    assert!(!mine.is_empty());
    for pid in &mine {
        let status = status(*pid);
        assert!(status.contains("Name:\toutlayer"), "{status}");
        if confined.syscalls {
            assert!(status.contains("Seccomp:\t2"), "{status}");
            assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        }
        let environment = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
        assert!(environment.starts_with("RAYON_NUM_THREADS="), "{environment}");
        assert_eq!(environment.matches('=').count(), 1, "{environment}");
        let files: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .map(|file| fs::read_link(file.unwrap().path()).unwrap())
            .map(|file| file.to_string_lossy().into_owned())
            .collect();
        let sockets: HashSet<_> = files.iter().filter(|file| file.contains("socket:")).collect();
        assert_eq!(sockets.len(), 1, "{files:?}");
        for file in &files {
            let known = ["socket:", "pipe:", "/dev/null", "/memfd:", "/dev/shm/", "/tmp/"];
            assert!(known.iter().any(|known| file.starts_with(known)), "{files:?}");
        }
    }
}

#[test]
fn compiled_code_is_kept_in_the_folder_that_the_child_may_use() {
    let _children = with_children();
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    // It is made, for this user alone.
    let kept = folder.path().join("cache/compiled");
    config.engine.cache_dir = Some(kept.to_str().unwrap().to_owned());
    let sandbox = Sandbox::start(config).unwrap();
    execute(&sandbox, MODULE, FUEL, "").unwrap();
    execute(&sandbox, CONTRACT, GAS, "read").unwrap();
    let files: Vec<PathBuf> =
        fs::read_dir(&kept).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 2, "{files:?}");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o700);
}

/// What is large is mapped, which the child's list of system calls must let it do.
#[test]
fn a_large_module_is_loaded_by_the_next_child_as_it_was_compiled() {
    let _children = with_children();
    let folder = tempfile::tempdir().unwrap();
    let data = "x".repeat(1_200_000);
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 20)
            (data (i32.const 0) "\00\00\10\00\05\00\00\00")
            (data (i32.const 4096) "{data}")
            (func (export "_start")
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#
    );
    let files = || {
        let of = |entry: fs::DirEntry| {
            let metadata = entry.metadata().unwrap();
            (entry.file_name(), metadata.ino(), metadata.created().ok())
        };
        fs::read_dir(folder.path()).unwrap().map(|entry| of(entry.unwrap())).collect()
    };
    let mut written = HashSet::new();
    for start in 0..3 {
        let mut config = config();
        config.engine.cache_dir = Some(folder.path().to_str().unwrap().to_owned());
        let sandbox = Sandbox::start(config).unwrap();
        let execution = execute(&sandbox, &text, FUEL, "").unwrap();
        assert_eq!((execution.status, &execution.output[..]), (Status::Completed, &b"xxxxx"[..]));
        let found: HashSet<_> = files();
        if start == 0 {
            written = found;
            assert_eq!(written.len(), 2, "the key and the module");
        } else {
            // A file that cannot be loaded is removed, and written again as another.
            assert_eq!(found, written);
        }
    }
}

#[test]
fn a_required_kind_holds_in_a_child_too() {
    let _children = with_children();
    let sandbox = Sandbox::start(config()).unwrap();
    let code = wat::parse_str(MODULE).unwrap();
    let (limits, context) = (ResourceLimits::default(), context());
    let job = Job { kind: Some(GuestKind::Near), ..Job::new(Code::of(&code), &limits, &context) };
    let execution = sandbox.execute(&job, &mut EmptySnapshot).unwrap();
    assert!(matches!(execution.status, Status::InvalidModule { .. }), "{execution:?}");
}

#[test]
fn a_stack_that_is_made_for_a_guest_fits_beside_little_memory() {
    let _children = with_children();
    let sandbox = Sandbox::start(config()).unwrap();
    let code = wat::parse_str(COMPOSITION).unwrap();
    let limits = ResourceLimits { memory_bytes: 64 << 10, ..ResourceLimits::default() };
    let context = context();
    let job = Job::new(Code::of(&code), &limits, &context);
    for _ in 0..2 {
        let execution = sandbox.execute(&job, &mut EmptySnapshot).unwrap();
        assert_eq!(execution.status, Status::Completed);
    }
}

/// The children of this process.
fn children() -> HashSet<i32> {
    let me = std::process::id().to_string();
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.contains(&format!("PPid:\t{me}\n")).then_some(pid)
    });
    processes.collect()
}

fn status(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default()
}

/// The processor time that a process has used, hundredths of a second.
fn ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().nth(11).and_then(|ticks| ticks.parse().ok());
    ticks.unwrap_or_default()
}

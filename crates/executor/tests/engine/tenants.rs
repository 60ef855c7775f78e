//! Two tenants take turns on one executor. Neither sees anything of the other.

use std::thread;

use outlayer_executor::{Execution, Executor, ExecutorConfig};
use outlayer_protocol::{Compute, Hash32, Status};

use crate::common::{Run, components};

const SECRETS: [&[u8; 16]; 2] = [b"first's secret 1", b"other's secret 2"];

/// Prints what it finds in its memory (the words of four pages, joined by `or`), its environment
/// and its input. Afterwards [`FILL`] covers the memory with its input, which is its secret.
const CORE: &str = r#"
    (drop (memory.grow (i32.const 3)))
    (loop $l (local.set $x (i64.or (local.get $x) (i64.load (local.get $i))))
        (br_if $l (i32.lt_u
            (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 262144))))
    (call $emit (local.get $x))
    (drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
    (drop (call $environ_get (i32.const 1000) (i32.const 2000)))
    (call $print (i32.const 2000) (i32.load (i32.const 4)))
    (i32.store (i32.const 0) (i32.const 30000)) (i32.store (i32.const 4) (i32.const 16))
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $print (i32.const 30000) (i32.const 16))
    (call $write (i32.const 2) (i32.const 30000) (i32.const 16))
    (drop (call $random_get (i32.const 0) (i32.const 8)))
    (call $print (i32.const 0) (i32.const 8))"#;

/// Reads, prints and writes its storage, which only a core module does here.
const STORAGE: &str = r#"
    (call $print (i32.const 5000) (i32.wrap_i64 (i64.and (i64.const 31)
        (call $storage_read (i32.const 30000) (i32.const 1) (i32.const 5000) (i32.const 16)))))
    (call $storage_write (i32.const 30000) (i32.const 1) (i32.const 30000) (i32.const 16))"#;

/// Copies the input over four pages, 16 bytes at a time.
const FILL: &str = r#"
    (local.set $i (i32.const 0))
    (loop $f (memory.copy (local.get $i) (i32.const 30000) (i32.const 16))
        (br_if $f (i32.lt_u
            (local.tee $i (i32.add (local.get $i) (i32.const 16))) (i32.const 29984))))
    (local.set $i (i32.const 30016))
    (loop $g (memory.copy (local.get $i) (i32.const 30000) (i32.const 16))
        (br_if $g (i32.lt_u
            (local.tee $i (i32.add (local.get $i) (i32.const 16))) (i32.const 262128))))"#;

/// The same as a contract, whose memory NEAR gives it, and which has its storage but no
/// environment.
const CONTRACT: &str = r#"(module
    (import "env" "input" (func $input (param i64)))
    (import "env" "read_register" (func $read_register (param i64 i64)))
    (import "env" "storage_read" (func $storage_read (param i64 i64 i64) (result i64)))
    (import "env" "storage_write" (func $storage_write (param i64 i64 i64 i64 i64) (result i64)))
    (import "env" "random_seed" (func $random_seed (param i64)))
    (import "env" "log_utf8" (func $log (param i64 i64)))
    (import "env" "value_return" (func $value_return (param i64 i64)))
    (memory 1)
    (func (export "run") (local $i i32) (local $x i64)
        (loop $l (local.set $x (i64.or (local.get $x) (i64.load (local.get $i))))
            (br_if $l (i32.lt_u
                (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 262144))))
        (i64.store (i32.const 1000) (local.get $x))
        (call $input (i64.const 0)) (call $read_register (i64.const 0) (i64.const 30000))
        (memory.copy (i32.const 1008) (i32.const 30000) (i32.const 16))
        (if (i64.ne
                (call $storage_read (i64.const 1) (i64.const 30000) (i64.const 1)) (i64.const 0))
            (then (call $read_register (i64.const 1) (i64.const 1024))))
        (drop (call $storage_write
            (i64.const 1) (i64.const 30000) (i64.const 16) (i64.const 30000) (i64.const 2)))
        (call $random_seed (i64.const 3)) (call $read_register (i64.const 3) (i64.const 1040))
        (call $log (i64.const 16) (i64.const 30000))
        (call $value_return (i64.const 72) (i64.const 1000))
        (local.set $i (i32.const 30016))
        (loop $f (memory.copy (local.get $i) (i32.const 30000) (i32.const 16))
            (br_if $f (i32.lt_u
                (local.tee $i (i32.add (local.get $i) (i32.const 16))) (i32.const 262128))))))"#;

/// Each kind of guest and meter, for one tenant. Both run the same code.
fn guests(tenant: usize) -> Vec<(&'static str, Run)> {
    let gas = Compute::Gas(100_000_000_000_000);
    let core = Run::start(&format!("{CORE} {STORAGE} {FILL}"));
    let metered = core.clone().limits(|limits| limits.compute = gas);
    let component = components::wasi(&format!("{CORE} {FILL}"));
    let mut near = Run::wat(CONTRACT).limits(|limits| {
        limits.compute = gas;
        limits.memory_bytes = 128 << 20;
    });
    near.args = vec!["run".to_owned()];
    let secret = String::from_utf8(SECRETS[tenant].to_vec()).unwrap();
    let own = |(kind, run): (&'static str, Run)| {
        let mut run = run.input(secret.as_bytes()).value(&secret[..1], secret.as_bytes());
        if kind != "near" {
            run.env = vec![("SECRET".to_owned(), secret.clone())];
        }
        run.context.random_seed = Hash32::of(secret.as_bytes());
        (kind, run)
    };
    [("core", core), ("gas", metered), ("component", component), ("near", near)].map(own).to_vec()
}

fn shows(execution: &Execution, secret: &[u8]) -> bool {
    let journal = execution.journal.iter().flat_map(|entry| entry.value.iter());
    let texts =
        [&execution.output, &execution.logs].into_iter().chain(journal.map(|value| &value.0));
    texts.flat_map(|text| text.windows(secret.len())).any(|window| window == secret)
}

/// What a tenant's guests give when nobody else has run.
fn alone(tenant: usize) -> Vec<Execution> {
    guests(tenant)
        .into_iter()
        .map(|(kind, mut run)| {
            let execution = run.on(&Executor::new(ExecutorConfig::default()).unwrap()).unwrap();
            assert_eq!(execution.status, Status::Completed, "{kind} {execution:?}");
            assert!(shows(&execution, SECRETS[tenant]), "{kind}: it shows its own");
            assert!(!shows(&execution, SECRETS[1 - tenant]), "{kind}");
            // In a component, the adapter keeps data of its own in the guest's memory.
            if kind != "component" {
                assert_eq!(execution.output[..8], [0; 8], "{kind}: the memory is fresh");
            }
            execution
        })
        .collect()
}

#[test]
fn in_one_place_of_the_pools_one_after_the_other() {
    let alone = [alone(0), alone(1)];
    let executor =
        Executor::new(ExecutorConfig { pool: Some(1), ..ExecutorConfig::default() }).unwrap();
    for turn in 0..40 {
        let tenant = turn % 2;
        for ((kind, mut run), expected) in guests(tenant).into_iter().zip(&alone[tenant]) {
            let execution = run.on(&executor).unwrap();
            assert_eq!(&execution, expected, "{kind}, turn {turn}");
            assert!(!shows(&execution, SECRETS[1 - tenant]));
        }
    }
}

#[test]
fn side_by_side() {
    let alone = &[alone(0), alone(1)];
    for pool in [Some(4), None] {
        let executor =
            &Executor::new(ExecutorConfig { pool, ..ExecutorConfig::default() }).unwrap();
        thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for turn in 0..25 {
                        let tenant = (thread + turn) % 2;
                        let guests = guests(tenant);
                        let which = (thread + turn / 2) % guests.len();
                        let (kind, mut run) = guests[which].clone();
                        let execution = run.on(executor).unwrap();
                        assert_eq!(execution, alone[tenant][which], "{kind}, pool {pool:?}");
                    }
                });
            }
        });
    }
}

#[test]
fn what_one_leaves_behind_when_it_fails_is_not_seen_either() {
    let alone = alone(1);
    let executor =
        Executor::new(ExecutorConfig { pool: Some(1), ..ExecutorConfig::default() }).unwrap();
    for ending in [
        "unreachable",
        "(loop $end (br $end))",
        "(drop (memory.grow (i32.const 60000))) unreachable",
    ] {
        let mut failing =
            Run::start(&format!("{CORE} {STORAGE} {FILL} {ending}")).input(SECRETS[0].as_slice());
        assert_ne!(failing.on(&executor).unwrap().status, Status::Completed, "{ending}");
        for ((kind, mut run), expected) in guests(1).into_iter().zip(&alone) {
            assert_eq!(&run.on(&executor).unwrap(), expected, "{kind} after {ending}");
        }
    }
}

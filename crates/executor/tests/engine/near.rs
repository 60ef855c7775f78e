//! NEAR contracts as guests.

use outlayer_executor::{
    Code, Execution, Executor, ExecutorConfig, Fault, Job, SnapshotError, gas::TRIE_NODES,
};
use outlayer_protocol::{Compute, GuestKind, Hash32, Limit, ReadEntry, Status};

use crate::common::{self, Memory, Run, context, invalid, node, trapped, written};

const PLENTY: u64 = 300_000_000_000_000;

const IMPORTS: &str = r#"
    (import "env" "input" (func $input (param i64)))
    (import "env" "register_len" (func $register_len (param i64) (result i64)))
    (import "env" "read_register" (func $read_register (param i64 i64)))
    (import "env" "write_register" (func $write_register (param i64 i64 i64)))
    (import "env" "value_return" (func $value_return (param i64 i64)))
    (import "env" "panic" (func $panic))
    (import "env" "panic_utf8" (func $panic_utf8 (param i64 i64)))
    (import "env" "log_utf8" (func $log_utf8 (param i64 i64)))
    (import "env" "sha256" (func $sha256 (param i64 i64 i64)))
    (import "env" "current_account_id" (func $current_account_id (param i64)))
    (import "env" "signer_account_id" (func $signer_account_id (param i64)))
    (import "env" "signer_account_pk" (func $signer_account_pk (param i64)))
    (import "env" "predecessor_account_id" (func $predecessor_account_id (param i64)))
    (import "env" "refund_to_account_id" (func $refund_to_account_id (param i64)))
    (import "env" "current_contract_code" (func $current_contract_code (param i64) (result i64)))
    (import "env" "random_seed" (func $random_seed (param i64)))
    (import "env" "chain_id" (func $chain_id (param i64)))
    (import "env" "block_index" (func $block_index (result i64)))
    (import "env" "block_timestamp" (func $block_timestamp (result i64)))
    (import "env" "epoch_height" (func $epoch_height (result i64)))
    (import "env" "storage_usage" (func $storage_usage (result i64)))
    (import "env" "prepaid_gas" (func $prepaid_gas (result i64)))
    (import "env" "account_balance" (func $account_balance (param i64)))
    (import "env" "account_locked_balance" (func $account_locked_balance (param i64)))
    (import "env" "attached_deposit" (func $attached_deposit (param i64)))
    (import "env" "promise_results_count" (func $promise_results_count (result i64)))
    (import "env" "storage_write" (func $storage_write (param i64 i64 i64 i64 i64) (result i64)))
    (import "env" "storage_read" (func $storage_read (param i64 i64 i64) (result i64)))
    (import "env" "storage_remove" (func $storage_remove (param i64 i64 i64) (result i64)))
    (import "env" "storage_has_key" (func $storage_has_key (param i64 i64) (result i64)))
    (import "env" "promise_create"
        (func $promise_create (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
    (import "env" "promise_batch_create" (func $promise_batch_create (param i64 i64) (result i64)))
    (import "env" "promise_yield_create"
        (func $promise_yield_create (param i64 i64 i64 i64 i64 i64 i64) (result i64)))
    (import "env" "promise_yield_resume"
        (func $promise_yield_resume (param i64 i64 i64 i64) (result i32)))
    (import "env" "validator_total_stake" (func $validator_total_stake (param i64)))
    (memory 1)
    (data (i32.const 0) "key0valuebob.near")
    (func $return_register (param $register i64)
        (call $read_register (local.get $register) (i64.const 1000))
        (call $value_return (call $register_len (local.get $register)) (i64.const 1000)))
    (func $return_word (param $word i64)
        (i64.store (i32.const 1000) (local.get $word))
        (call $value_return (i64.const 8) (i64.const 1000)))
"#;

fn code(items: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {IMPORTS} {items})")).unwrap()
}

/// A contract whose method `run` has this body.
fn contract(body: &str) -> Run {
    method(&code(&format!(r#"(func (export "run") (local $i i64) {body})"#)), "run")
}

fn method(code: &[u8], name: &str) -> Run {
    let mut run = Run::bytes(code.to_vec()).limits(|limits| {
        limits.compute = Compute::Gas(PLENTY);
        limits.memory_bytes = 128 << 20;
    });
    run.args = vec![name.to_owned()];
    run
}

fn word(execution: &Execution) -> u64 {
    u64::from_le_bytes(execution.output.clone().try_into().unwrap())
}

const KEY: &str = "(i64.const 4) (i64.const 0)";

fn write(value: &str) -> String {
    format!("(call $storage_write {KEY} (i64.const {}) (i64.const 4) (i64.const 7))", value.len())
}

#[test]
fn input_output_and_logs_are_the_methods() {
    let execution = contract(
        "(call $log_utf8 (i64.const 4) (i64.const 0)) (call $log_utf8 (i64.const 5) (i64.const 4))
         (call $input (i64.const 1)) (call $return_register (i64.const 1))",
    )
    .input("input \u{0} bytes")
    .run();
    assert_eq!(execution.status, Status::Completed);
    assert_eq!(execution.output, b"input \0 bytes");
    assert_eq!(execution.logs, b"key0\nvalue\n");
    assert_eq!(contract("").run().output, b"");
}

#[test]
fn every_field_of_the_context_has_its_source() {
    let context = context();
    let text = |call: &str| {
        let body = format!("{call} (call $return_register (i64.const 1))");
        contract(&body).input("in").output()
    };
    let register = |name: &str| text(&format!("(call ${name} (i64.const 1))"));
    assert_eq!(register("current_account_id"), context.contract_id.as_bytes());
    assert_eq!(register("signer_account_id"), context.signer_id.as_bytes());
    assert_eq!(register("signer_account_pk"), [0; 33]);
    assert_eq!(register("predecessor_account_id"), context.predecessor_id.as_bytes());
    assert_eq!(register("refund_to_account_id"), context.predecessor_id.as_bytes());
    assert_eq!(register("random_seed"), context.random_seed.0);
    assert_eq!(register("input"), b"in");
    let body =
        "(drop (call $current_contract_code (i64.const 1))) (call $return_register (i64.const 1))";
    let mut own = contract(body);
    assert_eq!(own.output(), Hash32::of(&own.code).0);

    let number = |name: &str| word(&contract(&format!("(call $return_word (call ${name}))")).run());
    assert_eq!(number("block_index"), context.block_height);
    assert_eq!(number("block_timestamp"), context.block_timestamp);
    assert_eq!(number("epoch_height"), context.epoch_height);
    assert_eq!(number("storage_usage"), 1 << 40);
    assert_eq!(number("prepaid_gas"), PLENTY);
    assert_eq!(number("promise_results_count"), 0);

    let balance = |name: &str| {
        let body = format!(
            "(call ${name} (i64.const 1000)) (call $value_return (i64.const 16) (i64.const 1000))"
        );
        u128::from_le_bytes(contract(&body).output().try_into().unwrap())
    };
    // The deposit of the request is OutLayer's, and the guest gets none of it.
    assert!(!context.attached_deposit.is_zero());
    for name in ["attached_deposit", "account_balance", "account_locked_balance"] {
        assert_eq!(balance(name), 0, "{name}");
    }
}

#[test]
fn gas_is_near_vm_runners() {
    for body in [
        "",
        "(call $input (i64.const 1)) (call $return_register (i64.const 1))",
        "(call $sha256 (i64.const 100) (i64.const 0) (i64.const 3))
         (call $log_utf8 (i64.const 9) (i64.const 0))",
        "(loop $l (br_if $l
            (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (i64.const 9999))))",
        "(call $panic)",
        "(call $read_register (i64.const 99) (i64.const 0))",
        "(call $log_utf8 (i64.const 1000000000) (i64.const 0))",
        "unreachable",
    ] {
        let mut run = contract(body).input("some input");
        let outcome = node::call(&run.code, "run", b"some input", PLENTY);
        assert_eq!(run.run().used, Compute::Gas(outcome.burnt_gas.as_gas()), "{body}");
    }
}

#[test]
fn writes_and_removals_touch_a_fixed_number_of_trie_nodes() {
    // near-vm-runner's mock has no trie, and charges neither for nodes nor for the old value.
    let nodes = 2_280_000_000 * TRIE_NODES;
    for (body, more) in [
        (format!("(drop {})", write("val")), nodes),
        (format!("(drop {}) (drop {})", write("val"), write("value")), 2 * nodes + 3 * 32_117_307),
        (format!("(drop (call $storage_remove {KEY} (i64.const 7)))"), nodes),
        (
            format!("(drop {}) (drop (call $storage_remove {KEY} (i64.const 7)))", write("val")),
            2 * nodes + 3 * 11_531_556,
        ),
        (format!("(drop (call $storage_read {KEY} (i64.const 7)))"), 0),
        (format!("(drop (call $storage_has_key {KEY}))"), 0),
    ] {
        let mut run = contract(&body);
        let outcome = node::call(&run.code, "run", b"", PLENTY);
        assert_eq!(run.run().used, Compute::Gas(outcome.burnt_gas.as_gas() + more), "{body}");
    }
}

#[test]
fn what_a_method_uses_is_just_enough() {
    let body = format!("(drop {}) (call $input (i64.const 1))", write("value"));
    let used = contract(&body).run().used.amount();
    let run = |gas: u64| {
        let mut run = contract(&body);
        run.limits.compute = Compute::Gas(gas);
        run.run()
    };
    assert_eq!((run(used).status, run(used).used), (Status::Completed, Compute::Gas(used)));
    for short in [used - 1, used / 2, 1_000, 0] {
        let execution = run(short);
        assert_eq!(
            (execution.status, execution.used, execution.journal),
            (Status::OutOfGas, Compute::Gas(short), vec![]),
        );
    }
}

#[test]
fn storage_is_the_namespace_with_read_set_and_journal() {
    let read = |value: Option<&str>| ReadEntry {
        key: "key0".into(),
        value_hash: value.map(|value| Hash32::of(value.as_bytes())),
    };
    let body = format!(
        "(drop (call $storage_read {KEY} (i64.const 1))) (call $return_register (i64.const 1))"
    );
    let mut reading = contract(&body).value("key0", "old");
    let execution = reading.run();
    assert_eq!(execution.output, b"old");
    assert_eq!((execution.reads, execution.journal), (vec![read(Some("old"))], vec![]));
    assert_eq!(reading.storage.asked, [b"key0"]);

    // A write also reads the old value, and the contract sees the new one at once.
    let body = format!("(drop {}) (call $return_register (i64.const 7))", write("value"));
    let execution = contract(&body).value("key0", "old").run();
    assert_eq!(execution.output, b"old");
    assert_eq!(
        (execution.reads, execution.journal),
        (vec![read(Some("old"))], vec![written("key0", Some("value"))])
    );
    let body = format!("(call $return_word {})", write("value"));
    let execution = contract(&body).run();
    assert_eq!(word(&execution), 0);
    assert_eq!(execution.reads, [read(None)]);
    let body = format!(
        "(drop {}) (drop (call $storage_read {KEY} (i64.const 1)))
         (call $return_register (i64.const 1))",
        write("value")
    );
    assert_eq!(contract(&body).value("key0", "old").output(), b"value");

    let body = format!(
        "(drop (call $storage_remove {KEY} (i64.const 1)))
         (call $return_word (i64.add (call $storage_has_key {KEY}) (call $storage_usage)))"
    );
    let execution = contract(&body).value("key0", "old").run();
    // 3 bytes of the value, 4 of the key, and 40 that NEAR counts for each record.
    assert_eq!(word(&execution), (1 << 40) - 47);
    assert_eq!(execution.journal, [written("key0", None)]);
}

#[test]
fn what_did_not_complete_keeps_reads_and_logs_alone() {
    let body = format!(
        "(call $log_utf8 (i64.const 4) (i64.const 0)) (drop {})
         (call $value_return (i64.const 4) (i64.const 0)) unreachable",
        write("value")
    );
    let execution = contract(&body).run();
    assert_eq!(execution.status, trapped("unreachable"));
    assert_eq!((execution.output.len(), execution.journal.len()), (0, 0));
    assert_eq!((execution.reads.len(), execution.logs), (1, b"key0\n".to_vec()));
}

#[test]
fn a_panics_message_is_the_reason_cut_between_characters() {
    let panic = "(call $input (i64.const 1)) (call $read_register (i64.const 1) (i64.const 2000))
        (call $panic_utf8 (call $register_len (i64.const 1)) (i64.const 2000))";
    assert_eq!(contract(panic).input("no such token").status(), trapped("no such token"));
    let long = format!("a{}", "ж".repeat(2_000));
    let Status::Trapped { reason } = contract(panic).input(long.clone()).status() else { panic!() };
    assert!(
        long.starts_with(&reason)
            && reason.len() == outlayer_protocol::response::MAX_REASON_BYTES - 1
    );
    assert_eq!(
        contract(panic).input([0xff, 0xfe]).status(),
        trapped("String encoding is bad UTF-8 sequence.")
    );
    assert_eq!(contract("(call $panic)").status(), trapped("explicit guest panic"));
}

#[test]
fn traps_have_the_usual_words_as_far_as_near_tells_them_apart() {
    for (body, reason) in [
        ("unreachable", "unreachable"),
        ("(drop (i64.div_u (i64.const 1) (local.get $i)))", "illegal arithmetic"),
        ("(drop (i32.load (i32.const -4)))", "memory or table out of bounds"),
        ("(call $read_register (i64.const 1) (i64.const 0))", "Accessed invalid register id: 1"),
        ("(call $log_utf8 (i64.const 9) (i64.const -1))", "memory out of bounds"),
    ] {
        assert_eq!(contract(body).status(), trapped(reason), "{body}");
    }
    let recursion = code(r#"(func $f (call $f)) (func (export "run") (call $f))"#);
    assert_eq!(method(&recursion, "run").status(), trapped("memory out of bounds"));
}

#[test]
fn promises_without_a_plan_yields_and_unknown_facts_are_refused() {
    let no_plan = Status::LimitExceeded { which: Limit::PlanBytes, limit: 0 };
    let waiting = "yields are refused: this guest cannot wait for another transaction";
    let bob = "(i64.const 8) (i64.const 9)";
    for (body, status) in [
        (
            format!(
                "(drop (call $promise_create {bob} (i64.const 3) (i64.const 0)
                    (i64.const 0) (i64.const 0) (i64.const 500) (i64.const 1000)))"
            ),
            no_plan.clone(),
        ),
        (format!("(drop (call $promise_batch_create {bob}))"), no_plan),
        (
            "(drop (call $promise_yield_create (i64.const 3) (i64.const 0) (i64.const 0)
                (i64.const 0) (i64.const 1000) (i64.const 0) (i64.const 1)))"
                .to_owned(),
            trapped(waiting),
        ),
        (
            "(drop (call $promise_yield_resume
                (i64.const 32) (i64.const 500) (i64.const 4) (i64.const 0)))"
                .to_owned(),
            trapped(waiting),
        ),
        (
            "(call $validator_total_stake (i64.const 500))".to_owned(),
            trapped("the stakes of validators are not known here"),
        ),
        (
            "(call $chain_id (i64.const 1))".to_owned(),
            trapped("the chain's name is not known here"),
        ),
    ] {
        let execution = contract(&format!("(drop {}) {body}", write("value"))).run();
        assert_eq!(execution.status, status, "{body}");
        assert!(execution.journal.is_empty() && execution.used.amount() > 0);
    }
}

#[test]
fn methods_and_meters_that_are_not_there_are_named() {
    let mut run = contract("");
    run.args.clear();
    assert_eq!(
        run.status(),
        invalid("a near guest needs a method: the first of the request's arguments")
    );
    run.args = vec!["absent".to_owned()];
    assert_eq!(run.status(), invalid("there is no method \"absent\""));
    let parameter = code(r#"(func (export "run") (param i32))"#);
    assert_eq!(
        method(&parameter, "run").status(),
        invalid("the method \"run\" must have no parameters and no results")
    );
    assert_eq!(
        contract("").fuel(1_000_000).status(),
        invalid(
            "the module imports `env` and exports no `_start`, so it is a near guest, which is \
             metered in gas, and the request states its limit in fuel; a WASI guest exports \
             `_start` and imports nothing from `env`"
        )
    );
    let unknown =
        wat::parse_str(r#"(module (import "env" "no_such" (func)) (func (export "run")))"#)
            .unwrap();
    assert_eq!(method(&unknown, "run").status(), invalid("unknown or invalid import"));
    let other =
        wat::parse_str(r#"(module (import "env" "input" (func)) (func (export "run")))"#).unwrap();
    assert!(matches!(method(&other, "run").status(), Status::InvalidModule { .. }));
    let foreign = wat::parse_str(
        r#"(module (import "env" "input" (func (param i64))) (import "outlayer" "log" (func))
            (func (export "run")))"#,
    )
    .unwrap();
    assert_eq!(
        method(&foreign, "run").status(),
        invalid("NEAR's runtime gives a contract functions from env and no other import")
    );
    let blocks = code(&format!(r#"(func (export "run") {})"#, "(block)".repeat(5_001)));
    assert_eq!(
        method(&blocks, "run").status(),
        invalid("NEAR's runtime allows at most 5000 blocks in a function")
    );
}

#[test]
fn limits_hold() {
    let exceeded = |which, limit| Status::LimitExceeded { which, limit };
    let with = |body: &str, change: fn(&mut outlayer_protocol::ResourceLimits)| {
        contract(body).limits(change).run()
    };
    let status = |body: &str, change| with(body, change).status;
    assert_eq!(
        status("", |limits| limits.memory_bytes = (128 << 20) - 1),
        exceeded(Limit::MemoryBytes, (128 << 20) - 1)
    );
    assert_eq!(
        status("", |limits| limits.table_elements = 9_999),
        exceeded(Limit::TableElements, 9_999)
    );
    assert_eq!(status("", |limits| limits.instances = 0), exceeded(Limit::Instances, 0));
    let output = "(call $value_return (i64.const 11) (i64.const 0))";
    assert_eq!(status(output, |limits| limits.output_bytes = 10), exceeded(Limit::OutputBytes, 10));
    assert_eq!(status(output, |limits| limits.output_bytes = 11), Status::Completed);
    let log = "(call $log_utf8 (i64.const 10) (i64.const 0))";
    let execution = with(log, |limits| limits.log_bytes = 10);
    assert_eq!(
        (execution.status, execution.logs),
        (exceeded(Limit::LogBytes, 10), b"key0valueb".to_vec())
    );
    assert_eq!(status(log, |limits| limits.log_bytes = 11), Status::Completed);
    let calls =
        "(call $input (i64.const 1)) (call $input (i64.const 1)) (call $input (i64.const 1))";
    assert_eq!(status(calls, |limits| limits.host_calls = 2), exceeded(Limit::HostCalls, 2));
    assert_eq!(status(calls, |limits| limits.host_calls = 3), Status::Completed);
    let put = format!("(drop {})", write("value"));
    assert_eq!(status(&put, |limits| limits.storage_reads = 0), exceeded(Limit::StorageReads, 0));
    assert_eq!(status(&put, |limits| limits.storage_writes = 0), exceeded(Limit::StorageWrites, 0));
    assert_eq!(status(&put, |limits| limits.journal_bytes = 8), exceeded(Limit::JournalBytes, 8));
    assert_eq!(status(&put, |limits| limits.journal_bytes = 9), Status::Completed);
    let key =
        |bytes: u32| format!("(drop (call $storage_has_key (i64.const {bytes}) (i64.const 0)))");
    assert_eq!(contract(&key(256)).status(), Status::Completed);
    assert_eq!(contract(&key(257)).status(), exceeded(Limit::KeyBytes, 256));
    assert_eq!(contract(&key(0)).status(), trapped("empty storage key"));
    let value = "(drop (call $storage_write
        (i64.const 4) (i64.const 0) (i64.const 65537) (i64.const 0) (i64.const 1)))";
    assert_eq!(contract(value).status(), exceeded(Limit::ValueBytes, 65_536));
}

#[test]
fn a_snapshot_that_fails_gives_no_verdict() {
    let body = format!("(drop (call $storage_read {KEY} (i64.const 1)))");
    let mut run = contract(&body);
    run.storage = Memory { broken: true, ..Memory::default() };
    assert_eq!(run.try_run(), Err(Fault::Snapshot(SnapshotError("the node is away".to_owned()))));
    let mut run = contract(&body).value("key0", vec![0; 65_537]);
    assert!(matches!(run.try_run(), Err(Fault::Snapshot(_))));
}

#[test]
fn replays_are_identical_on_any_thread_and_without_a_cache() {
    let body = format!(
        "(call $random_seed (i64.const 1)) (drop {}) (drop (call $storage_read {KEY} (i64.const 2)))
         (call $log_utf8 (i64.const 9) (i64.const 0)) (call $return_register (i64.const 1))",
        write("value")
    );
    let guest = || contract(&body).value("key0", "old");
    let first = guest().run();
    assert_eq!(first.status, Status::Completed);
    let uncached =
        Executor::new(ExecutorConfig { cache_bytes: 0, ..ExecutorConfig::default() }).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(guest().run(), first);
                    assert_eq!(guest().on(&uncached).unwrap(), first);
                }
            });
        }
    });
}

#[test]
fn a_required_kind_is_checked() {
    let mut run = contract("");
    run.kind = Some(GuestKind::Near);
    assert_eq!(run.status(), Status::Completed);
    run.kind = Some(GuestKind::WasiP1);
    assert_eq!(run.status(), invalid("the request requires a wasi-p1 guest, this is a near guest"));
}

#[test]
fn a_request_may_allow_more_gas_than_a_contract_gets() {
    let mut run = contract("(call $return_word (call $prepaid_gas))");
    run.limits.compute = Compute::Gas(u64::MAX);
    assert_eq!(word(&run.run()), outlayer_executor::near::MAX_GAS);
}

/// Runs `work` on a thread with so small a stack that a contract needs another.
fn on_a_small_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(128 << 10);
        thread.spawn_scoped(scope, work).unwrap().join().unwrap()
    })
}

#[test]
fn recursion_ends_by_nears_bound_on_any_thread() {
    let params = "i64 ".repeat(64);
    let arguments: String = (0..64).map(|index| format!("(local.get {index})")).collect();
    let zeros = "(i64.const 0)".repeat(64);
    let operands = "(i64.const 1)".repeat(500);
    let sums = "(i64.add)".repeat(500);
    let functions = [
        "(func $deep (call $deep))".to_owned(),
        "(func $deep (call $deep) (call $deep))".to_owned(),
        format!(
            "(func $wide (param {params}) (call $wide {arguments}))
             (func $deep (call $wide {zeros}))"
        ),
        format!("(func $deep (local {params}) (call $deep) (drop (local.get 63)))"),
        format!(
            "(func $value (result i64) {operands} (call $value) {sums})
             (func $deep (drop (call $value)))"
        ),
        "(table 1 funcref) (elem (i32.const 0) $deep)
         (func $deep (call_indirect (i32.const 0)))"
            .to_owned(),
    ];
    for function in functions {
        let guest =
            || method(&code(&format!(r#"{function} (func (export "run") (call $deep))"#)), "run");
        let there = guest().run();
        assert_eq!(there.status, trapped("memory out of bounds"), "{function}");
        assert!(there.used.amount() < PLENTY, "{function}");
        assert_eq!(on_a_small_thread(|| guest().run()), there, "{function}");
    }
}

#[test]
fn host_functions_run_on_a_small_thread() {
    let body = format!(
        "(drop {}) (drop (call $storage_read {KEY} (i64.const 2)))
         (call $sha256 (i64.const 4) (i64.const 0) (i64.const 1))
         (call $log_utf8 (i64.const 9) (i64.const 0)) (call $return_register (i64.const 1))",
        write("value")
    );
    let guest = || contract(&body).value("key0", "old");
    let there = guest().run();
    assert_eq!(there.status, Status::Completed);
    assert_eq!(on_a_small_thread(|| guest().run()), there);
}

#[test]
fn a_snapshot_that_panics_gives_no_verdict() {
    let run = contract(&format!("(drop (call $storage_read {KEY} (i64.const 1)))"));
    let job = Job {
        args: &run.args,
        env: &run.env,
        input: &run.input,
        ..Job::new(Code::of(&run.code), &run.limits, &run.context)
    };
    let mut panics = |_: &[u8]| -> Result<Option<Vec<u8>>, SnapshotError> { panic!("away") };
    let ended = common::executor().execute(&job, &mut panics);
    assert!(matches!(ended, Err(Fault::Engine(_))), "{ended:?}");
}

//! The gas meter counts what a node would count for the same bytes, to the unit.

use near_vm_runner::logic::errors::{FunctionCallError, HostError};
use outlayer_executor::{Executor, ExecutorConfig, Fault};
use outlayer_protocol::{Compute, Limit, Status};

use crate::common::{Run, invalid, kernels, node, trapped};

const PLENTY: u64 = 100_000_000_000_000;

/// A run that may use as much memory as a node gives a contract.
fn run(code: &[u8], gas: u64) -> Run {
    Run::bytes(code.to_vec()).limits(|limits| {
        limits.compute = Compute::Gas(gas);
        limits.memory_bytes = 128 << 20;
    })
}

#[test]
fn every_kernel_costs_what_it_costs_on_a_node() {
    let unoptimised = Executor::new(ExecutorConfig {
        optimize: false,
        pool: Some(2),
        ..ExecutorConfig::default()
    })
    .unwrap();
    for (name, code) in kernels::kernels() {
        let outcome = node::call(&code, "_start", b"", PLENTY);
        assert_eq!(outcome.aborted, None, "{name}");
        let execution = run(&code, PLENTY).run();
        assert_eq!(execution.status, Status::Completed, "{name}");
        assert_eq!(execution.used, Compute::Gas(outcome.burnt_gas.as_gas()), "{name}");
        assert_eq!(run(&code, PLENTY).on(&unoptimised).unwrap(), execution, "{name}");
    }
}

#[test]
fn what_a_kernel_uses_is_just_enough() {
    for (name, code) in kernels::kernels() {
        let used = run(&code, PLENTY).run().used.amount();
        let enough = run(&code, used).run();
        assert_eq!((enough.status, enough.used), (Status::Completed, Compute::Gas(used)), "{name}");
        for short in [used - 1, used / 2, 1_000, 0] {
            let execution = run(&code, short).run();
            assert_eq!(
                (execution.status, execution.used),
                (Status::OutOfGas, Compute::Gas(short)),
                "{name}"
            );
            let outcome = node::call(&code, "_start", b"", short);
            assert_eq!(outcome.burnt_gas.as_gas(), short, "{name}");
            assert!(
                matches!(
                    outcome.aborted,
                    Some(FunctionCallError::HostError(
                        HostError::GasExceeded | HostError::GasLimitExceeded
                    ))
                ),
                "{name}: {:?}",
                outcome.aborted
            );
        }
    }
}

#[test]
fn a_trap_costs_what_it_costs_on_a_node() {
    for (name, code) in kernels::traps() {
        let outcome = node::call(&code, "_start", b"", PLENTY);
        assert!(outcome.aborted.is_some(), "{name}");
        let execution = run(&code, PLENTY).run();
        assert!(
            matches!(execution.status, Status::Trapped { .. } | Status::StackOverflow),
            "{name}: {:?}",
            execution.status
        );
        assert_eq!(
            execution.used,
            Compute::Gas(outcome.burnt_gas.as_gas()),
            "{name}: {:?}",
            outcome.aborted
        );
    }
}

#[test]
fn the_words_for_a_trap_are_those_of_the_fuel_meter() {
    for (name, code) in kernels::traps() {
        let fuel =
            Run::bytes(code.clone()).limits(|limits| limits.memory_bytes = 128 << 20).status();
        assert_eq!(run(&code, PLENTY).status(), fuel, "{name}");
    }
}

#[test]
fn deep_recursion_is_a_stack_overflow_at_nears_bound() {
    let code = wat::parse_str(
        r#"(module (memory (export "memory") 1024 2048) (global $depth (mut i32) (i32.const 0))
            (func $f (global.set $depth (i32.add (global.get $depth) (i32.const 1))) (call $f))
            (func (export "_start") (call $f)))"#,
    )
    .unwrap();
    let execution = run(&code, PLENTY).run();
    assert_eq!(execution.status, Status::StackOverflow);
    let outcome = node::call(&code, "_start", b"", PLENTY);
    assert_eq!(execution.used, Compute::Gas(outcome.burnt_gas.as_gas()));
}

#[test]
fn an_endless_loop_uses_the_limit() {
    let code = wat::parse_str(
        r#"(module (memory (export "memory") 1) (func (export "_start") (loop $l (br $l))))"#,
    )
    .unwrap();
    let execution = run(&code, 1_000_000_000_000).run();
    assert_eq!(
        (execution.status, execution.used),
        (Status::OutOfGas, Compute::Gas(1_000_000_000_000))
    );
}

#[test]
fn a_charge_beyond_64_bits_uses_the_limit() {
    let fill = r#"(module (memory (export "memory") 1)
        (func (export "_start") (drop (memory.grow (i32.const -1)))))"#;
    let code = wat::parse_str(fill).unwrap();
    let execution = run(&code, PLENTY).run();
    assert_eq!((execution.status, execution.used), (Status::OutOfGas, Compute::Gas(PLENTY)));
}

#[test]
fn a_guest_behaves_as_under_the_fuel_meter() {
    let body = r#"
        (call $random_fill (i32.const 0) (i32.const 64)) (call $print (i32.const 0) (i32.const 64))
        (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0)))
        (call $emit (i64.load (i32.const 0)))
        (drop (call $fd_read (i32.const 0) (i32.const 128) (i32.const 0) (i32.const 0)))
        (call $emit (i64.extend_i32_s (memory.grow (i32.const 1))))
        (call $emit (i64.extend_i32_s (memory.size)))
        (i32.store8 (i32.const 0) (i32.const 107))
        (call $emit
            (call $storage_read (i32.const 0) (i32.const 1) (i32.const 100) (i32.const 100)))
        (call $print (i32.const 100) (i32.const 5))
        (call $storage_write (i32.const 100) (i32.const 2) (i32.const 0) (i32.const 9))
        (call $emit (i64.extend_i32_s (call $storage_remove (i32.const 0) (i32.const 1))))
        (drop (call $context_read (i32.const 0) (i32.const 500)))
        (call $log (i32.const 0) (i32.const 64))"#;
    let guest = || Run::start(body).value("k", "value").input("input");
    let fuel = guest().run();
    let gas = guest().limits(|limits| limits.compute = Compute::Gas(PLENTY)).run();
    assert_eq!(fuel.status, Status::Completed);
    assert_eq!(
        (&gas.status, &gas.output, &gas.logs, &gas.reads, &gas.journal),
        (&fuel.status, &fuel.output, &fuel.logs, &fuel.reads, &fuel.journal)
    );
    // What it used is just enough.
    let used = gas.used.amount();
    assert_eq!(guest().limits(|limits| limits.compute = Compute::Gas(used)).run(), gas);
    let short = guest().limits(|limits| limits.compute = Compute::Gas(used - 1)).run();
    assert_eq!((short.status, short.used), (Status::OutOfGas, Compute::Gas(used - 1)));
}

/// The numbers are NEAR's fees at protocol version 88.
#[test]
fn the_hosts_work_is_paid_for_by_nears_fees() {
    // Each body runs with two lengths, and only the difference of the gas counts. The two modules
    // have the same number of bytes.
    let used = |body: &str, first: u32| {
        Run::start(&body.replace("BYTES", &first.to_string()))
            .limits(|limits| {
                limits.compute = Compute::Gas(PLENTY);
                limits.log_bytes = 1 << 20;
                limits.output_bytes = 1 << 20;
                limits.journal_bytes = 1 << 20;
            })
            .value("\0", vec![7; 3_000])
            .run()
    };
    for (body, byte) in [
        ("(call $print (i32.const 0) (i32.const BYTES))", 3_801_333),
        ("(call $log (i32.const 0) (i32.const BYTES))", 3_801_333 + 13_198_791),
        ("(call $write (i32.const 2) (i32.const 0) (i32.const BYTES))", 3_801_333 + 13_198_791),
        ("(call $random_fill (i32.const 0) (i32.const BYTES))", 2_723_772 + 24_117_351),
        (
            "(call $storage_write (i32.const 0) (i32.const 1) (i32.const 0) (i32.const BYTES))",
            3_801_333 + 31_018_539,
        ),
        (
            "(drop (call $storage_read
                (i32.const 0) (i32.const 1) (i32.const 0) (i32.const BYTES)))",
            2_723_772,
        ),
    ] {
        let (less, more) = (used(body, 1_000), used(body, 2_000));
        assert_eq!(more.status, Status::Completed, "{body}");
        assert_eq!(more.used.amount() - less.used.amount(), 1_000 * byte, "{body}");
    }
}

#[test]
fn storage_costs_what_the_table_says() {
    let loading = |run: &Run| 35_445_963 + 1_089_295 * run.code.len() as u64;
    let op = 822_756;
    let cost = |mut run: Run| {
        run.limits.compute = Compute::Gas(PLENTY);
        let execution = run.run();
        assert_eq!(execution.status, Status::Completed);
        execution.used.amount() - loading(&run)
    };
    let text = |body: &str| {
        Run::wat(&format!(
            r#"(module
                (import "outlayer" "storage_read"
                    (func $storage_read (param i32 i32 i32 i32) (result i64)))
                (import "outlayer" "storage_write" (func $storage_write (param i32 i32 i32 i32)))
                (import "outlayer" "storage_remove"
                    (func $storage_remove (param i32 i32) (result i32)))
                (memory (export "memory") 1) (data (i32.const 0) "key")
                (func (export "_start") {body}))"#
        ))
        .value("key", "value")
    };
    let (base, read, write, touch) = (
        264_768_111,
        |bytes: u64| 2_609_863_200 + bytes * 3_801_333,
        |bytes: u64| 2_803_794_861 + bytes * 2_723_772,
        2_280_000_000 * outlayer_executor::gas::TRIE_NODES,
    );
    // Entering a frame of 64 bytes costs as much as 8 operators.
    let entry = 8 * op;
    assert_eq!(cost(text("")), entry);
    let call =
        "(drop (call $storage_read (i32.const 0) (i32.const 3) (i32.const 9) (i32.const 99)))";
    assert_eq!(
        cost(text(call)),
        entry
            + 6 * op
            + base
            + read(3)
            + 56_356_845_749
            + 3 * 30_952_533
            + 5 * 5_611_004
            + write(5)
    );
    let call = "(call $storage_write (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 4))";
    assert_eq!(
        cost(text(call)),
        entry
            + 5 * op
            + base
            + read(3)
            + 64_196_736_000
            + 3 * 70_482_867
            + read(4)
            + 4 * 31_018_539
            + touch
    );
    let call = "(drop (call $storage_remove (i32.const 0) (i32.const 3)))";
    assert_eq!(
        cost(text(call)),
        entry + 4 * op + base + read(3) + 53_473_030_500 + 3 * 38_220_384 + 5 * 11_531_556 + touch
    );
}

#[test]
fn nears_limits_on_modules_are_named() {
    let reason = |items: &str| {
        let text =
            format!(r#"(module (memory (export "memory") 1) (func (export "_start")) {items})"#);
        match run(&wat::parse_str(text).unwrap(), PLENTY).run() {
            execution if execution.used == Compute::Gas(0) => match execution.status {
                Status::InvalidModule { reason } => reason,
                status => panic!("{status:?}"),
            },
            execution => panic!("{execution:?}"),
        }
    };
    assert_eq!(
        reason(&format!("(func {})", "(block)".repeat(5_001))),
        "NEAR's runtime allows at most 5000 blocks in a function"
    );
    assert_eq!(
        reason("(table 1 funcref) (table 1 funcref)"),
        "NEAR's runtime allows at most 1 table"
    );
    assert_eq!(
        reason("(table 10001 funcref)"),
        "NEAR's runtime allows at most 10000 elements of a table"
    );
    assert_eq!(
        reason(&format!("(func (param {}))", "i32 ".repeat(65))),
        "NEAR's runtime allows at most 64 parameters of a function"
    );
    assert_eq!(
        reason(&"(func)".repeat(10_000)),
        "NEAR's runtime allows at most 10000 functions, imports included"
    );
    assert_eq!(
        reason(&format!("(func {})", "(drop (i32.const 1))".repeat(70_000))),
        "NEAR's runtime allows at most 196608 bytes of a function"
    );
    assert!(
        reason("(func (result i32 i32) (i32.const 1) (i32.const 2))")
            .starts_with("not accepted under the gas meter: ")
    );
    assert!(
        reason("(func (drop (v128.const i64x2 0 0)))")
            .starts_with("not accepted under the gas meter: ")
    );
}

#[test]
fn what_is_refused_under_fuel_is_refused_in_the_same_words() {
    for text in [
        r#"(module (memory (export "memory") 1))"#,
        r#"(module (func (export "_start")))"#,
        r#"(module (memory (export "memory") 1) (func (export "_start") (param i32)))"#,
        r#"(module (func (export "_start")) (global (export "memory") i32 (i32.const 1)))"#,
        r#"(module (import "env" "f" (func))
            (memory (export "memory") 1) (func (export "_start")))"#,
        r#"(module (import "internal" "finite_wasm_gas" (func (param i64)))
            (memory (export "memory") 1) (func (export "_start")))"#,
        r#"(module (import "wasi_snapshot_preview1" "fd_wrong" (func))
            (memory (export "memory") 1) (func (export "_start")))"#,
        r#"(module (import "wasi_snapshot_preview1" "fd_close" (func))
            (memory (export "memory") 1) (func (export "_start")))"#,
        r#"(module (import "wasi_snapshot_preview1" "m" (memory 1))
            (export "memory" (memory 0)) (func (export "_start")))"#,
    ] {
        let code = wat::parse_str(text).unwrap();
        let fuel = Run::bytes(code.clone()).status();
        assert!(matches!(fuel, Status::InvalidModule { .. }), "{text}: {fuel:?}");
        assert_eq!(run(&code, PLENTY).status(), fuel, "{text}");
    }
}

#[test]
fn limits_hold_under_the_gas_meter_too() {
    let gas = |run: Run| run.limits(|limits| limits.compute = Compute::Gas(PLENTY));
    let exceeded = |which, limit| Status::LimitExceeded { which, limit };
    let refused = "(if (i32.ne (memory.grow (i32.const 1024)) (i32.const -1)) (then unreachable))";
    assert_eq!(gas(Run::start(refused)).status(), Status::Completed);
    let large = r#"(module (memory (export "memory") 1025) (func (export "_start")))"#;
    assert_eq!(gas(Run::wat(large)).status(), exceeded(Limit::MemoryBytes, 64 << 20));
    assert_eq!(
        gas(Run::start("(call $print (i32.const 0) (i32.const 5000))")).status(),
        exceeded(Limit::OutputBytes, 4_096)
    );
    assert_eq!(
        gas(Run::start("(drop (call $sched_yield)) (drop (call $sched_yield))"))
            .limits(|limits| limits.host_calls = 1)
            .status(),
        exceeded(Limit::HostCalls, 1)
    );
    assert_eq!(
        gas(Run::start("(call $proc_exit (i32.const 3))")).status(),
        Status::Exited { code: 3 }
    );
    assert_eq!(
        gas(Run::start("(call $log (i32.const -1) (i32.const 2))")).status(),
        trapped("memory out of bounds")
    );
    let stack = r#"(module (memory (export "memory") 1)
        (func (export "_start")) (export "outlayer:stack" (func 0)))"#;
    assert_eq!(gas(Run::wat(stack)).status(), Status::Completed);
    assert_eq!(Run::wat(stack).status(), invalid("the export \"outlayer:stack\" is reserved"));
}

#[test]
fn the_hosts_deadline_is_no_verdict_under_gas_either() {
    let deadline = std::time::Duration::from_millis(100);
    let executor = Executor::new(ExecutorConfig { deadline, ..ExecutorConfig::default() }).unwrap();
    let mut run =
        Run::start("(loop $l (br $l))").limits(|limits| limits.compute = Compute::Gas(u64::MAX));
    assert_eq!(run.on(&executor), Err(Fault::Deadline(deadline)));
}

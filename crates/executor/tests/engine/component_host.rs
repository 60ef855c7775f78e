//! The package `outlayer:host`, from inside of a component.

use outlayer_executor::{Fault, SnapshotError};
use outlayer_protocol::{Hash32, Limit, ReadEntry, Status};

use crate::common::{self, Memory, components::host as start, context, written};

const KEY: &str = "(i32.const 0) (i32.const 3)";
const READ: &str = "(call $read (i32.const 0) (i32.const 3) (i32.const 100))";
const WRITE: &str = "(call $write (i32.const 0) (i32.const 3) (i32.const 3) (i32.const 5))";
/// Prints the value that was read, or `none`: a discriminant and a list.
const SHOW: &str = "(if (i32.load8_u (i32.const 100)) (then (call $print_list (i32.const 104))))";

#[test]
fn storage_is_the_namespace_with_read_set_and_journal() {
    let execution = start(&format!("{READ} {SHOW}")).value("key", "old").run();
    assert_eq!(execution.status, Status::Completed);
    assert_eq!(execution.output, b"old");
    let read = ReadEntry { key: "key".into(), value_hash: Some(Hash32::of(b"old")) };
    assert_eq!((execution.reads, execution.journal), (vec![read], vec![]));
    assert_eq!(start(&format!("{READ} {SHOW}")).output(), b"");

    // A write is visible at once, and reads nothing.
    let execution = start(&format!("{WRITE} {READ} {SHOW}")).value("key", "old").run();
    assert_eq!(execution.output, b"value");
    assert_eq!((execution.reads, execution.journal), (vec![], vec![written("key", Some("value"))]));

    let contains = format!(
        "(i32.store8 (i32.const 200) (call $contains {KEY}))
            (call $print (i32.const 200) (i32.const 1))"
    );
    let execution = start(&contains).value("key", "old").run();
    let read = ReadEntry { key: "key".into(), value_hash: Some(Hash32::of(b"old")) };
    assert_eq!((execution.output, execution.reads), (vec![1], vec![read]));
    assert_eq!(start(&contains).output(), [0]);
    assert_eq!(start(&format!("{WRITE} {contains}")).output(), [1]);

    let remove = format!(
        "(i32.store8 (i32.const 200) (call $remove {KEY}))
            (call $print (i32.const 200) (i32.const 1))"
    );
    let execution = start(&format!("{remove} {remove}")).value("key", "old").run();
    assert_eq!(execution.output, [1, 0]);
    assert_eq!(execution.journal, [written("key", None)]);
}

#[test]
fn storage_limits_hold() {
    let exceeded = |which, limit| Status::LimitExceeded { which, limit };
    assert_eq!(
        start(READ).limits(|limits| limits.storage_reads = 0).status(),
        exceeded(Limit::StorageReads, 0)
    );
    assert_eq!(
        start("(call $read (i32.const 0) (i32.const 257) (i32.const 100))").status(),
        exceeded(Limit::KeyBytes, 256)
    );
    assert_eq!(
        start("(call $write (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 65537))").status(),
        exceeded(Limit::ValueBytes, 65_536)
    );
    let mut run = start(READ);
    run.storage = Memory { broken: true, ..Memory::default() };
    assert_eq!(run.try_run(), Err(Fault::Snapshot(SnapshotError("the node is away".to_owned()))));
}

#[test]
fn the_context_is_the_requests() {
    // request-id is at 0, contract-id at 8, block-height at 16, block-timestamp at 24, epoch-height
    // at 32, random-seed at 40, signer-id at 48, predecessor-id at 56, attached-deposit at 64.
    let body = "(call $context (i32.const 800))
        (call $print (i32.const 800) (i32.const 8)) (call $print (i32.const 816) (i32.const 24))
        (call $print_list (i32.const 808)) (call $print_list (i32.const 840))
        (call $print_list (i32.const 848))
        (call $print_list (i32.const 856)) (call $print_list (i32.const 864))";
    let context = context();
    let expected = [
        &context.request_id.to_le_bytes()[..],
        &context.block_height.to_le_bytes(),
        &context.block_timestamp.to_le_bytes(),
        &context.epoch_height.to_le_bytes(),
        context.contract_id.as_bytes(),
        &context.random_seed.0,
        context.signer_id.as_bytes(),
        context.predecessor_id.as_bytes(),
        context.attached_deposit.as_yoctonear().to_string().as_bytes(),
    ]
    .concat();
    assert_eq!(start(body).output(), expected);
}

#[test]
fn random_bytes_follow_the_seed_and_lines_go_to_the_log() {
    let body = "(call $random (i32.const 32) (i32.const 100)) (call $print_list (i32.const 100))
        (call $line (i32.const 0) (i32.const 3)) (call $line (i32.const 3) (i32.const 5))";
    let first = start(body).run();
    assert_eq!((first.status, first.logs), (Status::Completed, b"key\nvalue\n".to_vec()));
    assert_eq!(first.output.len(), 32);
    let mut other = start(body);
    other.context.random_seed = Hash32::of(b"another");
    assert_ne!(other.output(), first.output);
    assert_eq!(
        start("(call $random (i32.const 70000000) (i32.const 100))").fuel(1_000_000_000).status(),
        Status::LimitExceeded { which: Limit::MemoryBytes, limit: 64 << 20 }
    );
}

#[test]
fn what_a_component_hands_over_wrongly_is_a_trap() {
    let outside = "memory out of bounds";
    let misuse = "a value that the component model does not allow";
    for (body, reason) in [
        ("(call $line (i32.const -8) (i32.const 100))", outside),
        ("(call $write (i32.const 0) (i32.const 3) (i32.const 0) (i32.const -1))", outside),
        ("(call $read (i32.const -3) (i32.const 9) (i32.const 100))", outside),
        ("(call $read (i32.const 0) (i32.const 3) (i32.const -4))", outside),
        ("(call $read (i32.const 0) (i32.const 3) (i32.const 101))", misuse),
        ("(call $context (i32.const 804))", misuse),
        // The allocator answers with an address outside of the memory.
        (
            "(global.set $next (i32.const -65536)) (call $random (i32.const 9) (i32.const 100))",
            outside,
        ),
    ] {
        let status = start(body).value("key", "value").status();
        assert_eq!(status, common::trapped(reason), "{body}");
    }
}

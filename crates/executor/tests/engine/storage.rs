//! Storage, context and randomness through the import module `outlayer`.

use outlayer_executor::{Fault, SnapshotError};
use outlayer_protocol::{Hash32, Limit, ReadEntry, Status};

use crate::common::{Memory, Run, context, trapped, written};

/// Puts `text` into memory at `at`.
fn text(at: u32, text: &str) -> String {
    text.bytes()
        .enumerate()
        .map(|(index, byte)| {
            format!("(i32.store8 (i32.const {}) (i32.const {byte}))", at as usize + index)
        })
        .collect()
}

fn read(key: &str, capacity: u32) -> String {
    format!(
        "{} (call $emit (call $storage_read (i32.const 0) (i32.const {}) (i32.const 256)
                (i32.const {capacity})))
         (call $print (i32.const 256) (i32.const {capacity}))",
        text(0, key),
        key.len()
    )
}

fn write(key: &str, value: &str) -> String {
    format!(
        "{} {} (call $storage_write (i32.const 0) (i32.const {}) (i32.const 100) (i32.const {}))",
        text(0, key),
        text(100, value),
        key.len(),
        value.len()
    )
}

fn remove(key: &str) -> String {
    format!(
        "{} (call $errno (call $storage_remove (i32.const 0) (i32.const {})))",
        text(0, key),
        key.len()
    )
}

fn was_read(key: &str, value: Option<&str>) -> ReadEntry {
    ReadEntry { key: key.into(), value_hash: value.map(|value| Hash32::of(value.as_bytes())) }
}

#[test]
fn a_read_gives_length_and_as_many_bytes_as_fit() {
    let mut run = Run::start(&[read("key", 8), read("key", 2), read("none", 0)].concat())
        .value("key", "hello");
    let execution = run.run();
    let expected = [
        &5u64.to_le_bytes()[..],
        b"hello\0\0\0",
        &5u64.to_le_bytes(),
        b"he",
        &u64::MAX.to_le_bytes(),
    ]
    .concat();
    assert_eq!(execution.output, expected);
    assert_eq!(execution.reads, [was_read("key", Some("hello")), was_read("none", None)]);
    assert!(execution.journal.is_empty());
    // The second read of a key is answered without asking the snapshot.
    assert_eq!(run.storage.asked, [b"key".to_vec(), b"none".to_vec()]);
}

#[test]
fn reads_and_journal_are_sorted_by_key() {
    let body =
        [write("b", "1"), write("a", "2"), write("ab", "3"), read("z", 0), read("c", 0)].concat();
    let execution = Run::start(&body).run();
    assert_eq!(
        execution.journal,
        [written("a", Some("2")), written("ab", Some("3")), written("b", Some("1"))]
    );
    assert_eq!(execution.reads, [was_read("c", None), was_read("z", None)]);
}

#[test]
fn a_guest_sees_its_own_writes_without_reading() {
    let mut run = Run::start(&[write("k", "new"), read("k", 3)].concat()).value("k", "old");
    let execution = run.run();
    assert_eq!(execution.output, [&3u64.to_le_bytes()[..], b"new"].concat());
    assert_eq!((execution.reads, run.storage.asked), (vec![], Vec::<Vec<u8>>::new()));
    assert_eq!(execution.journal, [written("k", Some("new"))]);
}

#[test]
fn the_last_write_of_a_key_stands() {
    let body = [write("k", "first"), write("k", "second"), remove("j"), write("j", "")].concat();
    let execution = Run::start(&body).run();
    assert_eq!(execution.journal, [written("j", Some("")), written("k", Some("second"))]);
}

#[test]
fn removing_tells_whether_the_key_was_there() {
    let body =
        [remove("there"), remove("there"), remove("absent"), write("new", "x"), remove("new")]
            .concat();
    let execution = Run::start(&body).value("there", "x").run();
    assert_eq!(execution.output, [1, 0, 0, 1]);
    assert_eq!(execution.reads, [was_read("absent", None), was_read("there", Some("x"))]);
    assert_eq!(execution.journal, ["absent", "new", "there"].map(|key| written(key, None)));
}

#[test]
fn an_empty_value_is_not_an_absent_one() {
    let execution = Run::start(&read("k", 0)).value("k", "").run();
    assert_eq!(
        (execution.output, execution.reads),
        (0u64.to_le_bytes().to_vec(), vec![was_read("k", Some(""))])
    );
}

#[test]
fn whatever_is_not_completed_leaves_reads_and_logs_but_no_journal_and_no_output() {
    let work =
        [read("k", 1), write("w", "x"), "(call $log (i32.const 0) (i32.const 1))".to_owned()]
            .concat();
    for (end, status) in [
        ("unreachable", trapped("unreachable")),
        ("(call $proc_exit (i32.const 3))", Status::Exited { code: 3 }),
        ("(loop $l (br $l))", Status::OutOfFuel),
    ] {
        let execution = Run::start(&format!("{work} {end}")).value("k", "v").run();
        assert_eq!(execution.status, status);
        assert_eq!((execution.output.len(), execution.journal.len()), (0, 0), "{end}");
        assert_eq!(
            (execution.reads, execution.logs),
            (vec![was_read("k", Some("v"))], b"w\n".to_vec()),
            "{end}"
        );
    }
}

#[test]
fn keys_and_values_are_bounded() {
    let call = |length: u32| {
        Run::start(&format!(
            "(call $emit (call $storage_read (i32.const 0) (i32.const {length}) (i32.const 0)
                    (i32.const 0)))"
        ))
    };
    assert_eq!(call(256).status(), Status::Completed);
    assert_eq!(call(257).status(), Status::LimitExceeded { which: Limit::KeyBytes, limit: 256 });
    assert_eq!(call(0).status(), trapped("empty storage key"));
    let value = |length: u32| {
        Run::start(&format!(
            "(drop (memory.grow (i32.const 1)))
            (call $storage_write (i32.const 0) (i32.const 1) (i32.const 0) (i32.const {length}))"
        ))
        .limits(|limits| limits.journal_bytes = 1 << 20)
    };
    assert_eq!(value(65_536).status(), Status::Completed);
    assert_eq!(
        value(65_537).status(),
        Status::LimitExceeded { which: Limit::ValueBytes, limit: 65_536 }
    );
}

#[test]
fn the_number_of_keys_read_is_bounded_and_repetition_is_free() {
    let run = |body: String| Run::start(&body).limits(|limits| limits.storage_reads = 2).status();
    assert_eq!(run([read("a", 0), read("b", 0), read("a", 0)].concat()), Status::Completed);
    let exceeded = Status::LimitExceeded { which: Limit::StorageReads, limit: 2 };
    assert_eq!(run([read("a", 0), read("b", 0), read("c", 0)].concat()), exceeded);
    assert_eq!(run([remove("a"), remove("b"), remove("c")].concat()), exceeded);
    assert_eq!(
        run([write("a", ""), write("b", ""), read("b", 0), read("c", 0), read("d", 0)].concat()),
        Status::Completed
    );
}

#[test]
fn the_number_of_keys_written_is_bounded() {
    let run = |body: String| Run::start(&body).limits(|limits| limits.storage_writes = 2).status();
    assert_eq!(
        run([write("a", ""), write("b", ""), write("a", "x"), remove("b")].concat()),
        Status::Completed
    );
    let exceeded = Status::LimitExceeded { which: Limit::StorageWrites, limit: 2 };
    assert_eq!(run([write("a", ""), write("b", ""), write("c", "")].concat()), exceeded);
}

#[test]
fn the_journals_bytes_are_bounded_as_they_stand() {
    let run = |body: String| Run::start(&body).limits(|limits| limits.journal_bytes = 10).status();
    let long = write("k", "123456789");
    assert_eq!(run(long.clone()), Status::Completed);
    assert_eq!(
        run([long.clone(), write("k", ""), write("l", "1234567")].concat()),
        Status::Completed
    );
    let exceeded = Status::LimitExceeded { which: Limit::JournalBytes, limit: 10 };
    assert_eq!(run([long, remove("l")].concat()), exceeded);
    assert_eq!(run(write("k", "1234567890")), exceeded);
}

#[test]
fn a_snapshot_that_fails_or_lies_gives_no_verdict() {
    let mut run = Run::start(&read("k", 0));
    run.storage = Memory { broken: true, ..Memory::default() };
    assert_eq!(run.try_run(), Err(Fault::Snapshot(SnapshotError("the node is away".to_owned()))));
    let mut run = Run::start(&read("k", 0)).value("k", vec![0; 65_537]);
    assert!(matches!(run.try_run(), Err(Fault::Snapshot(_))));
    // Without a read, nothing asks the snapshot.
    let mut run = Run::start("");
    run.storage.broken = true;
    assert_eq!(run.status(), Status::Completed);
}

#[test]
fn the_context_is_its_borsh_encoding() {
    let expected = borsh::to_vec(&context()).unwrap();
    let body = "(call $emit (i64.extend_i32_u (call $context_read (i32.const 0) (i32.const 1000))))
        (call $print (i32.const 0) (call $context_read (i32.const 0) (i32.const 1000)))";
    let length = (expected.len() as u64).to_le_bytes();
    assert_eq!(Run::start(body).output(), [&length[..], &expected].concat());
    let short = "(call $emit (i64.extend_i32_u (call $context_read (i32.const 0) (i32.const 8))))
        (call $print (i32.const 0) (i32.const 16))";
    assert_eq!(Run::start(short).output(), [&length[..], &expected[..8], &[0; 8]].concat());
}

#[test]
fn randomness_is_one_stream_whoever_asks_and_follows_the_seed() {
    let mixed = "(drop (call $random_get (i32.const 0) (i32.const 3)))
        (call $random_fill (i32.const 3) (i32.const 10))
        (drop (call $random_get (i32.const 13) (i32.const 19)))
        (call $print (i32.const 0) (i32.const 32))";
    let whole = "(call $random_fill (i32.const 0) (i32.const 32))
        (call $print (i32.const 0) (i32.const 32))";
    let output = Run::start(whole).output();
    assert_eq!(Run::start(mixed).output(), output);
    let mut other = Run::start(whole);
    other.context.random_seed = Hash32::of(b"another");
    assert_ne!(other.output(), output);
}

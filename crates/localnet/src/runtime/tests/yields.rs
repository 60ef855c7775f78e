//! Yields: their ids, their timeouts, and resumes that race a timeout.

use near_primitives::{receipt::VersionedReceiptEnum, types::Balance};

use super::{
    chain::{Chain, call, id},
    scenario::contract,
};

/// `make` yields with an id that is always the same, and `end` resumes that yield.
const WITH_ID: &str = r#"(module
  (import "env" "promise_yield_create_with_id"
    (func $create (param i64 i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "promise_yield_resume_with_yield_id"
    (func $resume (param i64 i64 i64 i64) (result i32)))
  (import "env" "value_return" (func $value (param i64 i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "done")
  (data (i32.const 16) "an id of thirty-two bytes, 32...")
  (func (export "make")
    (i64.store (i32.const 128) (call $create
      (i64.const 4) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 64)
      (i64.const 5000000000000) (i64.const 0) (i64.const 32) (i64.const 16)))
    (call $value (i64.const 8) (i64.const 128)))
  (func (export "end")
    (i32.store (i32.const 128)
      (call $resume (i64.const 32) (i64.const 16) (i64.const 4) (i64.const 0)))
    (call $value (i64.const 4) (i64.const 128)))
  (func (export "done")))"#;

#[test]
fn a_yield_with_an_id_is_one_at_a_time_and_frees_its_id() {
    let mut chain = Chain::with_alice(88, 100);
    chain.create("y.test.near", Balance::from_near(10), Some(wat::parse_str(WITH_ID).unwrap()));
    let run = |chain: &mut Chain, method| {
        let tx = chain.run("alice.test.near", "y.test.near", vec![call(method, b"")]);
        assert_eq!(chain.failure(&tx), None);
        chain.value(&tx)
    };
    assert_eq!(run(&mut chain, "end"), 0u32.to_le_bytes());
    assert_eq!(run(&mut chain, "make"), 0u64.to_le_bytes());
    // The id is taken.
    assert_eq!(run(&mut chain, "make"), u64::MAX.to_le_bytes());
    assert_eq!(run(&mut chain, "end"), 1u32.to_le_bytes());
    assert_eq!(run(&mut chain, "end"), 0u32.to_le_bytes());
    assert_eq!(run(&mut chain, "make"), 0u64.to_le_bytes());
    chain.block_after(210, vec![]);
    chain.settle();
    assert_eq!(run(&mut chain, "end"), 0u32.to_le_bytes());
    for column in [12, 20, 22, 23] {
        assert_eq!(chain.state.iter_prefix(&[column]).count(), 0, "column {column}");
    }
}

#[test]
fn a_timeout_falls_due_after_200_blocks() {
    for version in [84, 88] {
        let mut chain = Chain::with_alice(version, 100);
        chain.create("y.test.near", Balance::from_near(10), Some(contract("yield")));
        let alice = id("alice.test.near");
        let calls = vec![call("y_ret", b"")];
        let tx = chain.sign(&alice, "alice.test.near", &id("y.test.near"), calls, 1);
        let hash = tx.get_hash();
        chain.block(vec![tx]);
        chain.block(vec![]);
        let made = chain.height;
        while chain.height < made + 200 {
            assert!(!chain.is_done(&hash), "{} blocks", chain.height - made);
            chain.block(vec![]);
        }
        // The block 200 above the yield sends the timeout, which arrives in the next block.
        let [timeout] = &*chain.outgoing else { panic!("{:?}", chain.outgoing) };
        let VersionedReceiptEnum::PromiseResume(data) = timeout.versioned_receipt() else {
            panic!("{timeout:?}")
        };
        assert_eq!(data.data, None);
        chain.block(vec![]);
        chain.settle();
        assert!(chain.is_done(&hash));
    }
}

/// The block 200 above the yield sends the timeout at its end, and the timeout arrives in the next
/// block. A resume that is executed there before it still wins (`PromiseYieldStatus` in
/// `runtime/runtime/src/{ext,lib}.rs`).
#[test]
fn a_resume_races_the_timeout_and_wins_until_it_has_arrived() {
    for (blocks, wins) in [(199, true), (200, true), (201, true), (202, false), (203, false)] {
        let mut chain = Chain::with_alice(84, 100);
        chain.create("y.test.near", Balance::from_near(10), Some(contract("yield")));
        let alice = id("alice.test.near");
        let calls = vec![call("y_ret", b"")];
        let asked = chain.sign(&alice, "alice.test.near", &id("y.test.near"), calls, 1);
        let asked_hash = asked.get_hash();
        chain.block(vec![asked]);
        chain.block(vec![]);
        let made = chain.height;
        // The block before takes the transaction, and the receipt is executed `blocks` above the
        // yield.
        while chain.height + 2 < made + blocks {
            chain.block(vec![]);
        }
        let calls = vec![call("r", b"payload")];
        let resume = chain.sign(&alice, "alice.test.near", &id("y.test.near"), calls, 1);
        let resume_hash = resume.get_hash();
        chain.block(vec![resume]);
        chain.block(vec![]);
        assert_eq!(chain.height, made + blocks);
        chain.settle();
        assert_eq!(chain.value(&resume_hash), if wins { b"1" } else { b"0" }, "{blocks}");
        // The callback returns the payload, or another value after a timeout.
        let value = chain.value(&asked_hash);
        assert_eq!(value == b"payload", wins, "{blocks}: {value:?}");
        let yielded = chain.receipt_outcome(&asked_hash).receipt_ids[0];
        let ran = chain.outcomes[&yielded].1;
        assert_eq!(ran, made + blocks.min(200) + 1 + u64::from(blocks == 201), "{blocks}");
    }
}

//! Receipts that are delayed because their block is full.

use near_primitives::types::{Balance, Gas};

use super::{
    chain::{Chain, call, id},
    scenario::contract,
};

#[test]
fn receipts_that_find_the_block_full_run_later_in_their_order() {
    let mut chain = Chain::with_alice(84, 100);
    chain.create("c.test.near", Balance::from_near(10), Some(contract("basic")));
    chain.gas_limit = Gas::from_teragas(3);
    let alice = id("alice.test.near");
    let txs: Vec<_> = (1..=12)
        .map(|n| {
            let calls = vec![call("hello", b"")];
            chain.sign(&alice, "alice.test.near", &id("c.test.near"), calls, n)
        })
        .collect();
    let hashes: Vec<_> = txs.iter().map(|tx| tx.get_hash()).collect();
    chain.block(txs);
    for _ in 0..30 {
        chain.block(vec![]);
    }
    let heights: Vec<u64> =
        hashes.iter().map(|tx| chain.outcomes[&chain.outcome(tx).receipt_ids[0]].1).collect();
    assert!(heights.is_sorted(), "{heights:?}");
    assert!(heights[11] > heights[0] + 1, "{heights:?}");
    assert_eq!(chain.state.iter_prefix(&[7]).count(), 1, "only the indices stay");
}

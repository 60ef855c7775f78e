//! Measures the speed of the runtime. Run it with `--ignored --nocapture`.

use std::time::Instant;

use near_primitives::types::Balance;

use super::{
    chain::{Chain, call, id, transfer},
    scenario::contract,
};

#[test]
#[ignore = "prints times"]
fn times() {
    let mut chain = Chain::new(88);
    chain.create("alice.test.near", Balance::from_near(100_000), None);
    chain.create("c.test.near", Balance::from_near(10), Some(contract("basic")));
    let alice = id("alice.test.near");
    for (what, receiver, action) in [
        ("transfers", "near", transfer(Balance::from_yoctonear(1))),
        ("calls", "c.test.near", call("write", b"x")),
    ] {
        let txs: Vec<_> = (1..=2000)
            .map(|n| chain.sign(&alice, "alice.test.near", &id(receiver), vec![action.clone()], n))
            .collect();
        let started = Instant::now();
        for tx in &txs {
            chain.check(tx).unwrap_or_default();
        }
        println!("2000 {what} checked in {:?}", started.elapsed());
        let started = Instant::now();
        for tx in txs {
            chain.block(vec![tx]);
            chain.state.root();
        }
        chain.settle();
        println!("2000 {what} in blocks of one in {:?}", started.elapsed());
    }
    let started = Instant::now();
    for _ in 0..10_000 {
        chain.block(vec![]);
    }
    println!("10000 empty blocks in {:?}", started.elapsed());
}

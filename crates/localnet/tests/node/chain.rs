//! The chain as users of the library see it: heights, epochs, finality, time, snapshots, seeds.

use std::time::{Duration, Instant};

use near_crypto::{InMemorySigner, KeyFile, Signer};
use near_primitives::{
    action::{Action, StakeAction},
    hash::CryptoHash,
    transaction::SignedTransaction,
    types::{Balance, StateChangeCause},
};
use outlayer_localnet::{Config, Handle, node::BlockProduction, spawn};

use crate::{PATIENCE, manual};

fn root(handle: &Handle) -> Signer {
    let file = KeyFile::from_file(&handle.home().join("validator_key.json")).unwrap();
    InMemorySigner::from_secret_key(file.account_id, file.secret_key)
}

fn transfer(handle: &Handle, nonce: u64) -> CryptoHash {
    let signer = root(handle);
    let tx = SignedTransaction::send_money(
        nonce,
        signer.get_account_id(),
        "near".parse().unwrap(),
        &signer,
        Balance::from_yoctonear(1),
        *handle.node().chain().head().hash(),
    );
    handle.node().submit(tx).unwrap()
}

fn heights(handle: &Handle, from: u64) -> Vec<u64> {
    let chain = handle.node().chain();
    (from..=chain.head().height()).filter(|height| chain.history().at(*height).is_some()).collect()
}

/// The blocks are those that a real node produced from height 5 by 250 heights, with epochs of 60.
#[test]
fn a_jump_never_leaves_out_the_end_of_an_epoch() {
    let handle = spawn(manual()).unwrap();
    handle.produce_blocks(5).unwrap();
    assert_eq!(handle.fast_forward(250).unwrap(), 256);
    let expected: Vec<u64> =
        [58..=61, 118..=121, 178..=181, 238..=241].into_iter().flatten().collect();
    assert_eq!(heights(&handle, 6), [expected, vec![256]].concat());
}

#[test]
fn a_jump_of_nothing_makes_one_block_and_the_time_of_what_is_left_out_passes() {
    let handle = spawn(Config { seed: Some("clock".to_owned()), ..manual() }).unwrap();
    handle.produce_blocks(3).unwrap();
    assert_eq!(handle.fast_forward(0).unwrap(), 4);
    let before = handle.node().chain().head().raw_timestamp();
    assert_eq!(handle.fast_forward(20).unwrap(), 25);
    let passed = handle.node().chain().head().raw_timestamp() - before;
    // The time of the last block is the fixed one of a chain with a seed.
    assert_eq!(passed, 20 * 310_000_000 + 600_000_000);
}

/// The thread that makes blocks waits while the chain jumps, and adds none at once.
#[test]
fn a_block_that_somebody_else_has_made_is_not_made_again() {
    let handle = spawn(manual()).unwrap();
    let before = handle.node().chain().head().height();
    let after = handle.fast_forward(10).unwrap();
    assert_eq!(handle.node().produce_block_above(before).unwrap(), None);
    assert_eq!(handle.node().chain().head().height(), after);
    assert_eq!(handle.node().produce_block_above(after).unwrap(), Some(after + 1));
}

#[test]
fn a_jump_over_ten_thousand_heights_makes_the_blocks_at_the_ends_of_epochs_alone() {
    let handle = spawn(manual()).unwrap();
    handle.fast_forward(10_000).unwrap();
    assert_eq!(handle.height(), 10_001);
    let made = heights(&handle, 1).len();
    assert!(made <= 4 * 10_000 / 60 + 1, "{made} blocks");
}

#[test]
fn every_block_refers_to_the_one_below_and_its_hash_covers_its_content() {
    let handle = spawn(manual()).unwrap();
    transfer(&handle, 1);
    handle.produce_blocks(130).unwrap();
    let chain = handle.node().chain();
    let history = chain.history();
    for height in 1..=130 {
        let header = &history.at(height).unwrap().header;
        let below = &history.at(height - 1).unwrap().header;
        assert_eq!(header.prev_hash(), below.hash());
        assert_eq!(header.prev_height(), Some(height - 1));
        assert_eq!(header.block_ordinal(), below.block_ordinal() + 1);
        assert!(header.raw_timestamp() > below.raw_timestamp());
        let computed = near_primitives::block_header::BlockHeader::compute_hash(
            *header.prev_hash(),
            &header.inner_lite_bytes(),
            &header.inner_rest_bytes(),
        );
        assert_eq!(*header.hash(), computed);
        assert!(header.signature().verify(header.hash().as_ref(), &chain.signer().public_key()));
        let last_final = if height >= 2 {
            *history.at(height - 2).unwrap().header.hash()
        } else {
            CryptoHash::default()
        };
        assert_eq!(*header.last_final_block(), last_final, "final below {height}");
    }
    assert_eq!(chain.final_height(), 128);
    // Epochs start at 1, 61 and 121.
    let epoch = |height| *history.at(height).unwrap().header.epoch_id();
    assert_eq!((epoch(1), epoch(61)), (epoch(60), epoch(120)));
    assert!(epoch(60) != epoch(61) && epoch(120) != epoch(121));
    assert_eq!(epoch(61).0, history.genesis().hash());
    assert_eq!(epoch(121).0, history.at(60).unwrap().hash());
}

#[test]
fn tokens_are_neither_made_nor_lost() {
    let handle = spawn(manual()).unwrap();
    let total = |handle: &Handle| -> u128 {
        let state = handle.node().chain().state();
        ["test.near", "near", "sandbox", "clone", "registrar"]
            .iter()
            .filter_map(|id| state.account(&id.parse().unwrap()))
            .map(|account| account.amount().as_yoctonear() + account.locked().as_yoctonear())
            .sum()
    };
    let before = total(&handle);
    assert_eq!(before, handle.node().chain().config().total_supply.as_yoctonear());
    for nonce in 1..=5 {
        transfer(&handle, nonce);
        handle.settle().unwrap();
        handle.produce_block().unwrap();
        let supply = handle.node().chain().head().total_supply().as_yoctonear();
        assert_eq!(total(&handle), supply);
        assert!(supply < before);
    }
    // New tokens are minted at the end of an epoch, and some account has every one of them.
    let burnt = before - total(&handle);
    handle.fast_forward(200).unwrap();
    let supply = handle.node().chain().head().total_supply().as_yoctonear();
    assert_eq!(total(&handle), supply);
    assert!(supply > before - burnt);
}

#[test]
fn a_snapshot_brings_the_chain_back() {
    let handle = spawn(manual()).unwrap();
    handle.produce_blocks(5).unwrap();
    let snapshot = handle.snapshot();
    let hash = transfer(&handle, 1);
    handle.settle().unwrap();
    assert!(handle.node().transaction_status(&hash).is_some());
    handle.restore(snapshot);
    assert_eq!(handle.height(), 5);
    assert!(handle.node().transaction_status(&hash).is_none());
    handle.node().submit(root_transfer_again(&handle)).unwrap();
    handle.settle().unwrap();
}

fn root_transfer_again(handle: &Handle) -> SignedTransaction {
    let signer = root(handle);
    SignedTransaction::send_money(
        1,
        signer.get_account_id(),
        "near".parse().unwrap(),
        &signer,
        Balance::from_yoctonear(2),
        *handle.node().chain().head().hash(),
    )
}

#[test]
fn the_past_is_a_window_and_the_genesis_stays() {
    let handle = spawn(Config { window: 50, ..manual() }).unwrap();
    let hash = transfer(&handle, 1);
    handle.produce_blocks(49).unwrap();
    assert!(handle.node().transaction_status(&hash).is_some());
    handle.produce_blocks(151).unwrap();
    let chain = handle.node().chain();
    assert!(chain.history().at(150).is_none() && chain.history().state(150).is_none());
    assert!(chain.history().at(151).is_some() && chain.history().state(151).is_some());
    assert!(chain.history().at(0).is_some() && chain.history().state(0).is_some());
    assert!(chain.transaction_status(&hash).is_none());
    assert_eq!(chain.history().earliest().height(), 151);
}

#[test]
fn a_seed_repeats_a_run_to_the_last_hash() {
    let run = || {
        let handle = spawn(Config { seed: Some("seven".to_owned()), ..manual() }).unwrap();
        for nonce in 1..=3 {
            transfer(&handle, nonce);
            handle.settle().unwrap();
        }
        handle.fast_forward(100).unwrap();
        *handle.node().chain().head().hash()
    };
    assert_eq!(run(), run());
}

#[test]
fn time_is_moved_by_hand() {
    let handle = spawn(Config { seed: Some("clock".to_owned()), ..manual() }).unwrap();
    handle.produce_block().unwrap();
    let before = handle.node().chain().head().raw_timestamp();
    handle.advance_time(Duration::from_secs(3600));
    handle.produce_block().unwrap();
    let passed = handle.node().chain().head().raw_timestamp() - before;
    assert_eq!(passed, 3_600_600_000_000);
}

#[test]
fn an_idle_chain_has_a_heartbeat_and_a_timer_ticks() {
    for production in [
        BlockProduction::Instant { heartbeat: Some(Duration::from_millis(5)) },
        BlockProduction::Timer(Duration::from_millis(5)),
    ] {
        let handle = spawn(Config { production, ..manual() }).unwrap();
        let started = Instant::now();
        while handle.height() < 10 {
            assert!(started.elapsed() < PATIENCE, "{production:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_timer_that_is_set_anew_is_not_waited_for() {
    let production = BlockProduction::Timer(Duration::from_secs(3600));
    let handle = spawn(Config { production, ..manual() }).unwrap();
    handle.set_block_time(Duration::from_millis(5));
    let started = Instant::now();
    while handle.height() < 3 {
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn without_a_heartbeat_blocks_come_with_work_until_it_is_final() {
    let production = BlockProduction::Instant { heartbeat: None };
    let handle = spawn(Config { production, ..manual() }).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(handle.height(), 0);
    transfer(&handle, 1);
    let started = Instant::now();
    // The chunk of block 1 is already fixed. So the transaction is in block 2, its receipt in 3 and
    // the gas refund in 4, which is final with 6.
    while handle.height() < 6 {
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(handle.height(), 6);
}

#[test]
fn a_transaction_expires_a_hundred_blocks_above_the_block_it_names() {
    let handle = spawn(manual()).unwrap();
    handle.produce_block().unwrap();
    let signer = root(&handle);
    let old = *handle.node().chain().history().at(1).unwrap().header.hash();
    let tx = SignedTransaction::send_money(
        1,
        signer.get_account_id(),
        "near".parse().unwrap(),
        &signer,
        Balance::from_yoctonear(1),
        old,
    );
    // The transaction is still valid at the hundredth block above the one it refers to. There it
    // waits, and the chain skips past its validity period.
    handle.fast_forward(99).unwrap();
    assert_eq!(handle.height(), 101);
    let hash = handle.node().submit(tx.clone()).unwrap();
    let snapshot = handle.snapshot();
    handle.produce_block().unwrap();
    assert!(handle.node().transaction_status(&hash).is_some());
    handle.restore(snapshot);
    handle.fast_forward(5).unwrap();
    assert!(handle.node().transaction_status(&hash).is_some(), "it was in the first block");
    let other = SignedTransaction::send_money(
        2,
        signer.get_account_id(),
        "near".parse().unwrap(),
        &signer,
        Balance::from_yoctonear(1),
        old,
    );
    let error = handle.node().submit(other).unwrap_err();
    assert_eq!(error, near_primitives::errors::InvalidTxError::Expired);
}

/// A stake that wins no seat is returned with the first block of the next epoch, and the changes of
/// that block have the right cause (`update_validator_accounts` in `runtime/runtime/src/lib.rs`).
#[test]
fn a_stake_without_a_seat_comes_back_with_the_epoch() {
    let handle = spawn(manual()).unwrap();
    let account_id = "near".parse().unwrap();
    let file = KeyFile::from_file(&handle.home().join("validator_key.json")).unwrap();
    // In the genesis, `near` has the same key as the validator.
    let signer = InMemorySigner::from_secret_key(account_id, file.secret_key);
    let stake = |nonce, near| {
        let tx = SignedTransaction::from_actions(
            nonce,
            signer.get_account_id(),
            signer.get_account_id(),
            &signer,
            vec![Action::Stake(Box::new(StakeAction {
                stake: Balance::from_near(near),
                public_key: signer.public_key(),
            }))],
            *handle.node().chain().head().hash(),
        );
        let hash = handle.node().submit(tx).unwrap();
        handle.produce_blocks(2).unwrap();
        handle.node().transaction_status(&hash).unwrap().outcome.status
    };
    let locked =
        || handle.node().chain().state().account(&signer.get_account_id()).unwrap().locked();
    let failed = format!("{:?}", stake(1, 800));
    assert!(failed.contains("InsufficientStake"), "{failed}");
    assert!(failed.contains("800128020483277324371899504"), "{failed}");
    // This is enough for an offer, but not for a seat, which costs 8,001 NEAR.
    let taken = format!("{:?}", stake(2, 5_000));
    assert!(taken.contains("SuccessValue"), "{taken}");
    assert_eq!(locked(), Balance::from_near(5_000));
    handle.fast_forward(60).unwrap();
    assert_eq!(locked(), Balance::ZERO);
    let chain = handle.node().chain();
    let caused = chain.history().at_or_below(chain.head().height()).height();
    let settled = (1..=caused).filter_map(|height| chain.history().at(height)).any(|block| {
        block
            .changes
            .iter()
            .flat_map(|key| &key.changes)
            .any(|change| matches!(change.cause, StateChangeCause::ValidatorAccountsUpdate))
    });
    assert!(settled);
}

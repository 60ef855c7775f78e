//! Blocks on top of states that no chain can reach by itself, and chains that are busy.

use std::time::{Duration, Instant};

use near_primitives::{
    account::{Account, AccountContract},
    state_record::StateRecord,
    types::Balance,
    views::FinalExecutionStatus,
};
use outlayer_localnet::{Config, Handle, node::BlockProduction, spawn};

use crate::{PATIENCE, balance, manual, root, send, send_to, transfer};

const NEAR: u128 = 1_000_000_000_000_000_000_000_000;

/// The largest balance that an account can have. nearcore's encoding uses the next number as a
/// marker.
const FULL: u128 = u128::MAX - 1;

fn account(id: &str, amount: u128, locked: u128) -> StateRecord {
    StateRecord::Account {
        account_id: id.parse().unwrap(),
        account: Account::new(
            Balance::from_yoctonear(amount),
            Balance::from_yoctonear(locked),
            AccountContract::None,
            182,
        ),
    }
}

fn patch(handle: &Handle, amount: u128, locked: u128) -> Result<u64, String> {
    let records = vec![account("near", amount, locked)];
    let patched = handle.node().patch_state(records);
    patched.map_err(|error| error.to_string())
}

#[test]
fn a_transfer_to_a_full_balance_fails_and_comes_back() {
    let handle = spawn(manual()).unwrap();
    handle.produce_block().unwrap();
    let sender = root(handle.home()).get_account_id();
    let before = balance(&handle, sender.as_str());
    patch(&handle, FULL, 0).unwrap();
    let hash = send(&handle, 1);
    handle.settle().unwrap();
    let outcome = handle.node().transaction_status(&hash).unwrap().outcome;
    let FinalExecutionStatus::Failure(error) = outcome.status else {
        panic!("{:?}", outcome.status);
    };
    let text = format!("{error:?}");
    assert!(
        text.contains("localnet cannot execute this: an amount overflowed while adding tokens"),
        "{text}"
    );
    assert_eq!(balance(&handle, "near"), FULL);
    let cost = before - balance(&handle, sender.as_str());
    assert!(cost < NEAR / 100, "the deposit came back: {cost} are gone");
    // The chain goes on as if nothing had happened.
    let other = send_to(&handle, "registrar", 2);
    handle.settle().unwrap();
    let outcome = handle.node().transaction_status(&other).unwrap().outcome;
    assert!(matches!(outcome.status, FinalExecutionStatus::SuccessValue(_)));
    assert!(handle.node().fault().is_none());
}

#[test]
fn a_node_that_makes_its_own_blocks_survives_a_full_balance() {
    let handle = spawn(Config {
        production: BlockProduction::Instant { heartbeat: Some(Duration::from_millis(5)) },
        ..manual()
    })
    .unwrap();
    patch(&handle, FULL, 0).unwrap();
    let hash = send(&handle, 1);
    let started = Instant::now();
    loop {
        let status = handle.node().transaction_status(&hash);
        let failed =
            |status: FinalExecutionStatus| matches!(status, FinalExecutionStatus::Failure(_));
        if status.is_some_and(|status| failed(status.outcome.status)) {
            break;
        }
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(2));
    }
    let height = handle.height();
    while handle.height() < height + 5 {
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A slow client's transaction must not expire just because other clients keep the chain busy.
/// Heights that are skipped, as by a fast-forward, count towards its expiry all the same.
#[test]
fn instant_blocks_do_not_outrun_a_client() {
    let handle = spawn(Config {
        production: BlockProduction::Instant { heartbeat: Some(Duration::from_millis(1)) },
        ..manual()
    })
    .unwrap();
    let sign = |nonce| {
        let head = *handle.node().chain().head().hash();
        transfer(handle.home(), "near", nonce, head)
    };
    let (early, late) = (sign(1), sign(2));
    let started = Instant::now();
    while handle.height() < 250 {
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
    handle.node().submit(early).unwrap();
    handle.fast_forward(200).unwrap();
    let error = handle.node().submit(late).unwrap_err();
    assert_eq!(error, near_primitives::errors::InvalidTxError::Expired);
}

#[test]
fn a_balance_and_a_stake_that_do_not_add_up_are_refused() {
    let handle = spawn(manual()).unwrap();
    handle.produce_block().unwrap();
    let error = patch(&handle, FULL, 2).unwrap_err();
    assert!(error.contains("the sum is above 2^128 - 1"), "{error}");
    let error = patch(&handle, u128::MAX, 0).unwrap_err();
    assert!(error.contains("as a mark"), "{error}");
    assert_eq!(handle.height(), 1, "no block was made");
    assert_eq!(balance(&handle, "near"), 1_000_000_000 * NEAR);
}

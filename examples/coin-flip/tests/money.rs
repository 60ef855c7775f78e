//! Where every yoctoNEAR of a flip goes, however it ends.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use example_coin_flip::{Coin, CoinFlip, Flip};
use near_sdk::{
    AccountId, NearToken, PromiseResult, RuntimeFeesConfig,
    mock::MockAction,
    test_utils::{VMContextBuilder, get_created_receipts},
    test_vm_config, testing_env,
};
use outlayer_interface::{
    Hash32, Outcome, ResponseFormat, Settlement,
    protocol::{Meter, RefusalCode},
};
use outlayer_testkit::unit;

const STAKE: NearToken = NearToken::from_near(2);
const PRIZE: NearToken = NearToken::from_near(4);
const DEPOSIT: NearToken = NearToken::from_millinear(150);
const FEE: NearToken = NearToken::from_millinear(10);
/// What the house has before the flip.
const BANK: NearToken = NearToken::from_near(5);
const ZERO: NearToken = NearToken::ZERO;

fn id(name: &str) -> AccountId {
    name.parse().unwrap()
}

/// The house, which has `balance`, is called by `by` with `attached` on top.
fn enter(by: &str, balance: NearToken, attached: NearToken, results: Vec<PromiseResult>) {
    let context = VMContextBuilder::new()
        .current_account_id(id("house.near"))
        .predecessor_account_id(id(by))
        .account_balance(balance)
        .attached_deposit(attached)
        .storage_usage(10_000)
        .build();
    let (config, fees) = (test_vm_config(), RuntimeFeesConfig::test());
    testing_env!(context, config, fees, HashMap::default(), results);
}

/// What the house has sent to the player. It sends nothing to anybody else.
fn sent() -> NearToken {
    get_created_receipts().iter().fold(ZERO, |sum, receipt| {
        let [MockAction::Transfer { deposit, .. }] = &receipt.actions[..] else {
            panic!("{receipt:?}")
        };
        assert_eq!(receipt.receiver_id, id("player.near"));
        sum.saturating_add(*deposit)
    })
}

fn flip(house: &mut CoinFlip) {
    enter("player.near", BANK, STAKE.saturating_add(DEPOSIT), Vec::new());
    house.flip(Coin::Heads, STAKE);
}

/// A flip on heads that ended like this, and what the house sent.
fn ended(house: &mut CoinFlip, result: PromiseResult) -> (Flip, NearToken) {
    flip(house);
    let balance = BANK.saturating_add(STAKE);
    enter("house.near", balance, ZERO, vec![result]);
    let flip = house.on_coin(id("player.near"), Coin::Heads, STAKE, DEPOSIT);
    (flip, sent())
}

fn house() -> CoinFlip {
    enter("house.near", BANK, ZERO, Vec::new());
    CoinFlip::new(id("outlayer.near"), Hash32([7; 32]))
}

/// A settlement with a fee, or with none where nobody was paid.
fn settled(outcome: Outcome, fee: NearToken) -> Settlement {
    let refund = DEPOSIT.saturating_sub(fee);
    Settlement { outcome, fee, refund, ..Settlement::gone(7, Meter::Fuel) }
}

fn drawn(coin: &str) -> Outcome {
    Outcome::Completed { output: format!(r#"{{"coin":"{coin}"}}"#).as_str().into() }
}

/// Whether the house would bet `stake` now.
fn would_bet(house: &mut CoinFlip, balance: NearToken, stake: NearToken) -> bool {
    enter("player.near", balance, stake.saturating_add(DEPOSIT), Vec::new());
    let bet = || house.flip(Coin::Tails, stake);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(bet)).is_ok()
}

#[test]
fn the_stake_stays_with_the_house_and_the_rest_goes_to_outlayer_for_the_player() {
    let mut house = house();
    flip(&mut house);
    let requests = unit::requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].receiver_id, "outlayer.near");
    assert_eq!(requests[0].deposit, DEPOSIT);
    assert_eq!(requests[0].request["refund_to"], "player.near");
    assert_eq!(requests[0].request["on_refusal"], "return");
}

#[test]
fn every_yocto_of_a_flip_is_accounted_for() {
    let reason = "paused".to_owned();
    let refused = Settlement::refused(RefusalCode::Paused, reason, Meter::Fuel, DEPOSIT);
    // How the flip ends, what the house pays, and what the player has lost in the end.
    for (settlement, paid, lost) in [
        (settled(drawn("heads"), FEE), PRIZE, None),
        (settled(drawn("tails"), FEE), ZERO, Some(STAKE.saturating_add(FEE))),
        (settled(Outcome::OutOfFuel, FEE), ZERO, Some(STAKE.saturating_add(FEE))),
        (settled(Outcome::TimedOut, ZERO), ZERO, Some(STAKE)),
        (settled(Outcome::Cancelled, ZERO), ZERO, Some(STAKE)),
        (settled(Outcome::Cancelled, FEE), ZERO, Some(STAKE.saturating_add(FEE))),
        (settled(Outcome::Disputed { digests: Vec::new() }, ZERO), ZERO, Some(STAKE)),
        (refused, STAKE, Some(ZERO)),
    ] {
        let mut house = house();
        let (flip, sent) = ended(&mut house, unit::settled(&settlement, ResponseFormat::Json));
        assert_eq!((flip.paid, sent), (paid, paid), "{settlement:?}");
        assert_eq!(flip.refund, settlement.refund);
        assert_eq!(flip.won, paid == PRIZE);
        let attached = STAKE.saturating_add(DEPOSIT);
        let back = paid.saturating_add(settlement.refund);
        match lost {
            Some(lost) => assert_eq!(attached.checked_sub(back), Some(lost), "{settlement:?}"),
            // The player has won the stake, less the fee.
            None => assert_eq!(back.checked_sub(attached), STAKE.checked_sub(FEE)),
        }
        assert_eq!(house.set_aside(id("player.near")), ZERO);
        // Nothing is at risk any more: the house bets everything that it has.
        let left = BANK.saturating_add(STAKE).saturating_sub(paid);
        let stake = left.saturating_sub(NearToken::from_millinear(200));
        assert!(would_bet(&mut house, left, stake), "{settlement:?}");
    }
}

/// Only one of the two ways in which a call fails brings the deposit to the house. If the house
/// paid the player now, it would pay a second time whenever OutLayer returns the deposit to the
/// player.
#[test]
fn after_a_failed_call_the_house_pays_once_and_only_what_somebody_decides() {
    let all = STAKE.saturating_add(DEPOSIT);
    let failed: fn() -> _ = || PromiseResult::Failed;
    let foreign: fn() -> _ = || PromiseResult::Successful(b"17".to_vec());
    for (result, due) in [(failed, all), (foreign, STAKE)] {
        for amount in [due, STAKE, ZERO] {
            let mut house = house();
            let (flip, sent) = ended(&mut house, result());
            assert_eq!((flip.won, flip.paid, sent), (false, ZERO, ZERO), "{}", flip.shown);
            assert_eq!(house.set_aside(id("player.near")), due);
            // What is set aside is not bet.
            let balance = BANK.saturating_add(STAKE);
            let most = balance.saturating_sub(due).saturating_sub(DEPOSIT);
            assert!(!would_bet(&mut house, balance, most.saturating_add(DEPOSIT)));

            enter("house.near", balance, ZERO, Vec::new());
            house.decide(id("player.near"), amount);
            assert_eq!((self::sent(), house.set_aside(id("player.near"))), (amount, ZERO));
            enter("house.near", balance, ZERO, Vec::new());
            let again = || house.decide(id("player.near"), NearToken::from_yoctonear(1));
            let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(again));
            assert!(again.is_err(), "what is decided is paid once");
        }
    }
}

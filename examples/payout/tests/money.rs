//! Where every yoctoNEAR of a pot goes, whatever is planned.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use example_payout::{Paid, Payout};
use near_sdk::{
    AccountId, NearToken, PromiseResult, RuntimeFeesConfig,
    mock::MockAction,
    test_utils::{VMContextBuilder, get_created_receipts},
    test_vm_config, testing_env,
};
use outlayer_interface::{
    Hash32, Outcome, Plan, ResponseFormat, Settlement,
    protocol::{
        Meter,
        plan::{Action, Promise},
    },
};
use outlayer_testkit::unit;

const POT: NearToken = NearToken::from_millinear(1_000);
const ZERO: NearToken = NearToken::ZERO;

fn id(name: &str) -> AccountId {
    name.parse().unwrap()
}

fn milli(amount: u128) -> NearToken {
    NearToken::from_millinear(amount)
}

fn enter(by: &str, results: Vec<PromiseResult>) {
    let context = VMContextBuilder::new()
        .current_account_id(id("payout.near"))
        .predecessor_account_id(id(by))
        .account_balance(NearToken::from_near(5))
        .storage_usage(10_000)
        .build();
    let (config, fees) = (test_vm_config(), RuntimeFeesConfig::test());
    testing_env!(context, config, fees, HashMap::default(), results);
}

/// What the contract has sent to each account.
fn sent() -> Vec<(String, NearToken)> {
    let receipts = get_created_receipts();
    let transfers = receipts.iter().flat_map(|receipt| {
        let to = receipt.receiver_id.to_string();
        receipt.actions.iter().filter_map(move |action| match action {
            MockAction::Transfer { deposit, .. } => Some((to.clone(), *deposit)),
            _ => None,
        })
    });
    transfers.collect()
}

fn payout() -> Payout {
    enter("payout.near", Vec::new());
    let members = vec![(id("alice.near"), 2), (id("bob.near"), 1)];
    Payout::new(id("outlayer.near"), Hash32([7; 32]), members)
}

fn ended(result: PromiseResult) -> (Paid, Vec<(String, NearToken)>) {
    let mut payout = payout();
    enter("payout.near", vec![result]);
    let paid = payout.on_plan(id("payer.near"), POT);
    (paid, sent())
}

fn planned(parts: &[(&str, NearToken)]) -> PromiseResult {
    let promise = |(to, deposit): &(&str, NearToken)| Promise {
        receiver: id(to),
        after: Vec::new(),
        actions: vec![Action::Transfer { deposit: *deposit }],
    };
    let plan = Plan { promises: parts.iter().map(promise).collect(), returns: None };
    let outcome = Outcome::Planned { output: "".into(), plan: plan.encode() };
    let settlement = Settlement { outcome, ..Settlement::gone(7, Meter::Fuel) };
    unit::settled(&settlement, ResponseFormat::Json)
}

#[test]
fn members_are_paid_and_the_rest_goes_back() {
    let (paid, sent) = ended(planned(&[("alice.near", milli(600)), ("bob.near", milli(300))]));
    assert_eq!(paid, Paid { paid: milli(900), returned: milli(100), refused: None });
    let expected = [("alice.near", 600), ("bob.near", 300), ("payer.near", 100)];
    assert_eq!(sent, expected.map(|(to, amount)| (to.to_owned(), milli(amount))));
}

#[test]
fn a_plan_beyond_the_bounds_pays_nobody_and_the_pot_goes_back() {
    for parts in [
        &[("alice.near", milli(600)), ("bob.near", milli(401))][..],
        &[("mallory.near", milli(1))],
        &[("payout.near", milli(1))],
        &[("alice.near", milli(1)), ("bob.near", milli(1)), ("alice.near", milli(1))],
    ] {
        let (paid, sent) = ended(planned(parts));
        assert!(paid.refused.is_some(), "{paid:?}");
        assert_eq!((paid.paid, paid.returned), (ZERO, POT));
        assert_eq!(sent, [("payer.near".to_owned(), POT)]);
    }
}

#[test]
fn the_pot_goes_back_however_the_request_ends() {
    for (ending, result) in unit::endings("x", ResponseFormat::Json) {
        let (paid, sent) = ended(result);
        let one = NearToken::from_yoctonear(1);
        // The plan of the test kit pays alice a yoctoNEAR.
        let expected = if ending == "planned" { one } else { ZERO };
        assert_eq!((paid.paid, paid.paid.saturating_add(paid.returned)), (expected, POT));
        let all = sent.iter().fold(ZERO, |sum, (_, amount)| sum.saturating_add(*amount));
        assert_eq!(all, POT, "{ending}: {sent:?}");
    }
}

#[test]
fn a_part_that_does_not_arrive_goes_back() {
    let mut payout = payout();
    let arrived = PromiseResult::Successful(Vec::new());
    enter("payout.near", vec![arrived, PromiseResult::Failed]);
    payout.on_paid(id("payer.near"), vec![milli(600), milli(300)]);
    assert_eq!(sent(), [("payer.near".to_owned(), milli(300))]);
}

//! Where the money goes: all that is attached goes to OutLayer for the user, and the callback moves
//! none, however the request ended.

#![allow(clippy::unwrap_used)]

use example_batch::Batch;
use near_sdk::{NearToken, mock::MockAction};
use outlayer_interface::{Hash32, ResponseFormat};
use outlayer_testkit::unit;

const DEPOSIT: NearToken = NearToken::from_near(1);

fn dapp() -> Batch {
    Batch::new("outlayer.near".parse().unwrap())
}

#[test]
fn what_comes_back_goes_to_the_user_also_after_a_refusal() {
    unit::call_from("user.near", DEPOSIT);
    dapp().ask_all(Hash32([7; 32]), ["a", "b", "c"].map(str::to_owned).to_vec());
    let requests = unit::requests();
    assert_eq!(requests.len(), 3);
    for one in &requests {
        assert_eq!(one.receiver_id, "outlayer.near");
        assert_eq!(one.request["refund_to"], "user.near");
        assert_eq!(one.request["on_refusal"], "return");
        assert_eq!(one.request["cancel_by"], "payer");
    }
    let each = DEPOSIT.saturating_div(3);
    assert!(requests.iter().all(|one| one.deposit == each));
    // What does not divide by three goes straight back.
    let receipts = unit::receipts();
    let transfers = receipts.iter().filter_map(|receipt| match &receipt.actions[..] {
        [MockAction::Transfer { deposit, .. }] => Some((receipt.receiver_id.as_str(), *deposit)),
        _ => None,
    });
    let rest = NearToken::from_yoctonear(1);
    assert_eq!(transfers.collect::<Vec<_>>(), [("user.near", rest)]);
}

#[test]
fn the_callback_says_what_happened_and_moves_no_money() {
    for (ending, result) in unit::endings("hello", ResponseFormat::Borsh) {
        unit::callback_with(vec![result]);
        let said = dapp().on_answers(1).remove(0);
        let expected = if ending == "completed" { "hello" } else { ending };
        assert!(said.contains(expected), "{said}, expected {expected}");
        assert!(unit::receipts().is_empty());
    }
}

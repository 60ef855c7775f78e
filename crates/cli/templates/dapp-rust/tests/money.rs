//! Where the money goes: all that is attached goes to OutLayer for the user, and the callback moves
//! none, however the request ended.

#![allow(clippy::unwrap_used)]

use {{crate}}::Ask;
use near_sdk::NearToken;
use outlayer_interface::{Hash32, ResponseFormat};
use outlayer_testkit::unit;

const DEPOSIT: NearToken = NearToken::from_near(1);

fn dapp() -> Ask {
    Ask::new("outlayer.near".parse().unwrap())
}

#[test]
fn what_comes_back_goes_to_the_user_also_after_a_refusal() {
    unit::call_from("user.near", DEPOSIT);
    dapp().ask(Hash32([7; 32]), "input".to_owned());
    let requests = unit::requests();
    assert_eq!(requests.len(), 1);
    for one in &requests {
        assert_eq!(one.receiver_id, "outlayer.near");
        assert_eq!(one.request["refund_to"], "user.near");
        assert_eq!(one.request["on_refusal"], "return");
        assert_eq!(one.request["cancel_by"], "payer");
    }
    assert_eq!(requests[0].deposit, DEPOSIT);
}

#[test]
fn the_callback_says_what_happened_and_moves_no_money() {
    for (ending, result) in unit::endings("hello", ResponseFormat::Json) {
        unit::callback_with(vec![result]);
        let said = dapp().on_answer();
        let expected = if ending == "completed" { "hello" } else { ending };
        assert!(said.contains(expected), "{said}, expected {expected}");
        assert!(unit::receipts().is_empty());
    }
}

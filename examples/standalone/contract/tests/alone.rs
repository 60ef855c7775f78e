//! The contract alone, without a node: what it asks for, and what its callback makes of each way in
//! which a request ends.

use factors::Factors;
use near_sdk::{NearToken, json_types::U64};
use outlayer_interface::{Hash32, ResponseFormat};
use outlayer_testkit::unit;

const NUMBER: U64 = U64(91);

fn contract() -> Factors {
    Factors::new("outlayer.near".parse().unwrap(), Hash32([7; 32]))
}

#[test]
fn what_the_request_does_not_need_goes_back_to_the_user() {
    let deposit = NearToken::from_near(1);
    unit::call_from("user.near", deposit);
    contract().factor(NUMBER);
    let requests = unit::requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].receiver_id, "outlayer.near");
    assert_eq!(requests[0].deposit, deposit);
    assert_eq!(requests[0].request["refund_to"], "user.near");
    assert_eq!(requests[0].request["on_refusal"], "return");
}

#[test]
fn the_callback_keeps_only_what_multiplies_to_the_number() {
    let mut contract = contract();
    for lie in ["7 11", "1 91", "", "18446744073709551615 2", "seven"] {
        for (name, result) in unit::endings(lie, ResponseFormat::Json) {
            unit::callback_with(vec![result]);
            let answer = contract.on_factors(NUMBER);
            let expected = if name == "completed" { format!("a lie: {lie}") } else { name.into() };
            assert!(answer.contains(&expected), "{answer}, expected {expected}");
            assert_eq!(contract.factors(NUMBER), None, "{name}: {answer}");
            assert!(unit::receipts().is_empty(), "{name}: the callback moves no money");
        }
    }
    let mut endings = unit::endings("7 13", ResponseFormat::Json).into_iter();
    let (_, completed) = endings.find(|(name, _)| *name == "completed").unwrap();
    unit::callback_with(vec![completed]);
    assert_eq!(contract.on_factors(NUMBER), "7 13");
    assert_eq!(contract.factors(NUMBER), Some(vec![U64(7), U64(13)]));
    assert!(unit::receipts().is_empty(), "the callback moves no money");
}

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
    for (output, said, kept) in [
        ("7 13", "7 13", Some(vec![U64(7), U64(13)])),
        ("7 11", "a lie: 7 11", None),
        ("1 91", "a lie: 1 91", None),
        ("", "a lie: ", None),
        ("18446744073709551615 2", "a lie: 18446744073709551615 2", None),
        ("seven", "a lie: seven", None),
    ] {
        for (name, result) in unit::endings(output, ResponseFormat::Json) {
            unit::callback_with(vec![result]);
            let mut contract = contract();
            let answer = contract.on_factors(NUMBER);
            if name == "completed" {
                assert_eq!((answer.as_str(), contract.factors(NUMBER)), (said, kept.clone()));
            } else {
                assert!(!answer.is_empty(), "{name}");
                assert_eq!(contract.factors(NUMBER), None, "{name}: {answer}");
            }
            assert!(unit::receipts().is_empty(), "{name}: the callback moves no money");
        }
    }
}

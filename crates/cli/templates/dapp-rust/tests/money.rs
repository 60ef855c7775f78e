//! Where the money goes: all that is attached goes to OutLayer for the user, and the callback moves
//! none, however the request ended.

#![allow(clippy::unwrap_used)]

use {{crate}}::Ask;
use near_sdk::{
    AccountId, NearToken, PromiseResult, RuntimeFeesConfig,
    mock::{MockAction, Receipt},
    serde_json::{self, Value},
    test_utils::{VMContextBuilder, get_created_receipts},
    test_vm_config, testing_env,
};
use outlayer_interface::{
    Hash32, Outcome, Settlement,
    protocol::{Meter, RefusalCode},
};

const DEPOSIT: NearToken = NearToken::from_near(1);

fn id(name: &str) -> AccountId {
    name.parse().unwrap()
}

fn dapp() -> Ask {
    Ask::new(id("outlayer.near"))
}

/// The requests among the receipts, each with its deposit.
fn requests(receipts: &[Receipt]) -> Vec<(Value, NearToken)> {
    let actions = receipts.iter().flat_map(|receipt| &receipt.actions);
    actions
        .filter_map(|action| match action {
            MockAction::FunctionCallWeight { method_name, args, attached_deposit, .. }
                if method_name == b"request_execution" =>
            {
                let args: Value = serde_json::from_slice(args).unwrap();
                Some((args["request"].clone(), *attached_deposit))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn what_comes_back_goes_to_the_user_also_after_a_refusal() {
    let context = VMContextBuilder::new()
        .predecessor_account_id(id("user.near"))
        .attached_deposit(DEPOSIT)
        .build();
    testing_env!(context);
    dapp().ask(Hash32([7; 32]), "input".to_owned());
    let receipts = get_created_receipts();
    let requests = requests(&receipts);
    assert_eq!(requests.len(), 1);
    for (request, _) in &requests {
        assert_eq!(request["refund_to"], "user.near");
        assert_eq!(request["on_refusal"], "return");
        assert_eq!(request["cancel_by"], "payer");
    }
    assert_eq!(requests[0].1, DEPOSIT);
}

#[test]
fn the_callback_says_what_happened_and_moves_no_money() {
    let settled = |outcome| {
        let settlement = Settlement { outcome, ..Settlement::gone(7, Meter::Fuel) };
        PromiseResult::Successful(encode(&settlement))
    };
    let refused =
        Settlement::refused(RefusalCode::Paused, "paused".to_owned(), Meter::Fuel, DEPOSIT);
    for (result, expected) in [
        (settled(Outcome::Completed { output: "hello".into() }), "hello"),
        (settled(Outcome::OutOfFuel), "out_of_fuel"),
        (settled(Outcome::TimedOut), "timed_out"),
        (settled(Outcome::Cancelled), "cancelled"),
        (settled(Outcome::Disputed { digests: Vec::new() }), "disputed"),
        (PromiseResult::Successful(encode(&refused)), "refused: paused"),
        (PromiseResult::Failed, "the call failed"),
    ] {
        testing_env!(
            VMContextBuilder::new().predecessor_account_id(id("alice.near")).build(),
            test_vm_config(),
            RuntimeFeesConfig::test(),
            std::collections::HashMap::default(),
            vec![result]
        );
        let said = dapp().on_answer();
        assert!(said.contains(expected), "{said}, expected {expected}");
        assert!(get_created_receipts().is_empty());
    }
}

fn encode(settlement: &Settlement) -> Vec<u8> {
    serde_json::to_vec(settlement).unwrap()
}

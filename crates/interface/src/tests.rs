//! Every call has the arguments that the contract's ABI describes.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use near_sdk::{
    AccountId, NearToken,
    mock::MockAction,
    test_utils::{VMContextBuilder, get_created_receipts},
    testing_env,
};
use outlayer_protocol::{OnRefusal, methods};
use serde_json::Value;

use crate::{Bytes, Call, CodeRef, Hash32, Outlayer, ext_outlayer, named, request_for};

const ABI: &str = include_str!("../../../contract/abi.json");
const ONE_YOCTO: NearToken = NearToken::from_yoctonear(1);
const DEPOSIT: NearToken = NearToken::from_near(2);

fn outlayer() -> AccountId {
    "outlayer.near".parse().unwrap()
}

/// Makes a call with an attached deposit, and checks it against the ABI. Gives its arguments.
fn check(method: &str, deposit: NearToken, call: impl FnOnce(Outlayer) -> Call) -> Value {
    testing_env!(VMContextBuilder::new().build());
    call(ext_outlayer::ext(outlayer()).with_attached_deposit(DEPOSIT)).detach();
    let receipts = get_created_receipts();
    let [receipt] = &receipts[..] else { panic!("{receipts:?}") };
    assert_eq!(receipt.receiver_id, outlayer());
    let [MockAction::FunctionCallWeight { method_name, args, attached_deposit, .. }] =
        &receipt.actions[..]
    else {
        panic!("{receipt:?}")
    };
    assert_eq!((&method_name[..], *attached_deposit), (method.as_bytes(), deposit));

    let abi: Value = serde_json::from_str(ABI).unwrap();
    let functions = abi["body"]["functions"].as_array().unwrap();
    let described = functions.iter().find(|one| one["name"] == method).unwrap();
    let names: BTreeSet<_> = described["params"]["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    let args: Value = serde_json::from_slice(args).unwrap();
    for name in args.as_object().unwrap().keys() {
        assert!(names.contains(name.as_str()), "{method} has no argument {name}");
    }
    args
}

#[test]
fn calls_have_the_arguments_that_the_contract_takes() {
    let me: AccountId = "dapp.near".parse().unwrap();
    let code = CodeRef { hash: Hash32([7; 32]), url: None };
    let request = request_for(me.clone(), code.clone(), "input");
    assert_eq!(request.refund_to.as_ref(), Some(&me));
    assert_eq!(request.on_refusal, OnRefusal::Return);
    let asked = check(methods::REQUEST_EXECUTION, DEPOSIT, |c| c.request_execution(&request));
    assert_eq!(asked["request"]["on_refusal"], "return");
    assert_eq!(asked["request"]["refund_to"], "dapp.near");
    check(methods::ESTIMATE_COST, DEPOSIT, |c| c.estimate_cost(&request));
    check(methods::ESTIMATE_GAS, DEPOSIT, |c| c.estimate_gas(&request));
    for (method, call) in [
        (methods::CANCEL_EXECUTION, Outlayer::cancel_execution as fn(Outlayer, u64) -> Call),
        (methods::GET_RESULT, Outlayer::get_result),
        (methods::REMOVE_RESULT, Outlayer::remove_result),
    ] {
        let args = check(method, DEPOSIT, |c| call(c, 7));
        assert_eq!(args["request_id"], 7);
    }

    let request = request_for(me.clone(), named("alice.near/median@3"), "input");
    let asked = check(methods::REQUEST_EXECUTION, DEPOSIT, |c| c.request_execution(&request));
    assert_eq!(asked["request"]["code"], serde_json::json!({ "name": "alice.near/median@3" }));
    check(methods::NAME_CODE, DEPOSIT, |c| c.name_code("median", &code));
    let retired =
        check(methods::RETIRE_NAMED_CODE, ONE_YOCTO, |c| c.retire_named_code("median", 3));
    assert_eq!((&retired["name"], &retired["version"]), (&"median".into(), &3.into()));
    check(methods::GET_NAMED_CODE, DEPOSIT, |c| c.get_named_code("alice.near/median"));

    check(methods::STORAGE_DEPOSIT, DEPOSIT, |c| c.storage_deposit(Some(&me)));
    check(methods::STORAGE_DEPOSIT, DEPOSIT, |c| c.storage_deposit(None));
    let set = check(methods::STORAGE_SET, DEPOSIT, |c| c.storage_set("k", "v"));
    assert_eq!((&set["key"], &set["value"]), (&"aw==".into(), &"dg==".into()));
    let entries = [(Bytes::from("k"), Bytes::from("v"))];
    let set = check(methods::STORAGE_SET_MANY, DEPOSIT, |c| c.storage_set_many(&entries));
    assert_eq!(set["entries"], serde_json::json!([["aw==", "dg=="]]));
    check(methods::STORAGE_REMOVE, DEPOSIT, |c| c.storage_remove("k"));
    check(methods::STORAGE_CLEAR, DEPOSIT, |c| c.storage_clear(7));
    check(methods::GET_CHANGE_FEE, DEPOSIT, |c| c.get_change_fee(&me));
    check(methods::STORAGE_WITHDRAW, ONE_YOCTO, |c| c.storage_withdraw(Some(DEPOSIT)));
    check(methods::STORAGE_UNREGISTER, ONE_YOCTO, |c| c.storage_unregister(true));
    check(methods::STORAGE_BALANCE_OF, DEPOSIT, |c| c.storage_balance_of(&me));
}

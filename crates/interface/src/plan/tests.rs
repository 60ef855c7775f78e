//! What is within the bounds becomes promises, and of everything else nothing does.

#![allow(clippy::unwrap_used)]

use near_sdk::{
    mock::{MockAction, Receipt},
    test_utils::{VMContextBuilder, get_created_receipts},
    testing_env,
};
use outlayer_protocol::Bytes;

use super::*;

const GAS: u64 = 5_000_000_000_000;

fn id(name: &str) -> AccountId {
    name.parse().unwrap()
}

fn yocto(amount: u128) -> NearToken {
    NearToken::from_yoctonear(amount)
}

fn call(method: &str, deposit: u128, gas: u64, weight: u64) -> Action {
    let (method, args) = (method.to_owned(), Bytes::from("{}"));
    Action::FunctionCall { method, args, deposit: yocto(deposit), gas, weight }
}

fn promise(receiver: &str, after: Vec<u32>, actions: Vec<Action>) -> Promise {
    Promise { receiver: id(receiver), after, actions }
}

/// Two are paid, and then the book is told twice.
fn plan() -> Plan {
    let pay = |amount| vec![Action::Transfer { deposit: yocto(amount) }];
    Plan {
        promises: vec![
            promise("alice.near", vec![], pay(7)),
            promise("bob.near", vec![], pay(8)),
            promise("book.near", vec![0, 1], vec![call("note", 1, GAS, 0), call("close", 0, 0, 1)]),
            promise("book.near", vec![2], vec![call("note", 0, GAS, 3)]),
        ],
        returns: Some(2),
    }
}

fn bounds() -> Bounds {
    Bounds::nothing()
        .transfers_to(id("alice.near"))
        .transfers_to(id("bob.near"))
        .calls_to(id("book.near"), &["note", "close"])
        .deposit(yocto(16))
        .gas(Gas::from_gas(2 * GAS + 8), Gas::from_gas(GAS))
        .promises(4)
}

fn enter(balance: NearToken, gas: Gas) {
    let context = VMContextBuilder::new()
        .account_balance(balance)
        .storage_usage(1_000)
        .prepaid_gas(gas)
        .build();
    testing_env!(context);
}

fn rich() {
    enter(NearToken::from_near(1), Gas::from_tgas(100));
}

fn carried_out(bounds: &Bounds, plan: &Plan) -> (Result<CarriedOut, PlanRefused>, Vec<Receipt>) {
    let carried = bounds.carry_out(&plan.encode());
    let receipts = get_created_receipts();
    assert_eq!(receipts.is_empty(), carried.is_err(), "{carried:?}");
    (carried, receipts)
}

fn refusal(bounds: &Bounds, plan: &Plan) -> PlanRefused {
    rich();
    carried_out(bounds, plan).0.unwrap_err()
}

#[test]
fn a_plan_within_the_bounds_becomes_this_contracts_own_promises() {
    rich();
    let (carried, receipts) = carried_out(&bounds(), &plan());
    let carried = carried.unwrap();
    assert_eq!(carried.plan(), &plan());
    assert!(carried.returned().is_some() && carried.all().is_some());
    let receivers: Vec<_> = receipts.iter().map(|receipt| receipt.receiver_id.as_str()).collect();
    assert_eq!(receivers, ["alice.near", "bob.near", "book.near", "book.near"]);
    for (receipt, amount) in receipts.iter().zip([7, 8]) {
        let [MockAction::Transfer { deposit, .. }] = &receipt.actions[..] else {
            panic!("{receipt:?}")
        };
        assert_eq!(*deposit, yocto(amount));
    }
    let calls: Vec<_> = receipts[2..]
        .iter()
        .flat_map(|receipt| &receipt.actions)
        .map(|action| match action {
            MockAction::FunctionCallWeight {
                method_name, attached_deposit, prepaid_gas, ..
            } => (
                String::from_utf8(method_name.clone()).unwrap(),
                attached_deposit.as_yoctonear(),
                prepaid_gas.as_gas(),
            ),
            other => panic!("{other:?}"),
        })
        .collect();
    // Of the 8 that are left each has its share, and none has more than a call may have.
    let expected = [("note", 1, GAS), ("close", 0, 2), ("note", 0, GAS)];
    assert_eq!(calls, expected.map(|(method, deposit, gas)| (method.to_owned(), deposit, gas)));
}

/// NEAR takes no receipt with such a call, and the whole callback would be undone.
#[test]
fn a_call_whose_share_is_no_gas_is_refused_with_the_plan() {
    let refused = PlanRefused::NoGas { promise: 2, method: "close".to_owned() };
    let none_left = bounds().gas(Gas::from_gas(2 * GAS), Gas::from_gas(GAS));
    assert_eq!(refusal(&none_left, &plan()), refused);
    let mut small = plan();
    small.promises[3].actions = vec![call("note", 0, GAS, u64::MAX - 1)];
    assert_eq!(refusal(&bounds(), &small), refused);
}

#[test]
fn a_weight_shares_in_what_the_bounds_leave_and_never_exceeds_those_of_a_call() {
    let shares = |gas| Shares { gas: Gas::from_gas(gas), weights: 4, per_call: Gas::from_gas(50) };
    assert_eq!(shares(40).of(5, 1), Gas::from_gas(15));
    assert_eq!(shares(40).of(0, 3), Gas::from_gas(30));
    assert_eq!(shares(40).of(30, 3), Gas::from_gas(50));
    assert_eq!(shares(u64::MAX).of(u64::MAX, 3), Gas::from_gas(50));
    let none = Shares { gas: Gas::from_gas(40), weights: 0, per_call: Gas::from_gas(50) };
    assert_eq!(none.of(7, 0), Gas::from_gas(7));
}

#[test]
fn what_is_a_little_outside_of_the_bounds_is_refused_as_a_whole() {
    let one_less = yocto(15);
    assert_eq!(
        refusal(&bounds().deposit(one_less), &plan()),
        PlanRefused::Deposit { found: yocto(16), most: one_less }
    );
    assert_eq!(
        refusal(&bounds().promises(3), &plan()),
        PlanRefused::Promises { found: 4, most: 3 }
    );
    let (all, less) = (Gas::from_gas(2 * GAS), Gas::from_gas(2 * GAS - 1));
    assert_eq!(
        refusal(&bounds().gas(less, Gas::from_gas(GAS)), &plan()),
        PlanRefused::Gas { found: all, most: less }
    );
    let (found, most) = (Gas::from_gas(GAS), Gas::from_gas(GAS - 1));
    assert_eq!(
        refusal(&bounds().gas(all, most), &plan()),
        PlanRefused::GasPerCall { promise: 2, method: "note".to_owned(), found, most }
    );
    let altered = |change: &dyn Fn(&mut Plan)| {
        let mut plan = plan();
        change(&mut plan);
        refusal(&bounds(), &plan)
    };
    assert_eq!(
        altered(&|plan| plan.promises[3].receiver = id("mallory.near")),
        PlanRefused::Receiver { promise: 3, found: id("mallory.near") }
    );
    assert_eq!(
        altered(&|plan| plan.promises[3].actions.push(call("steal", 0, 1, 0))),
        PlanRefused::Method { promise: 3, receiver: id("book.near"), method: "steal".to_owned() }
    );
    assert_eq!(
        altered(&|plan| plan.promises[0].actions.push(call("note", 0, 1, 0))),
        PlanRefused::Method { promise: 0, receiver: id("alice.near"), method: "note".to_owned() }
    );
    let pay = Action::Transfer { deposit: yocto(0) };
    assert_eq!(
        altered(&|plan| plan.promises[2].actions.push(pay.clone())),
        PlanRefused::Transfer { promise: 2, receiver: id("book.near") }
    );
    assert_eq!(
        altered(&|plan| plan.promises[2].after = vec![2]),
        PlanRefused::Plan(PlanError::After { promise: 2, after: 2 })
    );
    rich();
    for bytes in [&b""[..], b"no plan"] {
        let refused = bounds().carry_out(bytes).unwrap_err();
        assert!(matches!(refused, PlanRefused::Plan(PlanError::Malformed { .. })), "{refused}");
    }
}

#[test]
fn nothing_is_allowed_that_is_not_stated() {
    let one = |receiver: &str, action| Plan {
        promises: vec![promise(receiver, vec![], vec![action])],
        returns: None,
    };
    let pay = one("alice.near", Action::Transfer { deposit: yocto(1) });
    let stated = Bounds::nothing();
    assert_eq!(refusal(&stated, &pay), PlanRefused::Promises { found: 1, most: 0 });
    let stated = stated.promises(1);
    assert!(matches!(refusal(&stated, &pay), PlanRefused::Receiver { .. }));
    let stated = stated.transfers_to(id("alice.near"));
    assert!(matches!(refusal(&stated, &pay), PlanRefused::Deposit { .. }));
    rich();
    assert!(carried_out(&stated.deposit(yocto(1)), &pay).0.is_ok());
}

#[test]
fn what_the_contract_has_not_is_not_spent() {
    let bound = env::storage_byte_cost().saturating_mul(1_000);
    let plenty = Gas::from_tgas(100);
    enter(bound.saturating_add(yocto(15)), plenty);
    let refused = PlanRefused::Balance { found: yocto(15), needed: yocto(16) };
    assert_eq!(carried_out(&bounds(), &plan()).0, Err(refused));
    enter(bound.saturating_add(yocto(16)), plenty);
    assert!(carried_out(&bounds(), &plan()).0.is_ok());
    let kept = bounds().keep_gas(Gas::from_tgas(90));
    enter(NearToken::from_near(1), plenty);
    let refused = carried_out(&kept, &plan()).0;
    assert!(matches!(refused, Err(PlanRefused::GasLeft { .. })), "{refused:?}");
    enter(NearToken::from_near(1), Gas::from_tgas(12));
    let refused = carried_out(&bounds(), &plan()).0;
    assert!(matches!(refused, Err(PlanRefused::GasLeft { .. })), "{refused:?}");
}

//! Tests of a contract alone, in near-sdk's mocked environment: what a call asks OutLayer for, and
//! what the callback makes of every way in which a request ends.

use std::collections::HashMap;

use near_sdk::{
    PromiseResult, RuntimeFeesConfig,
    mock::{MockAction, Receipt},
    test_utils::{VMContextBuilder, get_created_receipts},
    test_vm_config, testing_env,
};
use outlayer_protocol::{
    AccountId, Meter, NearToken, Outcome, Plan, RefusalCode, ResponseFormat, Settlement, methods,
    plan::{Action, Promise},
};
use serde_json::Value;

/// A request among the receipts of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The account that is asked, which should be OutLayer.
    pub receiver_id: AccountId,
    /// The request, in JSON.
    pub request: Value,
    /// What is attached to it.
    pub deposit: NearToken,
}

/// Begins a call: the contract's next method is called by this account, with this deposit.
///
/// # Panics
/// When `predecessor` is not a valid account id.
pub fn call_from(predecessor: &str, deposit: NearToken) {
    testing_env!(
        VMContextBuilder::new()
            .predecessor_account_id(account_id(predecessor))
            .attached_deposit(deposit)
            .build()
    );
}

/// Begins a callback, which receives these results.
pub fn callback_with(results: Vec<PromiseResult>) {
    testing_env!(
        VMContextBuilder::new().build(),
        test_vm_config(),
        RuntimeFeesConfig::test(),
        HashMap::default(),
        results
    );
}

/// The receipts that the method has created since its call began.
pub fn receipts() -> Vec<Receipt> {
    get_created_receipts()
}

/// The requests that the method has made since its call began, in order.
///
/// # Panics
/// When the arguments of one are not JSON.
#[allow(clippy::expect_used, reason = "a test ends where its contract sends nonsense")]
pub fn requests() -> Vec<Asked> {
    let mut all = Vec::new();
    for receipt in receipts() {
        for action in &receipt.actions {
            let MockAction::FunctionCallWeight { method_name, args, attached_deposit, .. } = action
            else {
                continue;
            };
            if method_name == methods::REQUEST_EXECUTION.as_bytes() {
                let mut args: Value =
                    serde_json::from_slice(args).expect("the request's arguments are not JSON");
                all.push(Asked {
                    receiver_id: receipt.receiver_id.clone(),
                    request: args["request"].take(),
                    deposit: *attached_deposit,
                });
            }
        }
    }
    all
}

/// What the callback receives of a request that was settled.
///
/// # Panics
/// Never: every settlement can be encoded.
#[allow(clippy::expect_used, reason = "every settlement can be encoded")]
pub fn settled(settlement: &Settlement, format: ResponseFormat) -> PromiseResult {
    PromiseResult::Successful(match format {
        ResponseFormat::Json => serde_json::to_vec(settlement).expect("a settlement in JSON"),
        ResponseFormat::Borsh => borsh::to_vec(settlement).expect("a settlement in borsh"),
    })
}

/// Every way in which a request that has completed with `output`, or has not, comes back to the
/// callback: the name of each way, and what the callback receives.
pub fn endings(output: &str, format: ResponseFormat) -> Vec<(&'static str, PromiseResult)> {
    let deposit = NearToken::from_near(1);
    let mut all: Vec<_> = [
        Outcome::Completed { output: output.into() },
        Outcome::Planned { output: output.into(), plan: a_plan().encode() },
        Outcome::Exited { code: 1 },
        Outcome::Trapped { reason: "unreachable".to_owned() },
        Outcome::OutOfFuel,
        Outcome::OutOfGas,
        Outcome::StackOverflow,
        Outcome::InvalidModule { reason: "no module".to_owned() },
        Outcome::StorageConflict,
        Outcome::StorageExhausted,
        Outcome::TimedOut,
        Outcome::Cancelled,
        Outcome::Disputed { digests: Vec::new() },
    ]
    .into_iter()
    .map(|outcome| {
        let name = outcome.name();
        let settlement = Settlement { outcome, ..Settlement::gone(7, Meter::Fuel) };
        (name, settled(&settlement, format))
    })
    .collect();
    let refused =
        Settlement::refused(RefusalCode::Paused, "paused".to_owned(), Meter::Fuel, deposit);
    all.push(("refused", settled(&refused, format)));
    all.push(("failed", PromiseResult::Failed));
    all
}

/// A plan with one promise: a yoctoNEAR for `alice.near`.
fn a_plan() -> Plan {
    let deposit = NearToken::from_yoctonear(1);
    let actions = vec![Action::Transfer { deposit }];
    let promise = Promise { receiver: account_id("alice.near"), after: Vec::new(), actions };
    Plan { promises: vec![promise], returns: None }
}

#[allow(clippy::expect_used, reason = "the name stands in the test")]
fn account_id(name: &str) -> AccountId {
    name.parse().expect("an account id")
}

//! Several requests in one transaction, and one callback when all of them are settled.
//!
//! Each is a request of its own, with its own id, seed, deposit and refund, and any worker may
//! execute it. One that fails does not affect the others. Gas bounds their number, because each
//! request sets the gas of its settlement aside. Small limits keep that amount small; OutLayer's
//! view `estimate_gas` gives it.

use near_sdk::{AccountId, Gas, PanicOnDefault, env, near, require, serde_json::json};
use outlayer_interface::{
    CancelBy, CodeRef, ExecutionRequest, Hash32, Outcome, ResourceLimits, ResponseFormat,
    ext_outlayer, join, request_for, settlement_at,
};

/// Enough for a request within the limits of [`Batch::request`] and with 100 bytes of input.
const GAS_EACH: Gas = Gas::from_tgas(20);
/// The most requests in one transaction: 8 x [`GAS_EACH`] leaves room for the callback.
const MOST: usize = 8;

#[near(contract_state)]
#[derive(PanicOnDefault)]
pub struct Batch {
    outlayer: AccountId,
}

#[near]
impl Batch {
    #[init]
    pub fn new(outlayer: AccountId) -> Self {
        Self { outlayer }
    }

    /// Runs a module on each of the inputs. The result is the list of answers, in the order of the
    /// inputs. The deposit is divided evenly; what does not divide goes back to the caller.
    #[payable]
    pub fn ask_all(&mut self, code: Hash32, inputs: Vec<String>) {
        let count = inputs.len();
        require!((1..=MOST).contains(&count), "give 1 to 8 inputs");
        let (attached, caller) = (env::attached_deposit(), env::predecessor_account_id());
        let each = attached.saturating_div(count as u128);
        let rest = attached.saturating_sub(each.saturating_mul(count as u128));
        if !rest.is_zero() {
            let promise = env::promise_batch_create(&caller);
            env::promise_batch_action_transfer(promise, rest);
        }
        let calls = inputs.into_iter().map(|input| {
            ext_outlayer::ext(self.outlayer.clone())
                .with_attached_deposit(each)
                .with_static_gas(GAS_EACH)
                .request_execution(&self.request(code, input, caller.clone()))
        });
        join(calls)
            .then("on_answers", &json!({ "count": count }), Gas::from_tgas(20))
            .return_to_caller();
    }

    /// One of the requests, to pass to OutLayer's views `estimate_cost` and `estimate_gas`.
    pub fn request(&self, code: Hash32, input: String, payer: AccountId) -> ExecutionRequest {
        let limits = ResourceLimits { output_bytes: 200, ..ResourceLimits::default() };
        ExecutionRequest {
            limits,
            // Borsh is smaller than JSON and takes less gas to read.
            response_format: ResponseFormat::Borsh,
            cancel_by: CancelBy::Payer,
            ..request_for(payer, CodeRef { hash: code, url: None }, input.as_str())
        }
    }

    #[private]
    pub fn on_answers(&mut self, count: u64) -> Vec<String> {
        (0..count).map(answer).collect()
    }
}

fn answer(index: u64) -> String {
    match settlement_at(index, ResponseFormat::Borsh).map(|settled| settled.outcome) {
        Ok(Outcome::Completed { output }) => String::from_utf8_lossy(&output).into_owned(),
        Ok(Outcome::Refused { reason, .. }) => format!("refused: {reason}"),
        Ok(other) => format!("no answer: {}", other.name()),
        Err(error) => format!("no answer: {error}"),
    }
}

//! Has numbers factored by OutLayer, which would cost a contract too much gas, and keeps the
//! factors. It need not believe the worker: whether they are the factors is seen by multiplying.

use near_sdk::{
    AccountId, Gas, PanicOnDefault, env, json_types::U64, near, serde_json::json, store::LookupMap,
};
use outlayer_interface::{
    CancelBy, CodeRef, ExecutionRequest, Hash32, Outcome, ext_outlayer, request_for, settlement,
};

#[near(contract_state)]
#[derive(PanicOnDefault)]
pub struct Factors {
    outlayer: AccountId,
    /// SHA-256 of the guest, which is published in OutLayer.
    code: Hash32,
    found: LookupMap<u64, Vec<u64>>,
}

#[near]
impl Factors {
    #[init]
    pub fn new(outlayer: AccountId, code: Hash32) -> Self {
        Self { outlayer, code, found: LookupMap::new(b"f") }
    }

    /// Has the number factored. The result is a text with the factors, or says why there are none.
    #[payable]
    pub fn factor(&mut self, number: U64) {
        let request = self.request(number, env::predecessor_account_id());
        ext_outlayer::ext(self.outlayer.clone())
            .with_attached_deposit(env::attached_deposit())
            .request_execution(&request)
            .then("on_factors", &json!({ "number": number }), Gas::from_tgas(10))
            .return_to_caller();
    }

    /// The request for that, to pass to OutLayer's view `estimate_cost`. What is not needed goes
    /// back to the payer.
    pub fn request(&self, number: U64, payer: AccountId) -> ExecutionRequest {
        let code = CodeRef { hash: self.code, url: None };
        let request = request_for(payer, code, number.0.to_string().as_str());
        ExecutionRequest { cancel_by: CancelBy::Payer, ..request }
    }

    /// Never panics: then the caller would learn nothing.
    #[private]
    pub fn on_factors(&mut self, number: U64) -> String {
        let output = match settlement().map(|settled| settled.outcome) {
            Ok(Outcome::Completed { output }) => output,
            Ok(Outcome::Refused { reason, .. }) => return format!("refused: {reason}"),
            Ok(other) => return format!("no answer: {}", other.name()),
            Err(error) => return format!("no answer: {error}"),
        };
        let text = String::from_utf8_lossy(&output).into_owned();
        let factors: Option<Vec<u64>> =
            text.split_whitespace().map(|factor| factor.parse().ok()).collect();
        match factors.filter(|factors| product(factors) == Some(number.0)) {
            Some(factors) => {
                self.found.insert(number.0, factors);
                text
            }
            None => format!("a lie: {text}"),
        }
    }

    /// The factors of a number that was factored.
    pub fn factors(&self, number: U64) -> Option<Vec<U64>> {
        Some(self.found.get(&number.0)?.iter().copied().map(U64).collect())
    }
}

fn product(factors: &[u64]) -> Option<u64> {
    factors
        .iter()
        .try_fold(1_u64, |product, factor| product.checked_mul(*factor).filter(|_| *factor > 1))
}

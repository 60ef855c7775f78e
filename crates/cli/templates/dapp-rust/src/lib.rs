//! The smallest dApp: it asks OutLayer to run a published module, and keeps the answer.

use near_sdk::{AccountId, Gas, PanicOnDefault, env, near};
use outlayer_interface::{
    CancelBy, CodeRef, ExecutionRequest, Hash32, Outcome, {{imports}}
};

#[near(contract_state)]
#[derive(PanicOnDefault)]
pub struct Ask {
    outlayer: AccountId,
    last_answer: String,
}

#[near]
impl Ask {
    #[init]
    pub fn new(outlayer: AccountId) -> Self {
        Self { outlayer, last_answer: String::new() }
    }

    /// Runs the module with this hash on `input`. The caller's transaction waits for the answer.
    #[payable]
    pub fn ask(&mut self, code: Hash32, input: String) {
        ext_outlayer::ext(self.outlayer.clone())
            .with_attached_deposit(env::attached_deposit())
            .request_execution(&self.request(code, input, env::predecessor_account_id()))
            .then("on_answer", &(), Gas::from_tgas(10))
            .return_to_caller();
    }

    /// The request for that, to pass to OutLayer's view `estimate_cost`. The payer may cancel it.
    pub fn request(&self, code: Hash32, input: String, payer: AccountId) -> ExecutionRequest {
        let code = CodeRef { hash: code, url: None };
        let request = request_for(payer, code, input.as_str());
{{limits}}        ExecutionRequest { cancel_by: CancelBy::Payer, {{with-limits}}..request }
    }

    #[private]
    pub fn on_answer(&mut self) -> String {
        self.last_answer = match settlement().map(|settled| settled.outcome) {
            Ok(Outcome::Completed { output }) => String::from_utf8_lossy(&output).into_owned(),
            Ok(Outcome::Refused { reason, .. }) => format!("refused: {reason}"),
            Ok(other) => format!("no answer: {}", other.name()),
            Err(error) => format!("no answer: {error}"),
        };
        self.last_answer.clone()
    }

    pub fn last_answer(&self) -> &String {
        &self.last_answer
    }
}

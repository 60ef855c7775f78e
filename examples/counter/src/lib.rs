//! A counter that the guest `key-value` keeps in OutLayer's storage.
//!
//! Every contract that asks has a namespace of its own there. The guest reads the number and writes
//! the next one. If the number changes in the meantime, OutLayer refuses the answer and the worker
//! executes again, so that several increments that are under way at once all count. Somebody pays
//! for the bytes once, by calling `storage_deposit {"account_id": "<this contract>"}` on OutLayer.

use near_sdk::{
    AccountId, Gas, PanicOnDefault, env, near,
    serde_json::{self, json},
};
use outlayer_interface::{
    CancelBy, CodeRef, ExecutionRequest, Hash32, Outcome, ResourceLimits, ext_outlayer,
    request_for, settlement,
};

/// The result of an increment.
#[near(serializers = [json])]
#[derive(Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// The number after it.
    Number(u64),
    /// Why there is none: an error, or the name of an outcome (`storage_exhausted` when nobody has
    /// paid for the bytes).
    Failed(String),
}

#[near(contract_state)]
#[derive(PanicOnDefault)]
pub struct Counter {
    outlayer: AccountId,
    /// SHA-256 of `key-value`, which is published in OutLayer.
    code: Hash32,
    /// The highest number in any answer so far.
    latest: u64,
}

#[near]
impl Counter {
    #[init]
    pub fn new(outlayer: AccountId, code: Hash32) -> Self {
        Self { outlayer, code, latest: 0 }
    }

    /// Adds one. The result is a [`Counted`].
    #[payable]
    pub fn increment(&mut self) {
        ext_outlayer::ext(self.outlayer.clone())
            .with_attached_deposit(env::attached_deposit())
            .request_execution(&self.request(env::predecessor_account_id()))
            .then("on_number", &(), Gas::from_tgas(10))
            .return_to_caller();
    }

    /// The request that [`Self::increment`] makes, to pass to OutLayer's view `estimate_cost`.
    pub fn request(&self, payer: AccountId) -> ExecutionRequest {
        let code = CodeRef { hash: self.code, url: None };
        let commands = json!([{ "op": "increment", "key": "counter" }]);
        let limits = ResourceLimits {
            output_bytes: 100,
            journal_bytes: 100,
            storage_reads: 1,
            storage_writes: 1,
            // The code has 150 KB. Every byte that is declared costs, so this is not much more.
            max_module_bytes: 256 << 10,
            ..ResourceLimits::default()
        };
        ExecutionRequest {
            limits,
            cancel_by: CancelBy::Payer,
            ..request_for(payer, code, commands.to_string().as_str())
        }
    }

    #[private]
    pub fn on_number(&mut self) -> Counted {
        match number() {
            Ok(number) => {
                // Answers may arrive in another order than the requests were made in.
                self.latest = self.latest.max(number);
                Counted::Number(number)
            }
            Err(reason) => Counted::Failed(reason),
        }
    }

    pub fn latest(&self) -> u64 {
        self.latest
    }
}

fn number() -> Result<u64, String> {
    let output = match settlement().map_err(|error| error.to_string())?.outcome {
        Outcome::Completed { output } => output,
        Outcome::Refused { reason, .. } => return Err(format!("refused: {reason}")),
        other => return Err(other.name().to_owned()),
    };
    let [number] = serde_json::from_slice(&output).map_err(|error| error.to_string())?;
    Ok(number)
}

//! What becomes of a receipt that the engine itself cannot execute.
//!
//! nearcore stops at such a receipt: its rules make sure that there is none. Here a test may have patched
//! the state into what no chain can reach, such as a balance of 2^128 - 1, and a node that
//! makes no blocks any more would hide the reason. So the receipt fails with an error that names the fault,
//! and the block goes on. A fault within an action fails its receipt as any other error does, with
//! refunds. Any other fault undoes the whole block, which is then made again without the receipt: it
//! is given up, what it carries is burnt, and those who wait for its result learn of a failure.

use super::actions::function_call::data_receipt;
use super::block::Block;
use super::fees::{
    receipt_exec_fee, total_deposit, total_prepaid_exec_fees, total_prepaid_gas,
    total_prepaid_send_fees,
};
use super::types::RuntimeError;
use near_primitives::errors::{ActionError, ActionErrorKind, FunctionCallError, TxExecutionError};
use near_primitives::hash::CryptoHash;
use near_primitives::receipt::{Receipt, VersionedActionReceipt, VersionedReceiptEnum};
use near_primitives::transaction::{
    ExecutionMetadata, ExecutionOutcome, ExecutionOutcomeWithId, ExecutionStatus,
};
use near_primitives::trie_key::TrieKey;
use near_primitives::types::{Balance, Gas, StateChangeCause};
use near_primitives::utils::create_receipt_id_from_receipt_id;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How often a block is made again, each time without one more receipt.
const MAX_ATTEMPTS: usize = 64;

/// The receipts that earlier attempts at a block have failed at.
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    reasons: BTreeMap<CryptoHash, String>,
    /// The receipt at hand.
    at: Cell<Option<CryptoHash>>,
}

impl GivenUp {
    /// Notes which receipt is at hand, `None` between receipts.
    pub(super) fn enter(&self, receipt_id: Option<CryptoHash>) {
        self.at.set(receipt_id);
    }

    /// Why a receipt is given up, if it is.
    pub(super) fn reason(&self, receipt_id: &CryptoHash) -> Option<&String> {
        self.reasons.get(receipt_id)
    }

    /// Tries until an attempt succeeds or fails at something that is no receipt, or at too many of
    /// them. A panic counts as a fault.
    pub(super) fn retry<T>(
        attempt: impl Fn(&Self) -> Result<T, RuntimeError>,
    ) -> Result<T, RuntimeError> {
        let mut given_up = Self::default();
        loop {
            given_up.enter(None);
            // An attempt works on a copy of the state, which is dropped when it fails.
            let outcome = catch_unwind(AssertUnwindSafe(|| attempt(&given_up)))
                .unwrap_or_else(|panic| Err(RuntimeError::Panicked(message(panic.as_ref()))));
            let error = match outcome {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let Some(receipt_id) = given_up.at.get() else {
                return Err(error);
            };
            tracing::error!(%receipt_id, %error, "the engine gives a receipt up");
            let known = given_up.reasons.insert(receipt_id, error.to_string());
            if known.is_some() || given_up.reasons.len() >= MAX_ATTEMPTS {
                return Err(error);
            }
        }
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned()
}

/// The error of a receipt that the engine failed at.
pub(super) fn engine_fault(reason: impl std::fmt::Display) -> ActionErrorKind {
    ActionErrorKind::FunctionCallError(FunctionCallError::ExecutionError(format!(
        "localnet cannot execute this: {reason}"
    )))
}

impl Block<'_> {
    /// Gives a receipt up. There is an outcome when it would have had one.
    pub(super) fn abandon(
        &mut self,
        receipt: &Receipt,
        reason: &str,
    ) -> Option<ExecutionOutcomeWithId> {
        let (VersionedReceiptEnum::Action(action_receipt)
        | VersionedReceiptEnum::PromiseYield(action_receipt)) = receipt.versioned_receipt()
        else {
            return None;
        };
        for data_id in action_receipt.input_data_ids() {
            let receiver_id = receipt.receiver_id().clone();
            let data_id = *data_id;
            self.update.remove(TrieKey::ReceivedData { receiver_id, data_id });
        }
        let receipt_hash = receipt.get_hash();
        self.update.commit(&StateChangeCause::ActionReceiptProcessingStarted { receipt_hash });
        let tokens_burnt = self.carried(receipt, &action_receipt);
        self.burnt = self.burnt.saturating_add(tokens_burnt);
        for (index, to) in action_receipt.output_data_receivers().iter().enumerate() {
            let (from, receiver_id) = (receipt.receiver_id(), to.receiver_id.clone());
            let mut failure = data_receipt(from, receiver_id, to.data_id, None);
            let parent = receipt.receipt_id();
            failure.set_receipt_id(create_receipt_id_from_receipt_id(
                parent,
                self.ctx.height,
                index,
            ));
            self.outgoing.push(failure);
        }
        Some(ExecutionOutcomeWithId {
            id: *receipt.receipt_id(),
            outcome: ExecutionOutcome {
                status: ExecutionStatus::Failure(TxExecutionError::ActionError(ActionError {
                    index: None,
                    kind: engine_fault(reason),
                })),
                logs: Vec::new(),
                receipt_ids: Vec::new(),
                gas_burnt: Gas::ZERO,
                compute_usage: Some(0),
                tokens_burnt,
                executor_id: receipt.receiver_id().clone(),
                metadata: ExecutionMetadata::V1,
            },
        })
    }

    /// The deposit and the prepaid gas of a receipt, in yoctoNEAR, as far as they can be counted.
    fn carried(&self, receipt: &Receipt, action: &VersionedActionReceipt<'_>) -> Balance {
        let actions = action.actions();
        let deposit = total_deposit(actions).unwrap_or(Balance::ZERO);
        if receipt.predecessor_id().is_system() {
            return deposit;
        }
        let config = &self.config;
        let gas = [
            total_prepaid_gas(actions),
            total_prepaid_send_fees(config, actions).map(|cost| cost.gas),
            total_prepaid_exec_fees(config, actions, receipt.receiver_id()).map(|cost| cost.gas),
            Ok(receipt_exec_fee(config).gas),
        ]
        .into_iter()
        .flatten()
        .fold(0_u128, |sum, gas| sum + u128::from(gas.as_gas()));
        let price = action.gas_price().as_yoctonear();
        deposit.saturating_add(Balance::from_yoctonear(price.saturating_mul(gas)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_repeated_without_the_receipts_that_it_failed_at() {
        let bad = [CryptoHash([1; 32]), CryptoHash([2; 32])];
        let done = GivenUp::retry(|given_up| {
            for id in bad {
                if given_up.reason(&id).is_none() {
                    given_up.enter(Some(id));
                    if id == bad[0] {
                        return Err(RuntimeError::Overflow("testing"));
                    }
                    panic!("a defect");
                }
            }
            given_up.enter(None);
            Ok(given_up.reasons.clone())
        })
        .unwrap();
        assert_eq!(done[&bad[0]], "an amount overflowed while testing");
        assert_eq!(done[&bad[1]], "the engine panicked: a defect");
    }

    #[test]
    fn a_fault_outside_of_receipts_is_not_repeated() {
        let attempts = Cell::new(0);
        let failed = GivenUp::retry::<()>(|_| {
            attempts.set(attempts.get() + 1);
            Err(RuntimeError::Overflow("testing"))
        });
        assert!(failed.is_err());
        assert_eq!(attempts.get(), 1);
    }
}

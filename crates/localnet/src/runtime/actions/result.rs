//! What an action did, and how the results of a receipt's actions add up
//! (`ActionResult` and `ActionReceiptResult` in nearcore's `runtime/runtime/src/lib.rs`).

use near_parameters::ParameterCost;
use near_primitives::{
    account::AccountContract,
    errors::{ActionError, ActionErrorKind},
    receipt::Receipt,
    types::{Balance, Compute, Gas, validator_stake::ValidatorStake},
};
use near_vm_runner::{ProfileDataV3, logic::ReturnData};

use crate::runtime::{
    amounts::{add_compute, add_gas, add_tokens, count},
    error::RuntimeError,
};

/// What one action did, or all actions of a receipt together.
pub(crate) struct ActionResult {
    pub(crate) gas_burnt: Gas,
    pub(crate) gas_burnt_for_function_call: Gas,
    /// Gas burnt, and gas that was attached to new receipts.
    pub(crate) gas_used: Gas,
    pub(crate) compute_usage: Compute,
    pub(crate) result: Result<ReturnData, ActionError>,
    pub(crate) logs: Vec<String>,
    pub(crate) new_receipts: Vec<Receipt>,
    pub(crate) validator_proposals: Vec<ValidatorStake>,
    pub(crate) profile: Box<ProfileDataV3>,
    /// Tokens burnt apart from the gas, for the storage of a global contract, in yoctoNEAR.
    pub(crate) tokens_burnt: Balance,
    /// Tokens that the protocol issued, in yoctoNEAR. From protocol 85 on, it issues the one
    /// yoctoNEAR that a contract without a balance attaches to a call.
    pub(crate) subsidy: Balance,
    /// The contract that the account had before each action.
    pub(crate) contracts: Vec<AccountContract>,
}

impl ActionResult {
    pub(crate) fn new(fee: ParameterCost) -> Self {
        Self {
            gas_burnt: fee.gas,
            gas_burnt_for_function_call: Gas::ZERO,
            gas_used: fee.gas,
            compute_usage: fee.compute,
            result: Ok(ReturnData::None),
            logs: Vec::new(),
            new_receipts: Vec::new(),
            validator_proposals: Vec::new(),
            profile: Box::default(),
            tokens_burnt: Balance::ZERO,
            subsidy: Balance::ZERO,
            contracts: Vec::new(),
        }
    }

    /// Sends an amount back to whoever pays the deposits of a receipt.
    pub(super) fn refund_deposit(&mut self, receipt: &Receipt, amount: Balance) {
        if !amount.is_zero() {
            let to = receipt.balance_refund_receiver();
            self.new_receipts.push(Receipt::new_balance_refund(to, amount));
        }
    }

    /// Makes the action a failure of this kind.
    pub(crate) fn fail(&mut self, kind: ActionErrorKind) {
        self.set_error(kind.into());
    }

    /// Makes it a failure, and drops everything that was to happen only on success.
    pub(crate) fn set_error(&mut self, error: ActionError) {
        self.result = Err(error);
        self.new_receipts.clear();
        self.validator_proposals.clear();
        self.tokens_burnt = Balance::ZERO;
        self.subsidy = Balance::ZERO;
    }

    /// Adds the result of the next action of the receipt.
    pub(crate) fn merge(&mut self, next: ActionResult) -> Result<(), RuntimeError> {
        self.gas_burnt = add_gas(self.gas_burnt, next.gas_burnt)?;
        self.gas_burnt_for_function_call =
            add_gas(self.gas_burnt_for_function_call, next.gas_burnt_for_function_call)?;
        self.gas_used = add_gas(self.gas_used, next.gas_used)?;
        self.compute_usage = add_compute(self.compute_usage, next.compute_usage)?;
        self.profile.merge(&next.profile);
        self.contracts.extend(next.contracts);
        self.logs.extend(next.logs);
        match next.result {
            Ok(mut returned) => {
                if let ReturnData::ReceiptIndex(index) = &mut returned {
                    // The index counted the receipts of this action. Now it counts those of all
                    // actions so far.
                    *index += count(self.new_receipts.len());
                }
                self.result = Ok(returned);
                self.new_receipts.extend(next.new_receipts);
                self.validator_proposals.extend(next.validator_proposals);
                self.tokens_burnt = add_tokens(self.tokens_burnt, next.tokens_burnt)?;
                self.subsidy = add_tokens(self.subsidy, next.subsidy)?;
            }
            Err(error) => self.set_error(error),
        }
        Ok(())
    }
}

//! What a receipt gives back: its deposit when it failed, and the gas it did not use
//! (`refund_unspent_gas_and_deposits` in nearcore's `runtime/runtime/src/lib.rs`).

use crate::runtime::actions::result::ActionResult;
use crate::runtime::amounts::{add_gas, add_tokens, gas_value, sub_gas, sub_tokens};
use crate::runtime::fees::{
    receipt_exec_fee, total_deposit, total_prepaid_exec_fees, total_prepaid_gas,
    total_prepaid_send_fees,
};
use crate::runtime::types::RuntimeError;
use near_parameters::{ActionCosts, RuntimeConfig};
use near_primitives::receipt::{Receipt, VersionedActionReceipt};
use near_primitives::types::{Balance, ProtocolVersion};
use near_primitives::version::ProtocolFeature;

/// What buying gas at one price and burning it at another leaves.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct RefundResult {
    /// Burnt dearer than bought.
    pub(crate) price_deficit: Balance,
    /// Burnt cheaper than bought.
    pub(crate) price_surplus: Balance,
    /// Kept of a refund.
    pub(crate) penalty: Balance,
    /// Kept for an account that was made.
    pub(crate) account_charge: Balance,
}

/// The two prices of a receipt's gas, in yoctoNEAR a unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prices {
    /// When it was bought.
    pub(crate) purchase: Balance,
    /// When it is burnt.
    pub(crate) burn: Balance,
}

impl Prices {
    /// From protocol 85 on gas is bought dear and burnt at the block's price, the difference comes back.
    pub(crate) fn new(purchase: Balance, block: Balance, version: ProtocolVersion) -> Self {
        let burn = if ProtocolFeature::AccountCostIncrease.enabled(version) {
            block.min(purchase)
        } else {
            block
        };
        Self { purchase, burn }
    }
}

/// Makes the refund receipts of a receipt that has run, the deposit's first.
pub(crate) fn make(
    prices: Prices,
    receipt: &Receipt,
    action_receipt: &VersionedActionReceipt<'_>,
    result: &mut ActionResult,
    config: &RuntimeConfig,
    created_account: bool,
    version: ProtocolVersion,
) -> Result<RefundResult, RuntimeError> {
    let actions = action_receipt.actions();
    let failed = result.result.is_err();
    let mut prepaid = total_prepaid_gas(actions)?;
    prepaid = add_gas(prepaid, total_prepaid_send_fees(config, actions)?.gas)?;
    let exec = total_prepaid_exec_fees(config, actions, receipt.receiver_id())?;
    prepaid = add_gas(prepaid, exec.gas)?;
    prepaid = add_gas(prepaid, receipt_exec_fee(config).gas)?;
    let spent = if failed { result.gas_burnt } else { result.gas_used };
    let unused = sub_gas(prepaid, spent)?;

    let cost_increase = ProtocolFeature::AccountCostIncrease.enabled(version);
    let penalty_price = if cost_increase { prices.burn } else { prices.purchase };
    let penalty = gas_value(penalty_price, config.fees.gas_penalty_for_gas_refund(unused))?;
    let mut refund = gas_value(prices.purchase, unused)?.saturating_sub(penalty);

    let mut refunds = RefundResult { penalty, ..RefundResult::default() };
    let burnt = result.gas_burnt;
    if prices.burn > prices.purchase {
        refunds.price_deficit = gas_value(sub_tokens(prices.burn, prices.purchase)?, burnt)?;
    } else {
        refunds.price_surplus = gas_value(sub_tokens(prices.purchase, prices.burn)?, burnt)?;
    }
    if cost_increase {
        let mut surplus = refunds.price_surplus;
        if created_account {
            let create = config.fees.fee(ActionCosts::create_account).exec_fee().gas;
            let paid = gas_value(prices.burn, create)?;
            let due = config.account_creation_charge.saturating_sub(paid);
            refunds.account_charge = due.min(surplus);
            surplus = sub_tokens(surplus, refunds.account_charge)?;
        }
        refund = add_tokens(refund, surplus)?;
    }

    if failed {
        let deposit = total_deposit(actions)?;
        if !deposit.is_zero() {
            let to = receipt.balance_refund_receiver();
            result.new_receipts.push(Receipt::new_balance_refund(to, deposit));
        }
    }
    if !refund.is_zero() {
        result.new_receipts.push(Receipt::new_gas_refund(
            action_receipt.signer_id(),
            refund,
            action_receipt.signer_public_key().clone(),
        ));
    }
    Ok(refunds)
}

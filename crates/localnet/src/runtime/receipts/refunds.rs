//! What a receipt gives back: its deposit if it failed, and the gas that it did not use
//! (`refund_unspent_gas_and_deposits` in nearcore's `runtime/runtime/src/lib.rs`).

use near_parameters::{ActionCosts, RuntimeConfig};
use near_primitives::{
    receipt::{Receipt, VersionedActionReceipt},
    types::{Balance, ProtocolVersion},
    version::ProtocolFeature,
};

use crate::runtime::{
    actions::ActionResult,
    amounts::{add_gas, add_tokens, gas_value, sub_gas, sub_tokens},
    error::RuntimeError,
    fees::{
        receipt_exec_fee, total_deposit, total_prepaid_exec_fees, total_prepaid_gas,
        total_prepaid_send_fees,
    },
};

/// What remains to be burnt after the refunds, because gas was bought at one price and burnt at
/// another. All amounts are in yoctoNEAR.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct RefundResult {
    /// What the burnt gas costs more than was paid for it.
    pub(super) price_deficit: Balance,
    /// What was paid for the burnt gas above its cost.
    pub(super) price_surplus: Balance,
    /// What the protocol keeps of the refund for unused gas.
    pub(super) penalty: Balance,
    /// What the protocol keeps for an account that the receipt created.
    pub(super) account_charge: Balance,
}

/// The two prices of a receipt's gas, in yoctoNEAR for each unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prices {
    /// The price at which the signer bought it.
    pub(super) purchase: Balance,
    /// The price at which it is burnt.
    pub(super) burn: Balance,
}

impl Prices {
    /// The burn price is the price of the executing block. From protocol 85 on, gas is bought above
    /// that price and the difference is refunded, so it is never burnt above what was paid.
    pub(super) fn new(purchase: Balance, block: Balance, version: ProtocolVersion) -> Self {
        let burn = if ProtocolFeature::AccountCostIncrease.enabled(version) {
            block.min(purchase)
        } else {
            block
        };
        Self { purchase, burn }
    }
}

/// Adds the refund receipts of a receipt that has been executed: first the deposit, then the gas.
pub(super) fn make(
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

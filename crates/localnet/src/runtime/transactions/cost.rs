//! What a transaction costs its signer (`runtime/runtime/src/config.rs` in nearcore).

use near_crypto::{KeyType, PublicKey};
use near_parameters::{
    ActionCosts, ParameterCost, RuntimeConfig, RuntimeFeesConfig, SignatureKind,
};
use near_primitives::{
    transaction::Transaction,
    types::{Balance, Compute, Gas},
};

use crate::runtime::{
    amounts::{add_cost, add_gas, add_tokens, gas_value},
    error::RuntimeError,
    fees::{
        delegated, receipt_exec_fee, total_deposit, total_prepaid_exec_fees, total_prepaid_gas,
        total_prepaid_send_fees, total_send_fees,
    },
};

/// What a transaction costs its signer.
#[derive(Debug, Clone, Copy)]
pub(super) struct TransactionCost {
    /// Gas burnt for turning the transaction into a receipt.
    pub(super) gas_burnt: Gas,
    /// Compute units used for turning the transaction into a receipt.
    pub(super) compute_burnt: Compute,
    /// The price at which the signer buys the receipt's gas, in yoctoNEAR for each unit.
    pub(super) receipt_gas_price: Balance,
    /// What `gas_burnt` costs, in yoctoNEAR.
    pub(super) burnt_amount: Balance,
    /// What all gas costs, in yoctoNEAR.
    pub(super) gas_cost: Balance,
    /// The deposits of the actions, in yoctoNEAR.
    pub(super) deposit: Balance,
    /// Everything that the signer pays, in yoctoNEAR.
    pub(super) total_cost: Balance,
}

/// The extra cost of checking a signature of the key's scheme.
fn signature_cost(fees: &RuntimeFeesConfig, key: &PublicKey) -> ParameterCost {
    fees.signature_verification_costs[match key.key_type() {
        KeyType::ED25519 => SignatureKind::Ed25519,
        KeyType::SECP256K1 => SignatureKind::Secp256k1,
        KeyType::MLDSA65 => SignatureKind::MlDsa65,
    }]
}

/// The cost of a transaction in a block with the gas price `gas_price`.
pub(super) fn transaction_cost(
    config: &RuntimeConfig,
    tx: &Transaction,
    gas_price: Balance,
) -> Result<TransactionCost, RuntimeError> {
    let (actions, receiver_id) = (tx.actions(), tx.receiver_id());
    let to_self = tx.signer_id() == receiver_id;
    let mut burnt = config.fees.fee(ActionCosts::new_action_receipt).send_fee(to_self);
    burnt = add_cost(burnt, total_send_fees(config, to_self, actions, receiver_id)?)?;
    burnt = add_cost(burnt, signature_cost(&config.fees, tx.public_key()))?;
    for inner in actions.iter().filter_map(delegated) {
        let mut cost = signature_cost(&config.fees, inner.public_key());
        if config.wasm_config.fix_ml_dsa_cost_charging {
            cost.compute = 0;
        }
        burnt = add_cost(burnt, cost)?;
    }
    let mut remaining = total_prepaid_gas(actions)?;
    remaining = add_gas(remaining, total_prepaid_send_fees(config, actions)?.gas)?;
    remaining = add_gas(remaining, receipt_exec_fee(config).gas)?;
    remaining = add_gas(remaining, total_prepaid_exec_fees(config, actions, receiver_id)?.gas)?;

    let receipt_gas_price = gas_price.max(config.min_gas_purchase_price);
    let burnt_amount = gas_value(gas_price, burnt.gas)?;
    let gas_cost = add_tokens(burnt_amount, gas_value(receipt_gas_price, remaining)?)?;
    let deposit = total_deposit(actions)?;
    Ok(TransactionCost {
        gas_burnt: burnt.gas,
        compute_burnt: burnt.compute,
        receipt_gas_price,
        burnt_amount,
        gas_cost,
        deposit,
        total_cost: add_tokens(gas_cost, deposit)?,
    })
}

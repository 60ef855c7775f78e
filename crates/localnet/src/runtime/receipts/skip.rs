//! A receipt that the runtime cannot execute fails without being executed (`retry.rs` says why).

use near_primitives::{
    errors::{ActionError, TxExecutionError},
    receipt::{Receipt, VersionedActionReceipt, VersionedReceiptEnum},
    transaction::{ExecutionMetadata, ExecutionOutcome, ExecutionOutcomeWithId, ExecutionStatus},
    trie_key::TrieKey,
    types::{Balance, Gas, StateChangeCause},
    utils::create_receipt_id_from_receipt_id,
};

use crate::runtime::{
    block::Block,
    error::RuntimeError,
    fees::{
        receipt_exec_fee, total_deposit, total_prepaid_exec_fees, total_prepaid_gas,
        total_prepaid_send_fees,
    },
    new_receipts::data_receipt,
};

/// Fails a receipt with the fault that an earlier attempt met. There is an outcome if the receipt
/// has actions; a data receipt has none.
pub(super) fn skip(
    block: &mut Block<'_>,
    receipt: &Receipt,
    fault: &RuntimeError,
) -> Option<ExecutionOutcomeWithId> {
    let (VersionedReceiptEnum::Action(action_receipt)
    | VersionedReceiptEnum::PromiseYield(action_receipt)) = receipt.versioned_receipt()
    else {
        return None;
    };
    for data_id in action_receipt.input_data_ids() {
        let receiver_id = receipt.receiver_id().clone();
        let data_id = *data_id;
        block.update.remove(TrieKey::ReceivedData { receiver_id, data_id });
    }
    let receipt_hash = receipt.get_hash();
    block.update.commit(&StateChangeCause::ActionReceiptProcessingStarted { receipt_hash });
    let tokens_burnt = carried_tokens(block, receipt, &action_receipt);
    block.burnt = block.burnt.saturating_add(tokens_burnt);
    for (index, to) in action_receipt.output_data_receivers().iter().enumerate() {
        let (from, receiver_id) = (receipt.receiver_id(), to.receiver_id.clone());
        let mut failure = data_receipt(from, receiver_id, to.data_id, None);
        let parent = receipt.receipt_id();
        failure.set_receipt_id(create_receipt_id_from_receipt_id(parent, block.ctx.height, index));
        block.outgoing.push(failure);
    }
    Some(ExecutionOutcomeWithId {
        id: *receipt.receipt_id(),
        outcome: ExecutionOutcome {
            status: ExecutionStatus::Failure(TxExecutionError::ActionError(ActionError {
                index: None,
                kind: fault.to_action_error(),
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

/// The deposit and the prepaid gas of a receipt, in yoctoNEAR, as far as they can be summed up.
fn carried_tokens(
    block: &Block<'_>,
    receipt: &Receipt,
    action: &VersionedActionReceipt<'_>,
) -> Balance {
    let actions = action.actions();
    let deposit = total_deposit(actions).unwrap_or(Balance::ZERO);
    if receipt.predecessor_id().is_system() {
        return deposit;
    }
    let config = block.config;
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

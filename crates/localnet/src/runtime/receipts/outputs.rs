//! Where the result of a receipt goes, and the receipts that it made
//! (`apply_action_receipt` in nearcore's `runtime/runtime/src/lib.rs`).

use near_primitives::{
    hash::CryptoHash,
    receipt::{Receipt, ReceiptEnum, VersionedActionReceipt, VersionedReceiptEnum},
    types::AccountId,
    utils::create_receipt_id_from_receipt_id,
};
use near_vm_runner::logic::ReturnData;

use crate::runtime::{
    actions::ActionResult, block::Block, error::RuntimeError, new_receipts::data_receipt,
};

/// Adds the data receipts for those who wait for the result. If the call returned a promise, that
/// promise's receipt sends its own result to them instead.
pub(super) fn route(
    account_id: &AccountId,
    action_receipt: &VersionedActionReceipt<'_>,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    let receivers = action_receipt.output_data_receivers();
    if receivers.is_empty() {
        return Ok(());
    }
    let data = match &result.result {
        Ok(ReturnData::ReceiptIndex(index)) => {
            let returned = usize::try_from(*index)
                .ok()
                .and_then(|index| result.new_receipts.get_mut(index))
                .map(Receipt::receipt_mut);
            let outputs = match returned {
                Some(ReceiptEnum::ActionV2(new) | ReceiptEnum::PromiseYieldV2(new)) => {
                    &mut new.output_data_receivers
                }
                Some(ReceiptEnum::Action(new) | ReceiptEnum::PromiseYield(new)) => {
                    &mut new.output_data_receivers
                }
                _ => {
                    return Err(RuntimeError::Inconsistent(format!(
                        "a call returned promise {index}, which it did not make"
                    )));
                }
            };
            outputs.extend_from_slice(receivers);
            return Ok(());
        }
        Ok(ReturnData::Value(data)) => Some(data.clone()),
        Ok(ReturnData::None) => Some(Vec::new()),
        Err(_) => None,
    };
    result.new_receipts.extend(
        receivers
            .iter()
            .map(|to| data_receipt(account_id, to.receiver_id.clone(), to.data_id, data.clone())),
    );
    Ok(())
}

/// Gives the new receipts their ids and sends them. Returns the ids of those that will have
/// outcomes.
pub(super) fn send(
    block: &mut Block<'_>,
    parent: &CryptoHash,
    result: &mut ActionResult,
) -> Vec<CryptoHash> {
    let mut ids = Vec::new();
    for (index, mut new) in std::mem::take(&mut result.new_receipts).into_iter().enumerate() {
        let id = create_receipt_id_from_receipt_id(parent, block.ctx.height, index);
        new.set_receipt_id(id);
        if matches!(
            new.versioned_receipt(),
            VersionedReceiptEnum::Action(_) | VersionedReceiptEnum::PromiseYield(_)
        ) {
            ids.push(id);
        }
        if new.is_instant_receipt() {
            block.instant.push_back(new);
        } else {
            block.outgoing.push(new);
        }
    }
    ids
}

//! Processing a receipt that arrives. It is executed, or it waits for its data, or it is the data
//! that another receipt waits for (`process_receipt` in nearcore's `runtime/runtime/src/lib.rs`).

mod execute;
mod outputs;
mod refunds;
mod skip;

use near_primitives::{
    hash::CryptoHash,
    receipt::{DataReceipt, Receipt, ReceivedData, VersionedActionReceipt, VersionedReceiptEnum},
    transaction::ExecutionOutcomeWithId,
    trie_key::TrieKey,
    types::StateChangeCause,
};

use crate::runtime::{actions, block::Block, error::RuntimeError, yields};

/// Processes one receipt. Returns the outcome of the receipt that was executed, if there was one:
/// the receipt itself, or the one that waited for it.
pub(super) fn process(
    block: &mut Block<'_>,
    receipt: &Receipt,
) -> Result<Option<ExecutionOutcomeWithId>, RuntimeError> {
    block.skipped.enter(Some(*receipt.receipt_id()));
    if let Some(fault) = block.skipped.fault(receipt.receipt_id()) {
        return Ok(skip::skip(block, receipt, fault));
    }
    let ready = match receipt.versioned_receipt() {
        VersionedReceiptEnum::Action(action) => {
            if !postpone(block, receipt, &action)? {
                return execute::execute(block, receipt).map(Some);
            }
            None
        }
        VersionedReceiptEnum::Data(data) => receive_data(block, receipt, &data)?,
        VersionedReceiptEnum::PromiseYield(action) => {
            yields::store(block, receipt, &action)?;
            None
        }
        VersionedReceiptEnum::PromiseResume(data) => yields::resume(block, receipt, &data)?,
        VersionedReceiptEnum::GlobalContractDistribution(distribution) => {
            actions::distribute_global_contract(block, receipt, &distribution)?;
            return Ok(None);
        }
    };
    if let Some(ready) = ready {
        // A fault from here on is that of the receipt that waited, not of the data.
        block.skipped.enter(Some(*ready.receipt_id()));
        return match block.skipped.fault(ready.receipt_id()) {
            Some(fault) => Ok(skip::skip(block, &ready, fault)),
            None => execute::execute(block, &ready).map(Some),
        };
    }
    let receipt_hash = receipt.get_hash();
    block.update.commit(&StateChangeCause::PostponedReceipt { receipt_hash });
    Ok(None)
}

/// Stores a receipt as postponed if some of its data has not arrived yet. Tells whether it did.
fn postpone(
    block: &mut Block<'_>,
    receipt: &Receipt,
    action: &VersionedActionReceipt<'_>,
) -> Result<bool, RuntimeError> {
    let receiver_id = receipt.receiver_id();
    let receipt_id = *receipt.receipt_id();
    let mut pending: u32 = 0;
    for data_id in action.input_data_ids() {
        let (receiver_id, data_id) = (receiver_id.clone(), *data_id);
        let data = TrieKey::ReceivedData { receiver_id: receiver_id.clone(), data_id };
        if !block.update.contains(&data) {
            pending += 1;
            block.update.set(TrieKey::PostponedReceiptId { receiver_id, data_id }, &receipt_id);
        }
    }
    if pending == 0 {
        return Ok(false);
    }
    let receiver_id = receiver_id.clone();
    let count = TrieKey::PendingDataCount { receiver_id: receiver_id.clone(), receipt_id };
    block.update.set(count, &pending);
    block.update.set(TrieKey::PostponedReceipt { receiver_id, receipt_id }, receipt);
    Ok(true)
}

/// Stores data that has arrived. Returns the postponed receipt for which it was the last.
fn receive_data(
    block: &mut Block<'_>,
    receipt: &Receipt,
    data: &DataReceipt,
) -> Result<Option<Receipt>, RuntimeError> {
    let receiver_id = receipt.receiver_id().clone();
    let data_id = data.data_id;
    block.update.set(
        TrieKey::ReceivedData { receiver_id: receiver_id.clone(), data_id },
        &ReceivedData { data: data.data.clone() },
    );
    let waiting = TrieKey::PostponedReceiptId { receiver_id: receiver_id.clone(), data_id };
    let Some(receipt_id) = block.update.get::<CryptoHash>(&waiting)? else {
        return Ok(None);
    };
    block.update.remove(waiting);
    let count = TrieKey::PendingDataCount { receiver_id: receiver_id.clone(), receipt_id };
    let missing = |what| RuntimeError::Inconsistent(format!("{what} of {receipt_id} is missing"));
    let pending: u32 =
        block.update.get(&count)?.ok_or_else(|| missing("the count of pending data"))?;
    if pending > 1 {
        block.update.set(count, &(pending - 1));
        return Ok(None);
    }
    block.update.remove(count);
    let key = TrieKey::PostponedReceipt { receiver_id, receipt_id };
    let ready = block.update.get(&key)?.ok_or_else(|| missing("the postponed receipt"))?;
    block.update.remove(key);
    Ok(Some(ready))
}

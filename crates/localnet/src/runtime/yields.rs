//! Yields. A yielded receipt is stored until it is resumed or times out, and the timeouts stand in
//! a queue (`runtime/runtime/src/lib.rs` and `core/store/src/utils/mod.rs` in nearcore).

use near_primitives::{
    hash::{CryptoHash, YieldId},
    receipt::{
        DataReceipt, PromiseYieldIndices, PromiseYieldTimeout, Receipt, ReceiptEnum, ReceiptV0,
        ReceivedData, VersionedActionReceipt,
    },
    trie_key::TrieKey,
    types::{AccountId, PromiseYieldStatus},
    utils::create_receipt_id_from_receipt_id,
};

use super::{block::Block, error::RuntimeError};

fn timeout_indices(block: &Block<'_>) -> Result<PromiseYieldIndices, RuntimeError> {
    Ok(block.update.get(&TrieKey::PromiseYieldIndices)?.unwrap_or_default())
}

/// Adds the timeout of a yield that was just created to the queue.
pub(super) fn enqueue_timeout(
    block: &mut Block<'_>,
    account_id: &AccountId,
    data_id: CryptoHash,
) -> Result<(), RuntimeError> {
    let wait = block.config.wasm_config.limit_config.yield_timeout_length_in_blocks;
    let mut indices = timeout_indices(block)?;
    let entry = PromiseYieldTimeout {
        account_id: account_id.clone(),
        data_id,
        expires_at: block.ctx.height.saturating_add(wait),
    };
    let index = indices.next_available_index;
    block.update.set(TrieKey::PromiseYieldTimeout { index }, &entry);
    indices.next_available_index =
        index.checked_add(1).ok_or(RuntimeError::Overflow("counting yields"))?;
    block.update.set(TrieKey::PromiseYieldIndices, &indices);
    Ok(())
}

/// Stores a yielded receipt.
pub(super) fn store(
    block: &mut Block<'_>,
    receipt: &Receipt,
    action: &VersionedActionReceipt<'_>,
) -> Result<(), RuntimeError> {
    let [data_id] = action.input_data_ids() else {
        return Err(RuntimeError::Inconsistent(
            "a yielded receipt does not have exactly one input".to_owned(),
        ));
    };
    let receiver_id = receipt.receiver_id().clone();
    let key = TrieKey::PromiseYieldReceipt { receiver_id, data_id: *data_id };
    block.update.set(key, receipt);
    Ok(())
}

/// Handles a resume that has arrived, or a timeout, which is a resume without data. Returns the
/// yielded receipt if it is to be executed now. The first resume wins, and it also wins over a
/// timeout that arrives while it is on its way.
pub(super) fn resume(
    block: &mut Block<'_>,
    receipt: &Receipt,
    data: &DataReceipt,
) -> Result<Option<Receipt>, RuntimeError> {
    let receiver_id = receipt.receiver_id().clone();
    let data_id = data.data_id;
    let status = TrieKey::PromiseYieldStatus { receiver_id: receiver_id.clone(), data_id };
    if data.data.is_none()
        && block.update.get(&status)? == Some(PromiseYieldStatus::ResumeInitiated)
    {
        return Ok(None);
    }
    let key = TrieKey::PromiseYieldReceipt { receiver_id: receiver_id.clone(), data_id };
    let Some(ready) = block.update.get::<Receipt>(&key)? else {
        return Ok(None);
    };
    block.update.remove(key);
    block.update.remove(status);
    let backward = TrieKey::DataIdToYieldId { receiver_id: receiver_id.clone(), data_id };
    if let Some(yield_id) = block.update.get::<YieldId>(&backward)? {
        block.update.remove(backward);
        let receiver_id = receiver_id.clone();
        block.update.remove(TrieKey::YieldIdToDataId { receiver_id, yield_id });
    }
    block.update.set(
        TrieKey::ReceivedData { receiver_id, data_id },
        &ReceivedData { data: data.data.clone() },
    );
    Ok(Some(ready))
}

/// Sends the timeouts that are due, in the order in which their yields were created.
pub(super) fn resolve_timeouts(block: &mut Block<'_>) -> Result<(), RuntimeError> {
    let before = timeout_indices(block)?;
    let mut indices = before.clone();
    let mut sent = 0;
    while indices.first_index < indices.next_available_index && !block.is_full() {
        let key = TrieKey::PromiseYieldTimeout { index: indices.first_index };
        let Some(entry) = block.update.get::<PromiseYieldTimeout>(&key)? else {
            return Err(RuntimeError::Inconsistent(format!("{key:?} is missing")));
        };
        if entry.expires_at > block.ctx.height {
            break;
        }
        let waiting = TrieKey::PromiseYieldReceipt {
            receiver_id: entry.account_id.clone(),
            data_id: entry.data_id,
        };
        if block.update.contains(&waiting) {
            let timeout = timeout(block, entry, sent);
            block.outgoing.push(timeout);
            sent += 1;
        }
        block.update.remove(key);
        indices.first_index += 1;
    }
    if indices != before {
        block.update.set(TrieKey::PromiseYieldIndices, &indices);
    }
    Ok(())
}

/// The receipt that ends a yield without data. `index` counts the timeouts of the block.
fn timeout(block: &Block<'_>, entry: PromiseYieldTimeout, index: usize) -> Receipt {
    let receipt_id = create_receipt_id_from_receipt_id(&entry.data_id, block.ctx.height, index);
    Receipt::V0(ReceiptV0 {
        predecessor_id: entry.account_id.clone(),
        receiver_id: entry.account_id,
        receipt_id,
        receipt: ReceiptEnum::PromiseResume(DataReceipt { data_id: entry.data_id, data: None }),
    })
}

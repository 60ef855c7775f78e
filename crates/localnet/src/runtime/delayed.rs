//! The queue of delayed receipts, for which there was no room in their block
//! (`DelayedReceiptQueue` in nearcore's `core/store/src/trie/receipts_column_helper.rs`).

use near_primitives::{
    receipt::{DelayedReceiptIndices, Receipt},
    trie_key::TrieKey,
    types::StateChangeCause,
};

use super::{block::Block, error::RuntimeError};

fn indices(block: &Block<'_>) -> Result<DelayedReceiptIndices, RuntimeError> {
    Ok(block.update.get(&TrieKey::DelayedReceiptIndices)?.unwrap_or_default())
}

/// The number of receipts in the queue.
pub(super) fn len(block: &Block<'_>) -> Result<u64, RuntimeError> {
    let indices = indices(block)?;
    Ok(indices.next_available_index.saturating_sub(indices.first_index))
}

/// Adds a receipt at the end of the queue.
pub(super) fn push(block: &mut Block<'_>, receipt: &Receipt) -> Result<(), RuntimeError> {
    let mut indices = indices(block)?;
    let index = indices.next_available_index;
    block.update.set(TrieKey::DelayedReceipt { index }, receipt);
    indices.next_available_index =
        index.checked_add(1).ok_or(RuntimeError::Overflow("counting delayed receipts"))?;
    block.update.set(TrieKey::DelayedReceiptIndices, &indices);
    block.update.commit(&StateChangeCause::UpdatedDelayedReceipts);
    Ok(())
}

/// Takes the receipt that has waited longest. Returns `None` when the queue is empty.
pub(super) fn pop(block: &mut Block<'_>) -> Result<Option<Receipt>, RuntimeError> {
    let mut indices = indices(block)?;
    if indices.first_index >= indices.next_available_index {
        return Ok(None);
    }
    let key = TrieKey::DelayedReceipt { index: indices.first_index };
    let Some(receipt) = block.update.get(&key)? else {
        return Err(RuntimeError::Inconsistent(format!("{key:?} is missing")));
    };
    block.update.remove(key);
    indices.first_index += 1;
    block.update.set(TrieKey::DelayedReceiptIndices, &indices);
    block.update.commit(&StateChangeCause::UpdatedDelayedReceipts);
    Ok(Some(receipt))
}

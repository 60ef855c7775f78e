//! The queue of receipts that found their block full
//! (`DelayedReceiptQueue` in nearcore's `core/store/src/trie/receipts_column_helper.rs`).

use super::block::Block;
use super::types::RuntimeError;
use near_primitives::receipt::{DelayedReceiptIndices, Receipt};
use near_primitives::trie_key::TrieKey;
use near_primitives::types::StateChangeCause;

impl Block<'_> {
    fn delayed_indices(&self) -> Result<DelayedReceiptIndices, RuntimeError> {
        Ok(self.update.get(&TrieKey::DelayedReceiptIndices)?.unwrap_or_default())
    }

    /// How many receipts wait.
    pub(super) fn delayed_len(&self) -> Result<u64, RuntimeError> {
        let indices = self.delayed_indices()?;
        Ok(indices.next_available_index.saturating_sub(indices.first_index))
    }

    /// Puts a receipt at the end.
    pub(super) fn push_delayed(&mut self, receipt: &Receipt) -> Result<(), RuntimeError> {
        let mut indices = self.delayed_indices()?;
        let index = indices.next_available_index;
        self.update.set(TrieKey::DelayedReceipt { index }, receipt);
        indices.next_available_index =
            index.checked_add(1).ok_or(RuntimeError::Overflow("counting delayed receipts"))?;
        self.update.set(TrieKey::DelayedReceiptIndices, &indices);
        self.update.commit(&StateChangeCause::UpdatedDelayedReceipts);
        Ok(())
    }

    /// Takes the receipt that has waited longest.
    pub(super) fn pop_delayed(&mut self) -> Result<Option<Receipt>, RuntimeError> {
        let mut indices = self.delayed_indices()?;
        if indices.first_index >= indices.next_available_index {
            return Ok(None);
        }
        let key = TrieKey::DelayedReceipt { index: indices.first_index };
        let Some(receipt) = self.update.get(&key)? else {
            return Err(RuntimeError::CorruptState(format!("{key:?} is missing")));
        };
        self.update.remove(key);
        indices.first_index += 1;
        self.update.set(TrieKey::DelayedReceiptIndices, &indices);
        self.update.commit(&StateChangeCause::UpdatedDelayedReceipts);
        Ok(Some(receipt))
    }
}

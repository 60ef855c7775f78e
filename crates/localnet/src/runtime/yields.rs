//! Yields: receipts that wait for a resume, and the queue of their timeouts
//! (`runtime/runtime/src/lib.rs`, `core/store/src/utils/mod.rs` in nearcore).

use super::block::Block;
use super::types::RuntimeError;
use near_primitives::hash::{CryptoHash, YieldId};
use near_primitives::receipt::{
    DataReceipt, PromiseYieldIndices, PromiseYieldTimeout, Receipt, ReceiptEnum, ReceiptV0,
    ReceivedData, VersionedActionReceipt,
};
use near_primitives::trie_key::TrieKey;
use near_primitives::types::{AccountId, PromiseYieldStatus};
use near_primitives::utils::create_receipt_id_from_receipt_id;

impl Block<'_> {
    fn yield_indices(&self) -> Result<PromiseYieldIndices, RuntimeError> {
        Ok(self.update.get(&TrieKey::PromiseYieldIndices)?.unwrap_or_default())
    }

    /// Queues the timeout of a yield that was just made.
    pub(super) fn enqueue_timeout(
        &mut self,
        account_id: &AccountId,
        data_id: CryptoHash,
    ) -> Result<(), RuntimeError> {
        let wait = self.config.wasm_config.limit_config.yield_timeout_length_in_blocks;
        let mut indices = self.yield_indices()?;
        let entry = PromiseYieldTimeout {
            account_id: account_id.clone(),
            data_id,
            expires_at: self.ctx.height.saturating_add(wait),
        };
        let index = indices.next_available_index;
        self.update.set(TrieKey::PromiseYieldTimeout { index }, &entry);
        indices.next_available_index =
            index.checked_add(1).ok_or(RuntimeError::Overflow("counting yields"))?;
        self.update.set(TrieKey::PromiseYieldIndices, &indices);
        Ok(())
    }

    /// Stores a yield's receipt.
    pub(super) fn store_yield(
        &mut self,
        receipt: &Receipt,
        action: &VersionedActionReceipt<'_>,
    ) -> Result<(), RuntimeError> {
        let [data_id] = action.input_data_ids() else {
            return Err(RuntimeError::CorruptState("a yield without its one input".to_owned()));
        };
        let receiver_id = receipt.receiver_id().clone();
        let key = TrieKey::PromiseYieldReceipt { receiver_id, data_id: *data_id };
        self.update.set(key, receipt);
        Ok(())
    }

    /// A resume, or a timeout (which has no data), has arrived. Returns the yield's receipt when it is to
    /// run: the first resume wins, and one that is under way beats the timeout.
    pub(super) fn resume(
        &mut self,
        receipt: &Receipt,
        data: &DataReceipt,
    ) -> Result<Option<Receipt>, RuntimeError> {
        let receiver_id = receipt.receiver_id().clone();
        let data_id = data.data_id;
        let status = TrieKey::PromiseYieldStatus { receiver_id: receiver_id.clone(), data_id };
        if data.data.is_none()
            && self.update.get(&status)? == Some(PromiseYieldStatus::ResumeInitiated)
        {
            return Ok(None);
        }
        let key = TrieKey::PromiseYieldReceipt { receiver_id: receiver_id.clone(), data_id };
        let Some(ready) = self.update.get::<Receipt>(&key)? else {
            return Ok(None);
        };
        self.update.remove(key);
        self.update.remove(status);
        let backward = TrieKey::DataIdToYieldId { receiver_id: receiver_id.clone(), data_id };
        if let Some(yield_id) = self.update.get::<YieldId>(&backward)? {
            self.update.remove(backward);
            let receiver_id = receiver_id.clone();
            self.update.remove(TrieKey::YieldIdToDataId { receiver_id, yield_id });
        }
        self.update.set(
            TrieKey::ReceivedData { receiver_id, data_id },
            &ReceivedData { data: data.data.clone() },
        );
        Ok(Some(ready))
    }

    /// Ends the yields whose time is up, in the order in which they were made.
    pub(super) fn resolve_timeouts(&mut self) -> Result<(), RuntimeError> {
        let before = self.yield_indices()?;
        let mut indices = before.clone();
        let mut made = 0;
        while indices.first_index < indices.next_available_index && !self.is_full() {
            let key = TrieKey::PromiseYieldTimeout { index: indices.first_index };
            let Some(entry) = self.update.get::<PromiseYieldTimeout>(&key)? else {
                return Err(RuntimeError::CorruptState(format!("{key:?} is missing")));
            };
            if entry.expires_at > self.ctx.height {
                break;
            }
            let waiting = TrieKey::PromiseYieldReceipt {
                receiver_id: entry.account_id.clone(),
                data_id: entry.data_id,
            };
            if self.update.contains(&waiting) {
                self.outgoing.push(self.timeout(entry, made));
                made += 1;
            }
            self.update.remove(key);
            indices.first_index += 1;
        }
        if indices != before {
            self.update.set(TrieKey::PromiseYieldIndices, &indices);
        }
        Ok(())
    }

    fn timeout(&self, entry: PromiseYieldTimeout, index: usize) -> Receipt {
        let receipt_id = create_receipt_id_from_receipt_id(&entry.data_id, self.ctx.height, index);
        Receipt::V0(ReceiptV0 {
            predecessor_id: entry.account_id.clone(),
            receiver_id: entry.account_id,
            receipt_id,
            receipt: ReceiptEnum::PromiseResume(DataReceipt { data_id: entry.data_id, data: None }),
        })
    }
}

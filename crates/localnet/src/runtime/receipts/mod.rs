//! What becomes of a receipt that arrives: it runs, or it waits for data, or it is the data that
//! another waits for (`process_receipt` in nearcore's `runtime/runtime/src/lib.rs`).

pub(super) mod execute;
mod refunds;

use crate::runtime::actions::global;
use crate::runtime::block::Block;
use crate::runtime::types::RuntimeError;
use near_primitives::hash::CryptoHash;
use near_primitives::receipt::{
    DataReceipt, Receipt, ReceivedData, VersionedActionReceipt, VersionedReceiptEnum,
};
use near_primitives::transaction::ExecutionOutcomeWithId;
use near_primitives::trie_key::TrieKey;
use near_primitives::types::StateChangeCause;

impl Block<'_> {
    /// Processes one receipt. There is an outcome when a receipt ran.
    pub(crate) fn process(
        &mut self,
        receipt: &Receipt,
    ) -> Result<Option<ExecutionOutcomeWithId>, RuntimeError> {
        let ready = match receipt.versioned_receipt() {
            VersionedReceiptEnum::Action(action) => {
                if self.postpone(receipt, &action)? {
                    None
                } else {
                    return self.execute(receipt).map(Some);
                }
            }
            VersionedReceiptEnum::Data(data) => self.receive_data(receipt, &data)?,
            VersionedReceiptEnum::PromiseYield(action) => {
                self.store_yield(receipt, &action)?;
                None
            }
            VersionedReceiptEnum::PromiseResume(data) => self.resume(receipt, &data)?,
            VersionedReceiptEnum::GlobalContractDistribution(distribution) => {
                global::distribute(self, receipt, &distribution)?;
                return Ok(None);
            }
        };
        if let Some(ready) = ready {
            // What fails from here on is not the data's fault.
            self.given_up.enter(Some(*ready.receipt_id()));
            return match self.given_up.reason(ready.receipt_id()) {
                Some(reason) => Ok(self.abandon(&ready, reason)),
                None => self.execute(&ready).map(Some),
            };
        }
        let receipt_hash = receipt.get_hash();
        self.update.commit(&StateChangeCause::PostponedReceipt { receipt_hash });
        Ok(None)
    }

    /// Puts a receipt aside when some of its data is not there yet.
    fn postpone(
        &mut self,
        receipt: &Receipt,
        action: &VersionedActionReceipt<'_>,
    ) -> Result<bool, RuntimeError> {
        let receiver_id = receipt.receiver_id();
        let receipt_id = *receipt.receipt_id();
        let mut pending: u32 = 0;
        for data_id in action.input_data_ids() {
            let (receiver_id, data_id) = (receiver_id.clone(), *data_id);
            let data = TrieKey::ReceivedData { receiver_id: receiver_id.clone(), data_id };
            if !self.update.contains(&data) {
                pending += 1;
                self.update.set(TrieKey::PostponedReceiptId { receiver_id, data_id }, &receipt_id);
            }
        }
        if pending == 0 {
            return Ok(false);
        }
        let receiver_id = receiver_id.clone();
        let count = TrieKey::PendingDataCount { receiver_id: receiver_id.clone(), receipt_id };
        self.update.set(count, &pending);
        self.update.set(TrieKey::PostponedReceipt { receiver_id, receipt_id }, receipt);
        Ok(true)
    }

    /// Stores data. Returns the receipt that waited for nothing else.
    fn receive_data(
        &mut self,
        receipt: &Receipt,
        data: &DataReceipt,
    ) -> Result<Option<Receipt>, RuntimeError> {
        let receiver_id = receipt.receiver_id().clone();
        let data_id = data.data_id;
        self.update.set(
            TrieKey::ReceivedData { receiver_id: receiver_id.clone(), data_id },
            &ReceivedData { data: data.data.clone() },
        );
        let waiting = TrieKey::PostponedReceiptId { receiver_id: receiver_id.clone(), data_id };
        let Some(receipt_id) = self.update.get::<CryptoHash>(&waiting)? else {
            return Ok(None);
        };
        self.update.remove(waiting);
        let count = TrieKey::PendingDataCount { receiver_id: receiver_id.clone(), receipt_id };
        let missing = |what| RuntimeError::CorruptState(format!("{what} of {receipt_id}"));
        let pending: u32 =
            self.update.get(&count)?.ok_or_else(|| missing("no count of pending data"))?;
        if pending > 1 {
            self.update.set(count, &(pending - 1));
            return Ok(None);
        }
        self.update.remove(count);
        let key = TrieKey::PostponedReceipt { receiver_id, receipt_id };
        let ready = self.update.get(&key)?.ok_or_else(|| missing("no postponed receipt"))?;
        self.update.remove(key);
        Ok(Some(ready))
    }
}

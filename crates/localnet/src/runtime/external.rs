//! What a running contract sees of the chain (`runtime/runtime/src/ext.rs` in nearcore).

use std::{collections::BTreeMap, sync::Arc};

use near_primitives::{
    hash::{CryptoHash, YieldId},
    trie_key::TrieKey,
    types::{AccountId, Balance, BlockHeight, PromiseYieldStatus},
    utils::create_receipt_id_from_action_hash,
};
use near_vm_runner::logic::{StorageAccessTracker, ValuePtr, types::ReceiptIndex};
use outlayer_near_host::{Chain, Charges, ReceiptManager, VmResult, Yields};

use super::update::{Found, StateUpdate};
use crate::state::contract_data_key;

/// The chain as one call sees it.
pub(super) struct CallExternal<'a> {
    pub(super) update: &'a mut StateUpdate,
    pub(super) manager: ReceiptManager,
    pub(super) account_id: AccountId,
    pub(super) validators: Arc<BTreeMap<AccountId, Balance>>,
    pub(super) chain_id: &'a str,
    pub(super) post_quantum: bool,
    /// Bytes of storage proof recorded before the receipt. `None` when only what the call itself
    /// records is counted.
    pub(super) recorded_before: Option<u64>,
}

/// The receipts of an action, of which there are none yet.
pub(super) fn receipt_manager(action_hash: CryptoHash, height: BlockHeight) -> ReceiptManager {
    ReceiptManager::new(move |n| create_receipt_id_from_action_hash(&action_hash, height, n))
}

struct FoundPtr<'a> {
    found: Found,
    update: &'a StateUpdate,
}

impl ValuePtr for FoundPtr<'_> {
    fn len(&self) -> u32 {
        u32::try_from(self.found.value().len()).unwrap_or(u32::MAX)
    }

    fn deref(&self, tracker: &mut dyn StorageAccessTracker) -> VmResult<Vec<u8>> {
        if let Found::Stored(value) = &self.found {
            self.update.note_value_read(value).charge(tracker)?;
        }
        Ok(self.found.value().to_vec())
    }
}

impl Chain for CallExternal<'_> {
    fn read(&self, key: &[u8]) -> VmResult<Option<Box<dyn ValuePtr + '_>>> {
        let found = self.update.find(&contract_data_key(&self.account_id, key));
        let update = &*self.update;
        Ok(found.map(|found| Box::new(FoundPtr { found, update }) as Box<dyn ValuePtr>))
    }

    fn replace(
        &mut self,
        charges: &mut Charges<'_>,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> VmResult<Option<Vec<u8>>> {
        let key = contract_data_key(&self.account_id, key);
        let (old, nodes) = self.update.find_for_write(&key);
        charges.old_value(old.as_ref())?;
        match value {
            Some(value) => {
                charges.nodes(nodes)?;
                self.update.set_raw(key, value);
            }
            // A removal is recorded even where the gas does not suffice for the nodes.
            None => {
                self.update.remove(key);
                charges.nodes(nodes)?;
            }
        }
        Ok(old.map(|old| old.to_vec()))
    }

    fn recorded_bytes(&self) -> usize {
        usize::try_from(self.update.recorded_size()).unwrap_or(usize::MAX)
    }

    fn recorded_bytes_before_receipt(&self) -> usize {
        match self.recorded_before {
            Some(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
            None => self.recorded_bytes(),
        }
    }

    fn validators(&self) -> VmResult<&BTreeMap<AccountId, Balance>> {
        Ok(&self.validators)
    }

    fn chain_id(&self) -> VmResult<&str> {
        Ok(self.chain_id)
    }

    fn universal_accounts(&self) -> VmResult<()> {
        Ok(())
    }

    fn post_quantum_keys(&self) -> bool {
        self.post_quantum
    }

    fn receipts(&mut self) -> VmResult<&mut ReceiptManager> {
        Ok(&mut self.manager)
    }

    fn receiver(&self, receipt: ReceiptIndex) -> &AccountId {
        self.manager.get(receipt).map_or(&self.account_id, |receipt| &receipt.receiver_id)
    }

    fn yields(&mut self) -> VmResult<&mut dyn Yields> {
        Ok(self)
    }
}

impl Yields for CallExternal<'_> {
    fn begin(&mut self, receiver_id: &AccountId) -> CryptoHash {
        let data_id = self.manager.new_data_id();
        let status = TrieKey::PromiseYieldStatus { receiver_id: receiver_id.clone(), data_id };
        self.update.set(status, &PromiseYieldStatus::Yielded);
        data_id
    }

    fn begin_as(&mut self, receiver_id: &AccountId, yield_id: YieldId) -> Option<CryptoHash> {
        let forward = TrieKey::YieldIdToDataId { receiver_id: receiver_id.clone(), yield_id };
        if self.update.contains(&forward) {
            return None;
        }
        let data_id = self.begin(receiver_id);
        self.update.set(forward, &data_id);
        let back = TrieKey::DataIdToYieldId { receiver_id: receiver_id.clone(), data_id };
        self.update.set(back, &yield_id);
        Some(data_id)
    }

    fn find(&self, yield_id: YieldId) -> Option<CryptoHash> {
        let receiver_id = self.account_id.clone();
        // Only this runtime writes the key, so its bytes decode.
        self.update.get(&TrieKey::YieldIdToDataId { receiver_id, yield_id }).ok().flatten()
    }

    fn resume(&mut self, data_id: CryptoHash) -> bool {
        let receiver_id = self.account_id.clone();
        let receipt = TrieKey::PromiseYieldReceipt { receiver_id: receiver_id.clone(), data_id };
        let status = TrieKey::PromiseYieldStatus { receiver_id, data_id };
        if !self.update.contains(&receipt) && !self.update.contains(&status) {
            return false;
        }
        self.update.set(status, &PromiseYieldStatus::ResumeInitiated);
        true
    }
}

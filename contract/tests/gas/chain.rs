//! What the contract sees of the chain: entries and promises, charged as a node charges them.

use std::collections::BTreeMap;

use near_crypto::PublicKey;
use near_primitives_core::{
    hash::{CryptoHash, YieldId, hash},
    types::{AccountId, Balance, Gas, GasWeight, Nonce, NonceIndex},
    universal_state_init::{DecodeMode, RawStateInit, StateInitError, UniversalStateInitCounts},
};
use near_vm_runner::logic::{
    External, StorageAccessTracker, VMLogicError, ValuePtr,
    types::{ActionIndex, GlobalContractDeployMode, GlobalContractIdentifier, ReceiptIndex},
};

type Result<T> = std::result::Result<T, VMLogicError>;

/// Trie nodes on the path of a key: more than any that was seen on a network.
const PATH: u64 = 30;

/// A function call that was promised.
#[derive(Clone, Debug)]
pub(crate) struct Promised {
    pub(crate) method: Vec<u8>,
    pub(crate) args: Vec<u8>,
    pub(crate) gas: u64,
}

/// The chain around the contract.
#[derive(Default)]
pub(crate) struct Chain {
    trie: BTreeMap<Vec<u8>, Vec<u8>>,
    receivers: Vec<AccountId>,
    made: u64,
    pub(crate) calls: Vec<Promised>,
    pub(crate) resumed: Vec<Vec<u8>>,
}

struct Found<'a>(&'a [u8]);

impl ValuePtr for Found<'_> {
    fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap()
    }

    fn deref(&self, _: &mut dyn StorageAccessTracker) -> Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }
}

fn bytes(value: &[u8]) -> u64 {
    value.len() as u64
}

/// Host functions that the contract does not import.
fn not_imported() -> ! {
    panic!("the contract does not use this")
}

impl Chain {
    fn receipt(&mut self, receiver_id: AccountId) -> ReceiptIndex {
        self.receivers.push(receiver_id);
        self.receivers.len() as u64 - 1
    }
}

impl External for Chain {
    fn storage_set(
        &mut self,
        tracker: &mut dyn StorageAccessTracker,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let old = self.trie.insert(key.to_vec(), value.to_vec());
        if let Some(old) = &old {
            tracker.deref_write_evicted_value_bytes(bytes(old))?;
        }
        tracker.cached_trie_node_access(PATH)?;
        Ok(old)
    }

    fn storage_get(
        &self,
        _: &mut dyn StorageAccessTracker,
        key: &[u8],
    ) -> Result<Option<Box<dyn ValuePtr + '_>>> {
        Ok(self.trie.get(key).map(|value| Box::new(Found(value)) as Box<dyn ValuePtr>))
    }

    fn storage_remove(
        &mut self,
        tracker: &mut dyn StorageAccessTracker,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let old = self.trie.remove(key);
        if let Some(old) = &old {
            tracker.deref_removed_value_bytes(bytes(old))?;
        }
        tracker.cached_trie_node_access(PATH)?;
        Ok(old)
    }

    fn storage_has_key(&mut self, _: &mut dyn StorageAccessTracker, key: &[u8]) -> Result<bool> {
        Ok(self.trie.contains_key(key))
    }

    fn generate_data_id(&mut self) -> CryptoHash {
        self.made += 1;
        hash(&self.made.to_le_bytes())
    }

    fn get_recorded_storage_size(&self) -> usize {
        0
    }

    fn storage_proof_size_before_receipt(&self) -> usize {
        0
    }

    fn create_action_receipt(
        &mut self,
        _: Vec<ReceiptIndex>,
        receiver_id: AccountId,
    ) -> Result<ReceiptIndex> {
        Ok(self.receipt(receiver_id))
    }

    fn create_promise_yield_receipt(
        &mut self,
        receiver_id: AccountId,
    ) -> Result<(ReceiptIndex, CryptoHash)> {
        let data_id = self.generate_data_id();
        Ok((self.receipt(receiver_id), data_id))
    }

    fn submit_promise_resume_data(&mut self, _: CryptoHash, data: Vec<u8>) -> Result<bool> {
        self.resumed.push(data);
        Ok(true)
    }

    fn append_action_function_call_weight(
        &mut self,
        _: ReceiptIndex,
        method: Vec<u8>,
        args: Vec<u8>,
        _: Balance,
        gas: Gas,
        _: GasWeight,
    ) -> Result<()> {
        self.calls.push(Promised { method, args, gas: gas.as_gas() });
        Ok(())
    }

    fn append_action_transfer(&mut self, _: ReceiptIndex, _: Balance) {}

    fn append_action_deploy_contract(&mut self, _: ReceiptIndex, _: Vec<u8>) {}

    fn get_receipt_receiver(&self, receipt_index: ReceiptIndex) -> &AccountId {
        &self.receivers[usize::try_from(receipt_index).unwrap()]
    }

    fn validator_stake(&self, _: &AccountId) -> Result<Option<Balance>> {
        not_imported()
    }

    fn validator_total_stake(&self) -> Result<Balance> {
        not_imported()
    }

    fn chain_id(&self) -> String {
        not_imported()
    }

    fn create_promise_yield_receipt_with_id(
        &mut self,
        _: AccountId,
        _: YieldId,
    ) -> Result<Option<(ReceiptIndex, CryptoHash)>> {
        not_imported()
    }

    fn submit_promise_resume_data_with_yield_id(&mut self, _: YieldId, _: Vec<u8>) -> Result<bool> {
        not_imported()
    }

    fn append_action_create_account(&mut self, _: ReceiptIndex) {
        not_imported()
    }

    fn append_action_deploy_global_contract(
        &mut self,
        _: ReceiptIndex,
        _: Vec<u8>,
        _: GlobalContractDeployMode,
    ) {
        not_imported()
    }

    fn append_action_use_global_contract(&mut self, _: ReceiptIndex, _: GlobalContractIdentifier) {
        not_imported()
    }

    fn append_action_deterministic_state_init(
        &mut self,
        _: ReceiptIndex,
        _: GlobalContractIdentifier,
        _: Balance,
    ) -> ActionIndex {
        not_imported()
    }

    fn set_deterministic_state_init_data_entry(
        &mut self,
        _: ReceiptIndex,
        _: ActionIndex,
        _: Vec<u8>,
        _: Vec<u8>,
    ) -> Result<()> {
        not_imported()
    }

    fn check_state_init(&self, _: &RawStateInit) -> std::result::Result<(), StateInitError> {
        not_imported()
    }

    fn state_init_send_counts(&self, _: &RawStateInit, _: DecodeMode) -> UniversalStateInitCounts {
        not_imported()
    }

    fn append_action_universal_state_init(&mut self, _: ReceiptIndex, _: RawStateInit, _: Balance) {
        not_imported()
    }

    fn append_action_transfer_to_gas_key(&mut self, _: ReceiptIndex, _: PublicKey, _: Balance) {
        not_imported()
    }

    fn append_action_add_gas_key_with_full_access(
        &mut self,
        _: ReceiptIndex,
        _: PublicKey,
        _: NonceIndex,
    ) {
        not_imported()
    }

    fn append_action_add_gas_key_with_function_call(
        &mut self,
        _: ReceiptIndex,
        _: PublicKey,
        _: NonceIndex,
        _: Option<Balance>,
        _: AccountId,
        _: Vec<Vec<u8>>,
    ) -> Result<()> {
        not_imported()
    }

    fn append_action_stake(&mut self, _: ReceiptIndex, _: Balance, _: PublicKey) {
        not_imported()
    }

    fn append_action_add_key_with_full_access(&mut self, _: ReceiptIndex, _: PublicKey, _: Nonce) {
        not_imported()
    }

    fn append_action_add_key_with_function_call(
        &mut self,
        _: ReceiptIndex,
        _: PublicKey,
        _: Nonce,
        _: Option<Balance>,
        _: AccountId,
        _: Vec<Vec<u8>>,
    ) -> Result<()> {
        not_imported()
    }

    fn append_action_delete_key(&mut self, _: ReceiptIndex, _: PublicKey) {
        not_imported()
    }

    fn append_action_delete_account(&mut self, _: ReceiptIndex, _: AccountId) {
        not_imported()
    }

    fn set_refund_to(&mut self, _: ReceiptIndex, _: AccountId) {
        not_imported()
    }

    fn post_quantum_keys_enabled(&self) -> bool {
        true
    }
}

//! The chain as a contract sees it: the namespace's storage, and nothing else.
//!
//! near-vm-runner takes from its `External` no reason for ending a call that it would report with the gas burnt. So
//! the reason is kept here and the runner is given an error of its own; what is kept decides the verdict.

use std::{
    cell::RefCell,
    sync::mpsc::{Receiver, Sender},
};

use near_crypto::PublicKey;
use near_primitives_core::{
    hash::{CryptoHash, YieldId},
    types::{AccountId, Balance, Gas, GasWeight, Nonce, NonceIndex},
    universal_state_init::{DecodeMode, RawStateInit, StateInitError, UniversalStateInitCounts},
};
use near_vm_runner::logic::{
    External, HostError, StorageAccessTracker, VMLogicError, ValuePtr,
    types::{ActionIndex, GlobalContractDeployMode, GlobalContractIdentifier, ReceiptIndex},
};
use outlayer_guest::{
    Fault, Job, Stop,
    host::{Storage, check_key},
};

use crate::gas::TRIE_NODES;

type VmResult<T> = Result<T, VMLogicError>;

/// Promises and everything that is made of them.
const PROMISE: &str = "promises are refused: this guest cannot call contracts or transfer tokens";
const YIELD: &str = "yields are refused: this guest cannot wait for another transaction";
const VALIDATORS: &str = "the stakes of validators are not known here";
const CHAIN_ID: &str = "the chain's name is not known here";
const STATE_INIT: &str = "universal accounts are not known here";

/// What any error that the runner is given stands for.
fn stopped() -> VMLogicError {
    HostError::MemoryAccessViolation.into()
}

/// The way to the snapshot, which stays with the thread that executes the job.
pub(super) struct Source {
    ask: Sender<Vec<u8>>,
    answers: Receiver<Option<Vec<u8>>>,
}

impl Source {
    pub(super) fn new(ask: Sender<Vec<u8>>, answers: Receiver<Option<Vec<u8>>>) -> Self {
        Self { ask, answers }
    }

    fn fetch(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Stop> {
        // The other side hangs up when the snapshot has failed; it then knows better why.
        let gone = || Stop::Fault(Fault::engine("the snapshot has gone"));
        self.ask.send(key.to_vec()).map_err(|_| gone())?;
        self.answers.recv().map_err(|_| gone())
    }
}

/// A namespace during one call.
pub(super) struct Namespace {
    inner: RefCell<Inner>,
    account: AccountId,
}

struct Inner {
    storage: Storage,
    source: Source,
    stop: Option<Stop>,
}

impl Inner {
    /// Keeps the first reason for ending the call.
    fn stop(&mut self, stop: Stop) -> VMLogicError {
        self.stop.get_or_insert(stop);
        stopped()
    }

    /// What the contract sees at `key`.
    fn value(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Stop> {
        check_key(key)?;
        if let Some(known) = self.storage.known(key) {
            return Ok(known.map(<[u8]>::to_vec));
        }
        self.storage.admit_read()?;
        let value = self.source.fetch(key)?;
        self.storage.record_read(key.to_vec(), value.clone());
        Ok(value)
    }

    fn get(&mut self, key: &[u8]) -> VmResult<Option<Vec<u8>>> {
        self.value(key).map_err(|stop| self.stop(stop))
    }

    fn put(&mut self, key: &[u8], value: Option<&[u8]>) -> VmResult<()> {
        self.storage.write(key.to_vec(), value.map(<[u8]>::to_vec)).map_err(|stop| self.stop(stop))
    }
}

impl Namespace {
    pub(super) fn new(job: &Job<'_>, source: Source) -> Self {
        Self {
            inner: RefCell::new(Inner { storage: Storage::new(job.limits), source, stop: None }),
            account: job.context.contract_id.clone(),
        }
    }

    /// Why the namespace ended the call, if it did, and what was read and written.
    pub(super) fn into_parts(self) -> (Option<Stop>, Storage) {
        let inner = self.inner.into_inner();
        (inner.stop, inner.storage)
    }

    fn refuse(&self, reason: &'static str) -> VMLogicError {
        self.inner.borrow_mut().stop(Stop::Trap(reason))
    }
}

struct Value(Vec<u8>);

impl ValuePtr for Value {
    fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    fn deref(&self, _: &mut dyn StorageAccessTracker) -> VmResult<Vec<u8>> {
        Ok(self.0.clone())
    }
}

impl External for Namespace {
    fn storage_set(
        &mut self,
        tracker: &mut dyn StorageAccessTracker,
        key: &[u8],
        value: &[u8],
    ) -> VmResult<Option<Vec<u8>>> {
        let inner = self.inner.get_mut();
        let evicted = inner.get(key)?;
        if let Some(evicted) = &evicted {
            tracker.deref_write_evicted_value_bytes(evicted.len() as u64)?;
        }
        tracker.trie_node_touched(TRIE_NODES)?;
        inner.put(key, Some(value))?;
        Ok(evicted)
    }

    fn storage_get<'a>(
        &'a self,
        _: &mut dyn StorageAccessTracker,
        key: &[u8],
    ) -> VmResult<Option<Box<dyn ValuePtr + 'a>>> {
        let value = self.inner.borrow_mut().get(key)?;
        Ok(value.map(|value| Box::new(Value(value)) as Box<dyn ValuePtr>))
    }

    fn storage_remove(
        &mut self,
        tracker: &mut dyn StorageAccessTracker,
        key: &[u8],
    ) -> VmResult<Option<Vec<u8>>> {
        let inner = self.inner.get_mut();
        let removed = inner.get(key)?;
        if let Some(removed) = &removed {
            tracker.deref_removed_value_bytes(removed.len() as u64)?;
        }
        tracker.trie_node_touched(TRIE_NODES)?;
        inner.put(key, None)?;
        Ok(removed)
    }

    fn storage_has_key(&mut self, _: &mut dyn StorageAccessTracker, key: &[u8]) -> VmResult<bool> {
        Ok(self.inner.get_mut().get(key)?.is_some())
    }

    /// There is no proof to record.
    fn get_recorded_storage_size(&self) -> usize {
        0
    }

    fn storage_proof_size_before_receipt(&self) -> usize {
        0
    }

    fn validator_stake(&self, _: &AccountId) -> VmResult<Option<Balance>> {
        Err(self.refuse(VALIDATORS))
    }

    fn validator_total_stake(&self) -> VmResult<Balance> {
        Err(self.refuse(VALIDATORS))
    }

    // A function that cannot fail only leaves its reason; the call goes on, to the same verdict.

    fn chain_id(&self) -> String {
        let _ = self.refuse(CHAIN_ID);
        String::new()
    }

    fn generate_data_id(&mut self) -> CryptoHash {
        let _ = self.refuse(YIELD);
        CryptoHash::default()
    }

    fn create_action_receipt(
        &mut self,
        _: Vec<ReceiptIndex>,
        _: AccountId,
    ) -> VmResult<ReceiptIndex> {
        Err(self.refuse(PROMISE))
    }

    fn create_promise_yield_receipt(
        &mut self,
        _: AccountId,
    ) -> VmResult<(ReceiptIndex, CryptoHash)> {
        Err(self.refuse(YIELD))
    }

    fn create_promise_yield_receipt_with_id(
        &mut self,
        _: AccountId,
        _: YieldId,
    ) -> VmResult<Option<(ReceiptIndex, CryptoHash)>> {
        Err(self.refuse(YIELD))
    }

    fn submit_promise_resume_data(&mut self, _: CryptoHash, _: Vec<u8>) -> VmResult<bool> {
        Err(self.refuse(YIELD))
    }

    fn submit_promise_resume_data_with_yield_id(
        &mut self,
        _: YieldId,
        _: Vec<u8>,
    ) -> VmResult<bool> {
        Err(self.refuse(YIELD))
    }

    fn check_state_init(&self, _: &RawStateInit) -> Result<(), StateInitError> {
        let _ = self.refuse(STATE_INIT);
        Ok(())
    }

    // No receipt can be made, so nothing can be added to one.

    fn state_init_send_counts(&self, _: &RawStateInit, _: DecodeMode) -> UniversalStateInitCounts {
        let _ = self.refuse(PROMISE);
        UniversalStateInitCounts::default()
    }

    fn append_action_create_account(&mut self, _: ReceiptIndex) {
        let _ = self.refuse(PROMISE);
    }

    fn append_action_deploy_contract(&mut self, _: ReceiptIndex, _: Vec<u8>) {
        let _ = self.refuse(PROMISE);
    }

    fn append_action_deploy_global_contract(
        &mut self,
        _: ReceiptIndex,
        _: Vec<u8>,
        _: GlobalContractDeployMode,
    ) {
        let _ = self.refuse(PROMISE);
    }

    fn append_action_use_global_contract(&mut self, _: ReceiptIndex, _: GlobalContractIdentifier) {
        let _ = self.refuse(PROMISE);
    }

    fn append_action_deterministic_state_init(
        &mut self,
        _: ReceiptIndex,
        _: GlobalContractIdentifier,
        _: Balance,
    ) -> ActionIndex {
        let _ = self.refuse(PROMISE);
        0
    }

    fn set_deterministic_state_init_data_entry(
        &mut self,
        _: ReceiptIndex,
        _: ActionIndex,
        _: Vec<u8>,
        _: Vec<u8>,
    ) -> VmResult<()> {
        Err(self.refuse(PROMISE))
    }

    fn append_action_universal_state_init(&mut self, _: ReceiptIndex, _: RawStateInit, _: Balance) {
        let _ = self.refuse(PROMISE);
    }

    fn append_action_function_call_weight(
        &mut self,
        _: ReceiptIndex,
        _: Vec<u8>,
        _: Vec<u8>,
        _: Balance,
        _: Gas,
        _: GasWeight,
    ) -> VmResult<()> {
        Err(self.refuse(PROMISE))
    }

    fn append_action_transfer(&mut self, _: ReceiptIndex, _: Balance) {
        let _ = self.refuse(PROMISE);
    }

    fn append_action_transfer_to_gas_key(&mut self, _: ReceiptIndex, _: PublicKey, _: Balance) {
        let _ = self.refuse(PROMISE);
    }

    fn append_action_add_gas_key_with_full_access(
        &mut self,
        _: ReceiptIndex,
        _: PublicKey,
        _: NonceIndex,
    ) {
        let _ = self.refuse(PROMISE);
    }

    fn append_action_add_gas_key_with_function_call(
        &mut self,
        _: ReceiptIndex,
        _: PublicKey,
        _: NonceIndex,
        _: Option<Balance>,
        _: AccountId,
        _: Vec<Vec<u8>>,
    ) -> VmResult<()> {
        Err(self.refuse(PROMISE))
    }

    fn append_action_stake(&mut self, _: ReceiptIndex, _: Balance, _: PublicKey) {
        let _ = self.refuse(PROMISE);
    }

    fn append_action_add_key_with_full_access(&mut self, _: ReceiptIndex, _: PublicKey, _: Nonce) {
        let _ = self.refuse(PROMISE);
    }

    fn append_action_add_key_with_function_call(
        &mut self,
        _: ReceiptIndex,
        _: PublicKey,
        _: Nonce,
        _: Option<Balance>,
        _: AccountId,
        _: Vec<Vec<u8>>,
    ) -> VmResult<()> {
        Err(self.refuse(PROMISE))
    }

    fn append_action_delete_key(&mut self, _: ReceiptIndex, _: PublicKey) {
        let _ = self.refuse(PROMISE);
    }

    fn append_action_delete_account(&mut self, _: ReceiptIndex, _: AccountId) {
        let _ = self.refuse(PROMISE);
    }

    fn get_receipt_receiver(&self, _: ReceiptIndex) -> &AccountId {
        let _ = self.refuse(PROMISE);
        &self.account
    }

    fn set_refund_to(&mut self, _: ReceiptIndex, _: AccountId) {
        let _ = self.refuse(PROMISE);
    }

    /// As at the pinned protocol version.
    fn post_quantum_keys_enabled(&self) -> bool {
        true
    }
}

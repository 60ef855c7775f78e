//! What a running contract sees of the chain (`runtime/runtime/src/ext.rs` in nearcore).

use super::receipt_manager::{NewResume, ReceiptManager};
use super::update::{Found, NodeCount, StateUpdate};
use crate::state::{Value, contract_data_key};
use near_crypto::PublicKey;
use near_primitives::account::{
    AccessKey, AccessKeyPermission, FunctionCallPermission, GasKeyInfo,
};
use near_primitives::action::{
    Action, AddKeyAction, CreateAccountAction, DeleteAccountAction, DeleteKeyAction,
    DeployContractAction, DeployGlobalContractAction, DeterministicStateInitAction,
    FunctionCallAction, GlobalContractDeployMode, StakeAction, TransferAction,
    TransferToGasKeyAction, UniversalStateInitAction, UseGlobalContractAction,
};
use near_primitives::deterministic_account_id::{
    DeterministicAccountStateInit, DeterministicAccountStateInitV1,
};
use near_primitives::hash::{CryptoHash, YieldId};
use near_primitives::trie_key::TrieKey;
use near_primitives::types::{
    AccountId, Balance, BlockHeight, Gas, GasWeight, Nonce, NonceIndex, PromiseYieldStatus,
};
use near_primitives::utils::create_receipt_id_from_action_hash;
use near_primitives_core::universal_state_init::{
    DecodeMode, RawStateInit, StateInitError, UniversalStateInitCounts,
};
use near_vm_runner::logic::types::{
    ActionIndex, GlobalContractDeployMode as VmDeployMode,
    GlobalContractIdentifier as VmContractIdentifier, ReceiptIndex,
};
use near_vm_runner::logic::{External, HostError, StorageAccessTracker, VMLogicError, ValuePtr};
use std::collections::BTreeMap;
use std::sync::Arc;

type VmResult<T> = Result<T, VMLogicError>;

/// The chain as one call sees it.
pub(super) struct CallExternal<'a> {
    pub(super) update: &'a mut StateUpdate,
    pub(super) manager: ReceiptManager,
    pub(super) account_id: AccountId,
    pub(super) action_hash: CryptoHash,
    pub(super) height: BlockHeight,
    /// Ids of data made so far by this action.
    pub(super) data_count: u64,
    pub(super) validators: Arc<BTreeMap<AccountId, Balance>>,
    pub(super) chain_id: &'a str,
    pub(super) post_quantum: bool,
    /// Bytes of storage proof recorded before the receipt; none when each call counts for itself.
    pub(super) recorded_before: Option<u64>,
}

impl CallExternal<'_> {
    fn add_key(&mut self, index: ReceiptIndex, public_key: PublicKey, access_key: AccessKey) {
        let add = AddKeyAction { public_key, access_key };
        self.manager.append(index, Action::AddKey(Box::new(add)));
    }

    fn yield_key(&self, data_id: CryptoHash) -> (TrieKey, TrieKey) {
        let receiver_id = self.account_id.clone();
        (
            TrieKey::PromiseYieldReceipt { receiver_id: receiver_id.clone(), data_id },
            TrieKey::PromiseYieldStatus { receiver_id, data_id },
        )
    }
}

fn charge_nodes(tracker: &mut dyn StorageAccessTracker, count: NodeCount) -> VmResult<()> {
    tracker.trie_node_touched(count.first)?;
    tracker.cached_trie_node_access(count.again)
}

fn value_len(value: &Value) -> u64 {
    super::amounts::len(value)
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
            charge_nodes(tracker, self.update.note_value_read(value))?;
        }
        Ok(self.found.value().to_vec())
    }
}

fn method_names(names: Vec<Vec<u8>>) -> VmResult<Vec<String>> {
    names
        .into_iter()
        .map(|name| String::from_utf8(name).map_err(|_| HostError::InvalidMethodName.into()))
        .collect()
}

fn call_permission(
    allowance: Option<Balance>,
    receiver_id: &AccountId,
    names: Vec<Vec<u8>>,
) -> VmResult<FunctionCallPermission> {
    Ok(FunctionCallPermission {
        allowance,
        receiver_id: receiver_id.to_string(),
        method_names: method_names(names)?,
    })
}

impl External for CallExternal<'_> {
    fn storage_set(
        &mut self,
        tracker: &mut dyn StorageAccessTracker,
        key: &[u8],
        value: &[u8],
    ) -> VmResult<Option<Vec<u8>>> {
        let key = contract_data_key(&self.account_id, key);
        let (old, count) = self.update.find_for_write(&key);
        if let Some(old) = &old {
            tracker.deref_write_evicted_value_bytes(value_len(old))?;
        }
        charge_nodes(tracker, count)?;
        self.update.set_raw(key, value);
        Ok(old.map(|old| old.to_vec()))
    }

    fn storage_get<'b>(
        &'b self,
        _tracker: &mut dyn StorageAccessTracker,
        key: &[u8],
    ) -> VmResult<Option<Box<dyn ValuePtr + 'b>>> {
        let found = self.update.find(&contract_data_key(&self.account_id, key));
        Ok(found.map(|found| {
            let pointer = FoundPtr { found, update: &*self.update };
            Box::new(pointer) as Box<dyn ValuePtr + 'b>
        }))
    }

    fn storage_remove(
        &mut self,
        tracker: &mut dyn StorageAccessTracker,
        key: &[u8],
    ) -> VmResult<Option<Vec<u8>>> {
        let key = contract_data_key(&self.account_id, key);
        let (old, count) = self.update.find_for_write(&key);
        if let Some(old) = &old {
            tracker.deref_removed_value_bytes(value_len(old))?;
        }
        self.update.remove(key);
        charge_nodes(tracker, count)?;
        Ok(old.map(|old| old.to_vec()))
    }

    fn storage_has_key(
        &mut self,
        _tracker: &mut dyn StorageAccessTracker,
        key: &[u8],
    ) -> VmResult<bool> {
        Ok(self.update.find(&contract_data_key(&self.account_id, key)).is_some())
    }

    fn generate_data_id(&mut self) -> CryptoHash {
        let data_id =
            create_receipt_id_from_action_hash(&self.action_hash, self.height, self.data_count);
        self.data_count += 1;
        data_id
    }

    fn get_recorded_storage_size(&self) -> usize {
        usize::try_from(self.update.recorded_size()).unwrap_or(usize::MAX)
    }

    fn storage_proof_size_before_receipt(&self) -> usize {
        match self.recorded_before {
            Some(size) => usize::try_from(size).unwrap_or(usize::MAX),
            None => self.get_recorded_storage_size(),
        }
    }

    fn validator_stake(&self, account_id: &AccountId) -> VmResult<Option<Balance>> {
        Ok(self.validators.get(account_id).copied())
    }

    fn validator_total_stake(&self) -> VmResult<Balance> {
        Ok(self.validators.values().fold(Balance::ZERO, |sum, stake| sum.saturating_add(*stake)))
    }

    fn chain_id(&self) -> String {
        self.chain_id.to_owned()
    }

    fn create_action_receipt(
        &mut self,
        receipt_indices: Vec<ReceiptIndex>,
        receiver_id: AccountId,
    ) -> VmResult<ReceiptIndex> {
        let dependencies =
            receipt_indices.into_iter().map(|index| (index, self.generate_data_id())).collect();
        self.manager.create(dependencies, receiver_id)
    }

    fn create_promise_yield_receipt(
        &mut self,
        receiver_id: AccountId,
    ) -> VmResult<(ReceiptIndex, CryptoHash)> {
        let data_id = self.generate_data_id();
        let status = TrieKey::PromiseYieldStatus { receiver_id: receiver_id.clone(), data_id };
        self.update.set(status, &PromiseYieldStatus::Yielded);
        Ok((self.manager.create_yield(data_id, receiver_id), data_id))
    }

    fn create_promise_yield_receipt_with_id(
        &mut self,
        receiver_id: AccountId,
        yield_id: YieldId,
    ) -> VmResult<Option<(ReceiptIndex, CryptoHash)>> {
        let forward = TrieKey::YieldIdToDataId { receiver_id: receiver_id.clone(), yield_id };
        if self.update.contains(&forward) {
            return Ok(None);
        }
        let (index, data_id) = self.create_promise_yield_receipt(receiver_id.clone())?;
        self.update.set(forward, &data_id);
        self.update.set(TrieKey::DataIdToYieldId { receiver_id, data_id }, &yield_id);
        Ok(Some((index, data_id)))
    }

    fn submit_promise_resume_data(&mut self, data_id: CryptoHash, data: Vec<u8>) -> VmResult<bool> {
        let (receipt, status) = self.yield_key(data_id);
        if !self.update.contains(&receipt) && !self.update.contains(&status) {
            return Ok(false);
        }
        self.manager.resumes.push(NewResume { data_id, data });
        self.update.set(status, &PromiseYieldStatus::ResumeInitiated);
        Ok(true)
    }

    fn submit_promise_resume_data_with_yield_id(
        &mut self,
        yield_id: YieldId,
        data: Vec<u8>,
    ) -> VmResult<bool> {
        let receiver_id = self.account_id.clone();
        let found = self.update.get(&TrieKey::YieldIdToDataId { receiver_id, yield_id });
        match found {
            Ok(Some(data_id)) => self.submit_promise_resume_data(data_id, data),
            // Only this engine writes the key, so its bytes decode.
            Ok(None) | Err(_) => Ok(false),
        }
    }

    fn append_action_create_account(&mut self, index: ReceiptIndex) {
        self.manager.append(index, Action::CreateAccount(CreateAccountAction {}));
    }

    fn append_action_deploy_contract(&mut self, index: ReceiptIndex, code: Vec<u8>) {
        self.manager.append(index, Action::DeployContract(DeployContractAction { code }));
    }

    fn append_action_deploy_global_contract(
        &mut self,
        index: ReceiptIndex,
        code: Vec<u8>,
        mode: VmDeployMode,
    ) {
        let deploy_mode = match mode {
            VmDeployMode::CodeHash => GlobalContractDeployMode::CodeHash,
            VmDeployMode::AccountId => GlobalContractDeployMode::AccountId,
        };
        let deploy = DeployGlobalContractAction { code: code.into(), deploy_mode };
        self.manager.append(index, Action::DeployGlobalContract(deploy));
    }

    fn append_action_use_global_contract(
        &mut self,
        index: ReceiptIndex,
        contract_id: VmContractIdentifier,
    ) {
        let usage = UseGlobalContractAction { contract_identifier: contract_id.into() };
        self.manager.append(index, Action::UseGlobalContract(Box::new(usage)));
    }

    fn append_action_deterministic_state_init(
        &mut self,
        index: ReceiptIndex,
        contract_id: VmContractIdentifier,
        amount: Balance,
    ) -> ActionIndex {
        let state_init = DeterministicAccountStateInit::V1(DeterministicAccountStateInitV1 {
            code: contract_id.into(),
            data: BTreeMap::new(),
        });
        let init = DeterministicStateInitAction { state_init, deposit: amount };
        let action = Action::DeterministicStateInit(Box::new(init));
        super::amounts::count(self.manager.append(index, action))
    }

    fn set_deterministic_state_init_data_entry(
        &mut self,
        receipt_index: ReceiptIndex,
        action_index: ActionIndex,
        key: Vec<u8>,
        value: Vec<u8>,
    ) -> VmResult<()> {
        let action = usize::try_from(action_index)
            .ok()
            .and_then(|at| self.manager.get_mut(receipt_index)?.actions.get_mut(at));
        let Some(Action::DeterministicStateInit(init)) = action else {
            return Err(HostError::InvalidActionIndex { receipt_index, action_index }.into());
        };
        let DeterministicAccountStateInit::V1(state) = &mut init.state_init;
        match state.data.insert(key, value) {
            None => Ok(()),
            Some(_) => Err(HostError::DataEntryAlreadyExists.into()),
        }
    }

    fn check_state_init(&self, _state_init: &RawStateInit) -> Result<(), StateInitError> {
        Ok(())
    }

    fn state_init_send_counts(
        &self,
        state_init: &RawStateInit,
        _mode: DecodeMode,
    ) -> UniversalStateInitCounts {
        UniversalStateInitCounts {
            num_bytes: super::amounts::len(&state_init.0),
            ..UniversalStateInitCounts::default()
        }
    }

    fn append_action_universal_state_init(
        &mut self,
        index: ReceiptIndex,
        state_init: RawStateInit,
        amount: Balance,
    ) {
        let init = UniversalStateInitAction { state_init, deposit: amount };
        self.manager.append(index, Action::UniversalStateInit(Box::new(init)));
    }

    fn append_action_function_call_weight(
        &mut self,
        index: ReceiptIndex,
        method_name: Vec<u8>,
        args: Vec<u8>,
        attached_deposit: Balance,
        prepaid_gas: Gas,
        gas_weight: GasWeight,
    ) -> VmResult<()> {
        let method_name =
            String::from_utf8(method_name).map_err(|_| HostError::InvalidMethodName)?;
        let call =
            FunctionCallAction { method_name, args, gas: prepaid_gas, deposit: attached_deposit };
        self.manager.append_call(index, call, gas_weight);
        Ok(())
    }

    fn append_action_transfer(&mut self, index: ReceiptIndex, deposit: Balance) {
        self.manager.append(index, Action::Transfer(TransferAction { deposit }));
    }

    fn append_action_transfer_to_gas_key(
        &mut self,
        index: ReceiptIndex,
        public_key: PublicKey,
        deposit: Balance,
    ) {
        let transfer = TransferToGasKeyAction { public_key, deposit };
        self.manager.append(index, Action::TransferToGasKey(Box::new(transfer)));
    }

    fn append_action_add_gas_key_with_full_access(
        &mut self,
        index: ReceiptIndex,
        public_key: PublicKey,
        num_nonces: NonceIndex,
    ) {
        self.add_key(index, public_key, AccessKey::gas_key_full_access(num_nonces));
    }

    fn append_action_add_gas_key_with_function_call(
        &mut self,
        index: ReceiptIndex,
        public_key: PublicKey,
        num_nonces: NonceIndex,
        allowance: Option<Balance>,
        receiver_id: AccountId,
        names: Vec<Vec<u8>>,
    ) -> VmResult<()> {
        let info = GasKeyInfo { balance: Balance::ZERO, num_nonces };
        let call = call_permission(allowance, &receiver_id, names)?;
        let permission = AccessKeyPermission::GasKeyFunctionCall(info, call);
        self.add_key(index, public_key, AccessKey { nonce: 0, permission });
        Ok(())
    }

    fn append_action_stake(&mut self, index: ReceiptIndex, stake: Balance, public_key: PublicKey) {
        self.manager.append(index, Action::Stake(Box::new(StakeAction { stake, public_key })));
    }

    fn append_action_add_key_with_full_access(
        &mut self,
        index: ReceiptIndex,
        public_key: PublicKey,
        nonce: Nonce,
    ) {
        let permission = AccessKeyPermission::FullAccess;
        self.add_key(index, public_key, AccessKey { nonce, permission });
    }

    fn append_action_add_key_with_function_call(
        &mut self,
        index: ReceiptIndex,
        public_key: PublicKey,
        nonce: Nonce,
        allowance: Option<Balance>,
        receiver_id: AccountId,
        names: Vec<Vec<u8>>,
    ) -> VmResult<()> {
        let call = call_permission(allowance, &receiver_id, names)?;
        let permission = AccessKeyPermission::FunctionCall(call);
        self.add_key(index, public_key, AccessKey { nonce, permission });
        Ok(())
    }

    fn append_action_delete_key(&mut self, index: ReceiptIndex, public_key: PublicKey) {
        self.manager.append(index, Action::DeleteKey(Box::new(DeleteKeyAction { public_key })));
    }

    fn append_action_delete_account(&mut self, index: ReceiptIndex, beneficiary_id: AccountId) {
        self.manager.append(index, Action::DeleteAccount(DeleteAccountAction { beneficiary_id }));
    }

    fn get_receipt_receiver(&self, index: ReceiptIndex) -> &AccountId {
        // The VM only asks for receipts that it made.
        self.manager.get(index).map_or(&self.account_id, |receipt| &receipt.receiver_id)
    }

    fn set_refund_to(&mut self, index: ReceiptIndex, refund_to: AccountId) {
        if let Some(receipt) = self.manager.get_mut(index) {
            receipt.refund_to = Some(refund_to);
        }
    }

    fn post_quantum_keys_enabled(&self) -> bool {
        self.post_quantum
    }
}

//! near-vm-runner's `External` over a [`Chain`].

use std::collections::BTreeMap;

use near_crypto::PublicKey;
use near_primitives::{
    action::{
        Action, AddKeyAction, CreateAccountAction, DeleteAccountAction, DeleteKeyAction,
        DeployContractAction, DeployGlobalContractAction, DeterministicStateInitAction,
        FunctionCallAction, GlobalContractDeployMode, StakeAction, TransferAction,
        TransferToGasKeyAction, UniversalStateInitAction, UseGlobalContractAction,
    },
    universal_state_init::{UniversalStateInit, state_init_send_counts},
};
use near_primitives_core::{
    account::{AccessKey, AccessKeyPermission, FunctionCallPermission, GasKeyInfo},
    deterministic_account_id::{DeterministicAccountStateInit, DeterministicAccountStateInitV1},
    hash::{CryptoHash, YieldId},
    types::{AccountId, Balance, Gas, GasWeight, Nonce, NonceIndex},
    universal_state_init::{DecodeMode, RawStateInit, StateInitError, UniversalStateInitCounts},
};
use near_vm_runner::logic::{
    External, HostError, StorageAccessTracker, ValuePtr,
    types::{
        ActionIndex, GlobalContractDeployMode as VmDeployMode, GlobalContractIdentifier,
        ReceiptIndex,
    },
};

use crate::{chain::Chain, storage::Charges, vm_result::VmResult};

/// A chain in the form that near-vm-runner takes:
/// `near_vm_runner::run(contract, &mut Host(&mut chain), &context, fees)`.
pub struct Host<'a, C>(pub &'a mut C);

impl<C: Chain> Host<'_, C> {
    /// Adds an action to a receipt and gives its place. An error is lost here, but it can only be a
    /// refusal, which the chain remembers.
    fn append(&mut self, receipt: ReceiptIndex, action: Action) -> ActionIndex {
        match self.0.admit(&action).and_then(|()| self.0.receipts()) {
            Ok(receipts) => receipts.append(receipt, action),
            Err(_) => 0,
        }
    }

    fn add_key(
        &mut self,
        receipt: ReceiptIndex,
        public_key: PublicKey,
        nonce: Nonce,
        permission: AccessKeyPermission,
    ) {
        let access_key = AccessKey { nonce, permission };
        let add = AddKeyAction { public_key, access_key };
        self.append(receipt, Action::AddKey(Box::new(add)));
    }
}

fn method_name(name: Vec<u8>) -> VmResult<String> {
    String::from_utf8(name).map_err(|_| HostError::InvalidMethodName.into())
}

fn call_permission(
    allowance: Option<Balance>,
    receiver_id: &AccountId,
    names: Vec<Vec<u8>>,
) -> VmResult<FunctionCallPermission> {
    let method_names = names.into_iter().map(method_name).collect::<VmResult<_>>()?;
    Ok(FunctionCallPermission { allowance, receiver_id: receiver_id.to_string(), method_names })
}

impl<C: Chain> External for Host<'_, C> {
    fn storage_set(
        &mut self,
        tracker: &mut dyn StorageAccessTracker,
        key: &[u8],
        value: &[u8],
    ) -> VmResult<Option<Vec<u8>>> {
        self.0.replace(&mut Charges::of_write(tracker), key, Some(value))
    }

    fn storage_get<'b>(
        &'b self,
        _: &mut dyn StorageAccessTracker,
        key: &[u8],
    ) -> VmResult<Option<Box<dyn ValuePtr + 'b>>> {
        self.0.read(key)
    }

    fn storage_remove(
        &mut self,
        tracker: &mut dyn StorageAccessTracker,
        key: &[u8],
    ) -> VmResult<Option<Vec<u8>>> {
        self.0.replace(&mut Charges::of_removal(tracker), key, None)
    }

    fn storage_has_key(&mut self, _: &mut dyn StorageAccessTracker, key: &[u8]) -> VmResult<bool> {
        Ok(self.0.read(key)?.is_some())
    }

    fn get_recorded_storage_size(&self) -> usize {
        self.0.recorded_bytes()
    }

    fn storage_proof_size_before_receipt(&self) -> usize {
        self.0.recorded_bytes_before_receipt()
    }

    fn validator_stake(&self, account_id: &AccountId) -> VmResult<Option<Balance>> {
        Ok(self.0.validators()?.get(account_id).copied())
    }

    fn validator_total_stake(&self) -> VmResult<Balance> {
        let stakes = self.0.validators()?.values();
        Ok(stakes.fold(Balance::ZERO, |sum, stake| sum.saturating_add(*stake)))
    }

    fn chain_id(&self) -> String {
        self.0.chain_id().unwrap_or_default().to_owned()
    }

    fn generate_data_id(&mut self) -> CryptoHash {
        self.0.receipts().map(|receipts| receipts.new_data_id()).unwrap_or_default()
    }

    fn create_action_receipt(
        &mut self,
        dependencies: Vec<ReceiptIndex>,
        receiver_id: AccountId,
    ) -> VmResult<ReceiptIndex> {
        self.0.receipts()?.create(&dependencies, receiver_id)
    }

    fn create_promise_yield_receipt(
        &mut self,
        receiver_id: AccountId,
    ) -> VmResult<(ReceiptIndex, CryptoHash)> {
        let data_id = self.0.yields()?.begin(&receiver_id);
        Ok((self.0.receipts()?.create_yield(data_id, receiver_id), data_id))
    }

    fn create_promise_yield_receipt_with_id(
        &mut self,
        receiver_id: AccountId,
        yield_id: YieldId,
    ) -> VmResult<Option<(ReceiptIndex, CryptoHash)>> {
        let Some(data_id) = self.0.yields()?.begin_as(&receiver_id, yield_id) else {
            return Ok(None);
        };
        Ok(Some((self.0.receipts()?.create_yield(data_id, receiver_id), data_id)))
    }

    fn submit_promise_resume_data(&mut self, data_id: CryptoHash, data: Vec<u8>) -> VmResult<bool> {
        let resumed = self.0.yields()?.resume(data_id);
        if resumed {
            self.0.receipts()?.resume(data_id, data);
        }
        Ok(resumed)
    }

    fn submit_promise_resume_data_with_yield_id(
        &mut self,
        yield_id: YieldId,
        data: Vec<u8>,
    ) -> VmResult<bool> {
        match self.0.yields()?.find(yield_id) {
            Some(data_id) => self.submit_promise_resume_data(data_id, data),
            None => Ok(false),
        }
    }

    fn get_receipt_receiver(&self, receipt: ReceiptIndex) -> &AccountId {
        self.0.receiver(receipt)
    }

    fn set_refund_to(&mut self, receipt: ReceiptIndex, refund_to: AccountId) {
        if let Some(receipt) = self.0.receipts().ok().and_then(|made| made.get_mut(receipt)) {
            receipt.refund_to = Some(refund_to);
        }
    }

    fn append_action_create_account(&mut self, receipt: ReceiptIndex) {
        self.append(receipt, Action::CreateAccount(CreateAccountAction {}));
    }

    fn append_action_deploy_contract(&mut self, receipt: ReceiptIndex, code: Vec<u8>) {
        self.append(receipt, Action::DeployContract(DeployContractAction { code }));
    }

    fn append_action_deploy_global_contract(
        &mut self,
        receipt: ReceiptIndex,
        code: Vec<u8>,
        mode: VmDeployMode,
    ) {
        let deploy_mode = match mode {
            VmDeployMode::CodeHash => GlobalContractDeployMode::CodeHash,
            VmDeployMode::AccountId => GlobalContractDeployMode::AccountId,
        };
        let deploy = DeployGlobalContractAction { code: code.into(), deploy_mode };
        self.append(receipt, Action::DeployGlobalContract(deploy));
    }

    fn append_action_use_global_contract(
        &mut self,
        receipt: ReceiptIndex,
        contract: GlobalContractIdentifier,
    ) {
        let usage = UseGlobalContractAction { contract_identifier: contract.into() };
        self.append(receipt, Action::UseGlobalContract(Box::new(usage)));
    }

    fn append_action_deterministic_state_init(
        &mut self,
        receipt: ReceiptIndex,
        contract: GlobalContractIdentifier,
        deposit: Balance,
    ) -> ActionIndex {
        let state_init = DeterministicAccountStateInit::V1(DeterministicAccountStateInitV1 {
            code: contract.into(),
            data: BTreeMap::new(),
        });
        let init = DeterministicStateInitAction { state_init, deposit };
        self.append(receipt, Action::DeterministicStateInit(Box::new(init)))
    }

    fn set_deterministic_state_init_data_entry(
        &mut self,
        receipt_index: ReceiptIndex,
        action_index: ActionIndex,
        key: Vec<u8>,
        value: Vec<u8>,
    ) -> VmResult<()> {
        let action = self.0.receipts()?.action_mut(receipt_index, action_index);
        let Some(Action::DeterministicStateInit(init)) = action else {
            return Err(HostError::InvalidActionIndex { receipt_index, action_index }.into());
        };
        let DeterministicAccountStateInit::V1(state) = &mut init.state_init;
        match state.data.insert(key, value) {
            None => Ok(()),
            Some(_) => Err(HostError::DataEntryAlreadyExists.into()),
        }
    }

    fn check_state_init(&self, state_init: &RawStateInit) -> Result<(), StateInitError> {
        // This method cannot refuse, so a chain that does remembers it.
        if self.0.universal_accounts().is_err() {
            return Ok(());
        }
        UniversalStateInit::from_raw_strict(state_init).map(|_| ())
    }

    fn state_init_send_counts(
        &self,
        state_init: &RawStateInit,
        mode: DecodeMode,
    ) -> UniversalStateInitCounts {
        state_init_send_counts(state_init, mode)
    }

    fn append_action_universal_state_init(
        &mut self,
        receipt: ReceiptIndex,
        state_init: RawStateInit,
        deposit: Balance,
    ) {
        let init = UniversalStateInitAction { state_init, deposit };
        self.append(receipt, Action::UniversalStateInit(Box::new(init)));
    }

    fn append_action_function_call_weight(
        &mut self,
        receipt: ReceiptIndex,
        name: Vec<u8>,
        args: Vec<u8>,
        deposit: Balance,
        gas: Gas,
        weight: GasWeight,
    ) -> VmResult<()> {
        let call = FunctionCallAction { method_name: method_name(name)?, args, gas, deposit };
        self.0.admit(&Action::FunctionCall(Box::new(call.clone())))?;
        self.0.receipts()?.append_call(receipt, call, weight);
        Ok(())
    }

    fn append_action_transfer(&mut self, receipt: ReceiptIndex, deposit: Balance) {
        self.append(receipt, Action::Transfer(TransferAction { deposit }));
    }

    fn append_action_transfer_to_gas_key(
        &mut self,
        receipt: ReceiptIndex,
        public_key: PublicKey,
        deposit: Balance,
    ) {
        let transfer = TransferToGasKeyAction { public_key, deposit };
        self.append(receipt, Action::TransferToGasKey(Box::new(transfer)));
    }

    fn append_action_stake(
        &mut self,
        receipt: ReceiptIndex,
        stake: Balance,
        public_key: PublicKey,
    ) {
        self.append(receipt, Action::Stake(Box::new(StakeAction { stake, public_key })));
    }

    fn append_action_add_key_with_full_access(
        &mut self,
        receipt: ReceiptIndex,
        public_key: PublicKey,
        nonce: Nonce,
    ) {
        self.add_key(receipt, public_key, nonce, AccessKeyPermission::FullAccess);
    }

    fn append_action_add_key_with_function_call(
        &mut self,
        receipt: ReceiptIndex,
        public_key: PublicKey,
        nonce: Nonce,
        allowance: Option<Balance>,
        receiver_id: AccountId,
        names: Vec<Vec<u8>>,
    ) -> VmResult<()> {
        let call = call_permission(allowance, &receiver_id, names)?;
        self.add_key(receipt, public_key, nonce, AccessKeyPermission::FunctionCall(call));
        Ok(())
    }

    fn append_action_add_gas_key_with_full_access(
        &mut self,
        receipt: ReceiptIndex,
        public_key: PublicKey,
        num_nonces: NonceIndex,
    ) {
        let key = AccessKey::gas_key_full_access(num_nonces);
        self.add_key(receipt, public_key, key.nonce, key.permission);
    }

    fn append_action_add_gas_key_with_function_call(
        &mut self,
        receipt: ReceiptIndex,
        public_key: PublicKey,
        num_nonces: NonceIndex,
        allowance: Option<Balance>,
        receiver_id: AccountId,
        names: Vec<Vec<u8>>,
    ) -> VmResult<()> {
        let info = GasKeyInfo { balance: Balance::ZERO, num_nonces };
        let call = call_permission(allowance, &receiver_id, names)?;
        let permission = AccessKeyPermission::GasKeyFunctionCall(info, call);
        self.add_key(receipt, public_key, 0, permission);
        Ok(())
    }

    fn append_action_delete_key(&mut self, receipt: ReceiptIndex, public_key: PublicKey) {
        self.append(receipt, Action::DeleteKey(Box::new(DeleteKeyAction { public_key })));
    }

    fn append_action_delete_account(&mut self, receipt: ReceiptIndex, beneficiary_id: AccountId) {
        self.append(receipt, Action::DeleteAccount(DeleteAccountAction { beneficiary_id }));
    }

    fn post_quantum_keys_enabled(&self) -> bool {
        self.0.post_quantum_keys()
    }
}

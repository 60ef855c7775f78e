//! Queries of the state after one block.

use std::{num::NonZeroU32, sync::Arc};

use near_crypto::{PublicKey, PublicKeyHandle};
use near_jsonrpc_primitives::types::query::{QueryResponseKind, RpcQueryError};
use near_primitives::{
    account::{AccessKey, Account, AccountContract},
    action::GlobalContractIdentifier,
    errors::FunctionCallError,
    hash::CryptoHash,
    trie_key::{GlobalContractCodeIdentifier, TrieKey, trie_key_parsers},
    types::{AccountId, BlockId, BlockReference},
    views::{
        AccessKeyInfoView, AccessKeyList, CallResult, ContractCodeView, GasKeyNoncesView,
        QueryRequest, StateItem, ViewStateResult,
    },
};

use crate::{
    chain::StoredBlock,
    node::Node,
    runtime::{BlockContext, Runtime, ViewCallError, ViewCallResult},
    settings::Settings,
    state::State,
};

/// The most items of a state that are shown in one page.
const MAX_PAGE_ITEMS: u32 = 10_000;

/// A page of a state gets no more items once it has this many bytes of trie keys and values.
const MAX_PAGE_BYTES: usize = 50_000;

/// The state after one block, and everything else that a query of it needs. It was taken from the
/// chain at one moment, so the chain need not stay locked.
pub(super) struct StateAt {
    block: Arc<StoredBlock>,
    state: State,
    context: BlockContext,
    runtime: Arc<Runtime>,
    settings: Settings,
}

impl StateAt {
    /// The state after the block that a reference names.
    pub(super) fn find(
        node: &Node,
        block_reference: BlockReference,
    ) -> Result<Self, Box<RpcQueryError>> {
        let chain = node.chain();
        if let BlockReference::BlockId(BlockId::Height(block_height)) = block_reference
            && chain.history().is_garbage_collected(block_height)
        {
            let block_hash = CryptoHash::default();
            return Err(Box::new(RpcQueryError::GarbageCollectedBlock {
                block_height,
                block_hash,
            }));
        }
        let found = chain.resolve(&block_reference).cloned();
        let block = found.ok_or(RpcQueryError::UnknownBlock { block_reference })?;
        let state = chain.history().state(block.height()).cloned().ok_or(
            RpcQueryError::GarbageCollectedBlock {
                block_height: block.height(),
                block_hash: block.hash(),
            },
        )?;
        let context = chain.view_context(&block);
        let (runtime, settings) = (Arc::clone(chain.runtime()), node.settings().clone());
        Ok(Self { block, state, context, runtime, settings })
    }

    pub(super) fn height(&self) -> u64 {
        self.block.height()
    }

    pub(super) fn hash(&self) -> CryptoHash {
        self.block.hash()
    }

    pub(super) fn answer(
        &self,
        request: QueryRequest,
    ) -> Result<QueryResponseKind, Box<RpcQueryError>> {
        match request {
            QueryRequest::ViewAccount { account_id } => {
                Ok(QueryResponseKind::ViewAccount(self.account(&account_id)?.into()))
            }
            QueryRequest::ViewCode { account_id } => self.code(account_id),
            QueryRequest::ViewState { account_id, prefix, after_key, limit, include_proof } => {
                let after = after_key.as_ref().map(|key| key.as_slice());
                let prefix = prefix.as_slice();
                if after.is_some() || limit.is_some() {
                    let limit = limit.map(NonZeroU32::get);
                    return self.state_page(&account_id, prefix, after, limit);
                }
                self.contract_state(account_id, prefix, include_proof)
            }
            QueryRequest::ViewAccessKey { account_id, public_key } => {
                let key = self.state.access_key(&account_id, &public_key).ok_or(
                    RpcQueryError::UnknownAccessKey {
                        public_key,
                        block_height: self.height(),
                        block_hash: self.hash(),
                    },
                )?;
                Ok(QueryResponseKind::AccessKey(key.into()))
            }
            QueryRequest::ViewAccessKeyList { account_id, after_key, limit } => {
                self.access_keys(account_id, after_key.as_ref(), limit.map(NonZeroU32::get))
            }
            QueryRequest::ViewGasKeyNonces { account_id, public_key } => {
                self.gas_key_nonces(&account_id, public_key)
            }
            QueryRequest::CallFunction { account_id, method_name, args } => {
                self.call(account_id, &method_name, &args)
            }
            QueryRequest::ViewGlobalContractCode { code_hash } => {
                let identifier = GlobalContractIdentifier::CodeHash(code_hash);
                self.global_code(GlobalContractCodeIdentifier::CodeHash(code_hash), identifier)
            }
            QueryRequest::ViewGlobalContractCodeByAccountId { account_id } => {
                let identifier = GlobalContractIdentifier::AccountId(account_id.clone());
                self.global_code(GlobalContractCodeIdentifier::AccountId(account_id), identifier)
            }
        }
    }

    fn gas_key_nonces(
        &self,
        account_id: &AccountId,
        public_key: PublicKey,
    ) -> Result<QueryResponseKind, Box<RpcQueryError>> {
        let access_key = self.state.access_key(account_id, &public_key);
        let Some(info) = access_key.as_ref().and_then(AccessKey::gas_key_info) else {
            return Err(Box::new(RpcQueryError::UnknownGasKey {
                public_key,
                block_height: self.height(),
                block_hash: self.hash(),
            }));
        };
        let nonces = (0..info.num_nonces)
            .map(|index| self.state.gas_key_nonce(account_id, &public_key, index).unwrap_or(0))
            .collect();
        Ok(QueryResponseKind::GasKeyNonces(GasKeyNoncesView { nonces }))
    }

    fn access_keys(
        &self,
        account_id: AccountId,
        after: Option<&PublicKeyHandle>,
        limit: Option<u32>,
    ) -> Result<QueryResponseKind, Box<RpcQueryError>> {
        let mut keys: Vec<_> = self.state.access_keys(&account_id);
        let whole_list = after.is_none() && limit.is_none();
        let most = usize::try_from(self.settings.access_keys_limit).unwrap_or(usize::MAX);
        if whole_list && keys.len() > most {
            return Err(Box::new(RpcQueryError::TooManyAccessKeys {
                requested_account_id: account_id,
                limit: self.settings.access_keys_limit,
                block_height: self.height(),
                block_hash: self.hash(),
            }));
        }
        if let Some(after) = after {
            // The key itself may be gone.
            let place = |key: &PublicKeyHandle| {
                TrieKey::access_key(account_id.clone(), key.clone()).to_vec()
            };
            let after = place(after);
            keys.retain(|(key, _)| place(key) > after);
        }
        let limit = limit.map_or(most, |n| usize::try_from(n).unwrap_or(most)).min(most);
        let more = keys.len() > limit;
        keys.truncate(limit);
        let last_key = if more { keys.last().map(|(key, _)| key.clone()) } else { None };
        let keys = keys
            .into_iter()
            .map(|(key, access)| AccessKeyInfoView::new(key, access.into()))
            .collect();
        Ok(QueryResponseKind::AccessKeyList(AccessKeyList { keys, last_key }))
    }

    fn account(&self, account_id: &AccountId) -> Result<Account, Box<RpcQueryError>> {
        let missing = || RpcQueryError::UnknownAccount {
            requested_account_id: account_id.clone(),
            block_height: self.height(),
            block_hash: self.hash(),
        };
        Ok(self.state.account(account_id).ok_or_else(missing)?)
    }

    fn code(&self, account_id: AccountId) -> Result<QueryResponseKind, Box<RpcQueryError>> {
        let account = self.account(&account_id)?;
        if let Some((key, identifier)) = global_contract(&account.contract()) {
            return self.global_code(key, identifier);
        }
        let code = self.state.code(&account_id).ok_or_else(|| self.no_code(account_id))?;
        Ok(QueryResponseKind::ViewCode(ContractCodeView {
            hash: account.local_contract_hash().unwrap_or_default(),
            code: code.to_vec(),
        }))
    }

    fn no_code(&self, contract_account_id: AccountId) -> RpcQueryError {
        RpcQueryError::NoContractCode {
            contract_account_id,
            block_height: self.height(),
            block_hash: self.hash(),
        }
    }

    fn global_code(
        &self,
        key: GlobalContractCodeIdentifier,
        identifier: GlobalContractIdentifier,
    ) -> Result<QueryResponseKind, Box<RpcQueryError>> {
        let code = self
            .state
            .get_raw(&TrieKey::GlobalContractCode { identifier: key }.to_vec())
            .ok_or_else(|| RpcQueryError::NoGlobalContractCode {
                identifier,
                block_height: self.height(),
                block_hash: self.hash(),
            })?;
        let code = code.to_vec();
        let hash = CryptoHash::hash_bytes(&code);
        Ok(QueryResponseKind::ViewCode(ContractCodeView { code, hash }))
    }

    fn proof(&self, account_id: &AccountId, prefix: &[u8]) -> Vec<Arc<[u8]>> {
        let prefix = trie_key_parsers::get_raw_prefix_for_contract_data(account_id, prefix);
        self.state.proof(&prefix).into_iter().map(Arc::from).collect()
    }

    /// The whole state of a contract.
    fn contract_state(
        &self,
        account_id: AccountId,
        prefix: &[u8],
        include_proof: bool,
    ) -> Result<QueryResponseKind, Box<RpcQueryError>> {
        let account = self.account(&account_id)?;
        let code_bytes =
            self.state.code(&account_id).map_or(0, |code| u64::try_from(code.len()).unwrap_or(0));
        let state_bytes = account.storage_usage().saturating_sub(code_bytes);
        if self.settings.state_size_limit.is_some_and(|limit| state_bytes > limit) {
            return Err(Box::new(RpcQueryError::TooLargeContractState {
                contract_account_id: account_id,
                block_height: self.height(),
                block_hash: self.hash(),
            }));
        }
        let values = self.items(&account_id, prefix).collect();
        let proof = if include_proof { self.proof(&account_id, prefix) } else { Vec::new() };
        Ok(QueryResponseKind::ViewState(ViewStateResult { values, proof, last_key: None }))
    }

    /// A part of a contract's state: what follows `after`, as much as fits.
    fn state_page(
        &self,
        account_id: &AccountId,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: Option<u32>,
    ) -> Result<QueryResponseKind, Box<RpcQueryError>> {
        self.account(account_id)?;
        let limit = limit.map_or(MAX_PAGE_ITEMS, |limit| limit.min(MAX_PAGE_ITEMS));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let key_bytes = trie_key_parsers::get_raw_prefix_for_contract_data(account_id, &[]).len();
        let (mut values, mut bytes) = (Vec::<StateItem>::new(), 0_usize);
        let mut last_key = None;
        let items = self.items(account_id, prefix);
        for item in items.filter(|item| after.is_none_or(|after| item.key.as_slice() > after)) {
            if values.len() >= limit || bytes >= MAX_PAGE_BYTES {
                last_key = values.last().map(|item| item.key.clone());
                break;
            }
            let item_bytes = key_bytes + item.key.len() + item.value.len();
            bytes = bytes.saturating_add(item_bytes);
            values.push(item);
        }
        let proof = Vec::new();
        Ok(QueryResponseKind::ViewState(ViewStateResult { values, proof, last_key }))
    }

    fn items(&self, account_id: &AccountId, prefix: &[u8]) -> impl Iterator<Item = StateItem> {
        self.state
            .contract_data_iter(account_id, prefix)
            .map(|(key, value)| StateItem { key: key.into(), value: value.to_vec().into() })
    }

    fn call(
        &self,
        account_id: AccountId,
        method: &str,
        args: &[u8],
    ) -> Result<QueryResponseKind, Box<RpcQueryError>> {
        let gas = self.settings.view_gas;
        let result =
            self.runtime.view_call(&self.state, &self.context, &account_id, method, args, gas);
        let error = match result {
            Ok(ViewCallResult { result, logs, .. }) => {
                return Ok(QueryResponseKind::CallResult(CallResult { result, logs }));
            }
            Err(error) => error,
        };
        let (block_height, block_hash) = (self.height(), self.hash());
        Err(Box::new(match error {
            ViewCallError::AccountDoesNotExist { requested_account_id } => {
                RpcQueryError::UnknownAccount { requested_account_id, block_height, block_hash }
            }
            ViewCallError::VmError { message, error, .. } => {
                RpcQueryError::ContractExecutionError {
                    vm_error: message,
                    error: error.unwrap_or(FunctionCallError::WasmUnknownError),
                    block_height,
                    block_hash,
                }
            }
            ViewCallError::Internal(fault) => {
                RpcQueryError::InternalError { error_message: fault.to_string() }
            }
        }))
    }
}

/// The key of the global contract that an account uses, and its identifier for errors. `None` when
/// the account has no contract, or one of its own.
fn global_contract(
    contract: &AccountContract,
) -> Option<(GlobalContractCodeIdentifier, GlobalContractIdentifier)> {
    match contract {
        AccountContract::Global(hash) => Some((
            GlobalContractCodeIdentifier::CodeHash(*hash),
            GlobalContractIdentifier::CodeHash(*hash),
        )),
        AccountContract::GlobalByAccount(account_id) => Some((
            GlobalContractCodeIdentifier::AccountId(account_id.clone()),
            GlobalContractIdentifier::AccountId(account_id.clone()),
        )),
        AccountContract::None | AccountContract::Local(_) => None,
    }
}

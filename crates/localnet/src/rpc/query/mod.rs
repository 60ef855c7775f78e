//! `query`: accounts, keys, state, code and view calls, now or after a past block.

use super::params::{pair, parse};
use super::{Answer, to_value};
use crate::chain::StoredBlock;
use crate::node::Node;
use crate::runtime::{BlockContext, Runtime, ViewCallError, ViewCallResult};
use crate::state::State;
use near_crypto::PublicKeyHandle;
use near_jsonrpc_primitives::errors::{RpcError, RpcParseError};
use near_jsonrpc_primitives::types::query::{
    QueryResponseKind, RpcQueryError, RpcQueryRequest, RpcQueryResponse,
};
use near_primitives::account::Account;
use near_primitives::action::GlobalContractIdentifier;
use near_primitives::errors::FunctionCallError;
use near_primitives::hash::CryptoHash;
use near_primitives::trie_key::{GlobalContractCodeIdentifier, TrieKey, trie_key_parsers};
use near_primitives::types::{AccountId, BlockId, BlockReference};
use near_primitives::views::{
    AccessKeyInfoView, AccessKeyList, CallResult, ContractCodeView, QueryRequest, StateItem,
    ViewStateResult,
};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::sync::Arc;

/// The longest path and data that the older form takes, in bytes.
const MAX_QUERY_DATA: usize = 10 * 1024;

/// The largest state that is shown whole (nearcore's `trie_viewer_state_size_limit`), in bytes.
const MAX_STATE_BYTES: u64 = 50_000;

/// The most access keys that one answer lists (nearcore's default).
const MAX_ACCESS_KEYS: u32 = 100;

/// `query`
pub(super) fn query(node: &Node, params: Value) -> Answer {
    let request = request(params)?;
    match answer(node, request) {
        Ok(response) => to_value(response),
        Err(error) => failure(*error),
    }
}

/// Two failures are shown as results, and an unknown block has a text of its own: older clients of
/// nearcore rely on it.
fn failure(error: RpcQueryError) -> Answer {
    let as_result = |error: String, height: u64, hash: CryptoHash| {
        Ok(json!({"error": error, "logs": [], "block_height": height, "block_hash": hash}))
    };
    match error {
        RpcQueryError::ContractExecutionError { vm_error, block_height, block_hash, .. } => {
            as_result(vm_error, block_height, block_hash)
        }
        RpcQueryError::UnknownAccessKey { public_key, block_height, block_hash } => as_result(
            format!("access key {public_key} does not exist while viewing"),
            block_height,
            block_hash,
        ),
        RpcQueryError::UnknownBlock { block_reference: BlockReference::BlockId(id) } => {
            let text = match &id {
                BlockId::Height(height) => {
                    format!("DB Not Found Error: BLOCK HEIGHT: {height} \n Cause: Unknown")
                }
                BlockId::Hash(hash) => format!("DB Not Found Error: BLOCK HEADER: {hash}"),
            };
            let error =
                RpcQueryError::UnknownBlock { block_reference: BlockReference::BlockId(id) };
            let error = to_value(error)?;
            Err(RpcError::new_internal_or_handler_error(Some(Value::String(text)), error))
        }
        other => Err(other.into()),
    }
}

fn request(params: Value) -> Result<RpcQueryRequest, RpcParseError> {
    match pair(params) {
        Ok((path, data)) => path_request(parse(path)?, parse(data)?),
        Err(params) => parse(params),
    }
}

/// The older form: a path such as `call/contract.near/method` and data in base58.
fn path_request(path: String, data: String) -> Result<RpcQueryRequest, RpcParseError> {
    let decode = || {
        // The decoded bytes are what counts.
        let mut bytes = vec![0; MAX_QUERY_DATA.saturating_sub(path.len()).min(data.len())];
        match bs58::decode(&data).onto(bytes.as_mut_slice()) {
            Ok(length) => {
                bytes.truncate(length);
                Ok(bytes)
            }
            Err(bs58::decode::Error::BufferTooSmall) => {
                Err(RpcParseError("Query data size is too large".to_owned()))
            }
            Err(error) => Err(RpcParseError(error.to_string())),
        }
    };
    let mut parts = path.splitn(3, '/');
    let missing = || RpcParseError("Not enough query parameters provided".to_owned());
    let command = parts.next().ok_or_else(missing)?;
    let account_id: AccountId = parts
        .next()
        .ok_or_else(missing)?
        .parse()
        .map_err(|error| RpcParseError(format!("{error}")))?;
    let request = match (command, parts.next()) {
        ("account", _) => QueryRequest::ViewAccount { account_id },
        ("access_key", None) => {
            QueryRequest::ViewAccessKeyList { account_id, after_key: None, limit: None }
        }
        ("access_key", Some(key)) => QueryRequest::ViewAccessKey {
            account_id,
            public_key: key.parse().map_err(|_| RpcParseError("Invalid public key".to_owned()))?,
        },
        ("code", _) => QueryRequest::ViewCode { account_id },
        ("contract", _) => QueryRequest::ViewState {
            account_id,
            prefix: decode()?.into(),
            after_key: None,
            limit: None,
            include_proof: false,
        },
        ("call", Some(method)) => QueryRequest::CallFunction {
            account_id,
            method_name: method.to_owned(),
            args: decode()?.into(),
        },
        ("call", None) => return Err(RpcParseError("Method name is missing".to_owned())),
        _ => return Err(RpcParseError(format!("Unknown path {command}"))),
    };
    Ok(RpcQueryRequest { request, block_reference: BlockReference::latest() })
}

/// What a query works on, taken from the chain in one moment.
struct At {
    block: Arc<StoredBlock>,
    state: State,
    context: BlockContext,
    runtime: Arc<Runtime>,
}

pub(super) fn answer(
    node: &Node,
    request: RpcQueryRequest,
) -> Result<RpcQueryResponse, Box<RpcQueryError>> {
    let RpcQueryRequest { block_reference, request } = request;
    let at = {
        let chain = node.chain();
        if let BlockReference::BlockId(BlockId::Height(block_height)) = block_reference
            && chain.history().has_forgotten(block_height)
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
        At { block, state, context, runtime: Arc::clone(chain.runtime()) }
    };
    let kind = at.answer(request)?;
    Ok(RpcQueryResponse { kind, block_height: at.height(), block_hash: at.hash() })
}

impl At {
    fn height(&self) -> u64 {
        self.block.height()
    }

    fn hash(&self) -> CryptoHash {
        self.block.hash()
    }

    fn answer(&self, request: QueryRequest) -> Result<QueryResponseKind, Box<RpcQueryError>> {
        match request {
            QueryRequest::ViewAccount { account_id } => {
                Ok(QueryResponseKind::ViewAccount(self.account(&account_id)?.into()))
            }
            QueryRequest::ViewCode { account_id } => self.code(account_id),
            QueryRequest::ViewState { account_id, prefix, after_key, limit, include_proof } => {
                let after = after_key.as_ref().map(|key| key.as_slice());
                // A page of the state has no proof of its own.
                let include_proof = include_proof && limit.is_none();
                let limit = limit.map(NonZeroU32::get);
                self.contract_state(account_id, prefix.as_slice(), after, limit, include_proof)
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
            QueryRequest::ViewGasKeyNonces { public_key, .. } => {
                Err(Box::new(RpcQueryError::UnknownGasKey {
                    public_key,
                    block_height: self.height(),
                    block_hash: self.hash(),
                }))
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

    fn access_keys(
        &self,
        account_id: AccountId,
        after: Option<&PublicKeyHandle>,
        limit: Option<u32>,
    ) -> Result<QueryResponseKind, Box<RpcQueryError>> {
        let mut keys: Vec<_> = self.state.access_keys(&account_id);
        let whole_list = after.is_none() && limit.is_none();
        let most = usize::try_from(MAX_ACCESS_KEYS).unwrap_or(usize::MAX);
        if whole_list && keys.len() > most {
            return Err(Box::new(RpcQueryError::TooManyAccessKeys {
                requested_account_id: account_id,
                limit: MAX_ACCESS_KEYS,
                block_height: self.height(),
                block_hash: self.hash(),
            }));
        }
        if let Some(after) = after {
            let place = keys.iter().position(|(key, _)| key == after);
            keys.drain(..place.map_or(0, |at| at + 1));
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
        if let Some(identifier) = account.contract().identifier_of_global() {
            return self.global_code(identifier.0, identifier.1);
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

    fn contract_state(
        &self,
        account_id: AccountId,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: Option<u32>,
        include_proof: bool,
    ) -> Result<QueryResponseKind, Box<RpcQueryError>> {
        let account = self.account(&account_id)?;
        let code_bytes =
            self.state.code(&account_id).map_or(0, |code| u64::try_from(code.len()).unwrap_or(0));
        let held = account.storage_usage().saturating_sub(code_bytes);
        if limit.is_none() && held > MAX_STATE_BYTES {
            return Err(Box::new(RpcQueryError::TooLargeContractState {
                contract_account_id: account_id,
                block_height: self.height(),
                block_hash: self.hash(),
            }));
        }
        let limit = limit.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let mut items = self
            .state
            .contract_data_iter(&account_id, prefix)
            .filter(|(key, _)| after.is_none_or(|after| key.as_slice() > after));
        let values: Vec<StateItem> = items
            .by_ref()
            .take(limit)
            .map(|(key, value)| StateItem { key: key.into(), value: value.to_vec().into() })
            .collect();
        let last_key = match items.next() {
            Some(_) => values.last().map(|item| item.key.clone()),
            None => None,
        };
        let proof = if include_proof { self.proof(&account_id, prefix) } else { Vec::new() };
        Ok(QueryResponseKind::ViewState(ViewStateResult { values, proof, last_key }))
    }

    fn call(
        &self,
        account_id: AccountId,
        method: &str,
        args: &[u8],
    ) -> Result<QueryResponseKind, Box<RpcQueryError>> {
        let result = self.runtime.view_call(&self.state, &self.context, &account_id, method, args);
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
            ViewCallError::Internal { message } => {
                RpcQueryError::InternalError { error_message: message }
            }
        }))
    }
}

/// The global contract that an account uses.
trait GlobalContract {
    /// Its key in the state, and its name for people.
    fn identifier_of_global(
        &self,
    ) -> Option<(GlobalContractCodeIdentifier, GlobalContractIdentifier)>;
}

impl GlobalContract for std::borrow::Cow<'_, near_primitives::account::AccountContract> {
    fn identifier_of_global(
        &self,
    ) -> Option<(GlobalContractCodeIdentifier, GlobalContractIdentifier)> {
        use near_primitives::account::AccountContract;
        match self.as_ref() {
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
}

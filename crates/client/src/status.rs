//! What a node says of itself, and of accounts and their access keys.

use near_crypto::PublicKey;
use near_jsonrpc_client::methods;
use near_jsonrpc_primitives::types::query::{QueryResponseKind, RpcQueryError};
use near_primitives::{
    hash::CryptoHash,
    views::{AccessKeyPermissionView, QueryRequest},
};
use outlayer_protocol::{AccountId, Hash32, NearToken};

use crate::{
    At, ChainError, Node,
    node::{query_error, unexpected},
    text::clip,
    transport::CallError,
};

/// A node's account of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// The chain's id, such as `mainnet`.
    pub chain_id: String,
    /// The version of the node's program.
    pub version: String,
    /// The protocol version of the chain now.
    pub protocol_version: u32,
    /// The height of the newest block that the node has.
    pub height: u64,
    /// When that block was produced, by its producer's clock, in nanoseconds since 1970.
    pub timestamp: u64,
    /// Whether the node is still loading the chain.
    pub syncing: bool,
}

/// What an account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountBalance {
    /// What is not staked with a validator. A part of it pays for the account's storage.
    pub amount: NearToken,
    /// How much of `amount` cannot be spent while the account uses its storage.
    pub for_storage: NearToken,
}

impl AccountBalance {
    /// What can be spent.
    pub fn free(&self) -> NearToken {
        self.amount.saturating_sub(self.for_storage)
    }
}

/// The code of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountCode {
    /// The account is no contract.
    None,
    /// The SHA-256 of its own code, or of the global contract that it has chosen by this hash.
    Hash(Hash32),
    /// The account has whatever code another account publishes as a global contract.
    OfAnother,
}

/// An access key of an account, as the chain has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKeyView {
    /// The nonce that was used last.
    pub nonce: u64,
    /// What the key may do.
    pub permission: Permission,
}

/// What an access key may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Everything that the account can do.
    FullAccess,
    /// Only calls that attach no NEAR.
    FunctionCall {
        /// The gas fees that it may still pay, yoctoNEAR; `None` for any amount.
        allowance: Option<NearToken>,
        /// The only contract that it may call.
        receiver_id: String,
        /// The only methods that it may call; empty for any.
        methods: Vec<String>,
    },
}

impl Permission {
    /// The gas fees that such a key may still pay; `None` for any amount.
    pub fn allowance(&self) -> Option<NearToken> {
        match self {
            Self::FullAccess => None,
            Self::FunctionCall { allowance, .. } => *allowance,
        }
    }

    /// Whether such a key may call `method` of `contract` without attaching NEAR.
    pub fn may_call(&self, contract: &AccountId, method: &str) -> bool {
        match self {
            Self::FullAccess => true,
            Self::FunctionCall { receiver_id, methods, .. } => {
                receiver_id == contract.as_str()
                    && (methods.is_empty() || methods.iter().any(|one| one == method))
            }
        }
    }
}

/// NEAR's price of a byte of storage, yoctoNEAR.
const STORAGE_BYTE_COST: NearToken = NearToken::from_yoctonear(10u128.pow(19));
/// Accounts of at most so many bytes pay nothing for them.
const FREE_STORAGE_BYTES: u64 = 770;

impl Node {
    /// What the node says of itself.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn status(&self) -> Result<NodeStatus, ChainError> {
        match self.call(&methods::status::RpcStatusRequest).await {
            Ok(status) => Ok(NodeStatus {
                chain_id: clip(&status.chain_id),
                version: clip(&status.version.version),
                protocol_version: status.protocol_version,
                height: status.sync_info.latest_block_height,
                timestamp: u64::try_from(
                    status.sync_info.latest_block_time.unix_timestamp_nanos().max(0),
                )
                .unwrap_or(u64::MAX),
                syncing: status.sync_info.syncing,
            }),
            Err(CallError::Chain(error)) => Err(error),
            Err(CallError::Handler(error)) => {
                Err(ChainError::Busy { method: "status".into(), reason: clip(&error.to_string()) })
            }
        }
    }

    /// What an account has, or `None` when it does not exist.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn balance(
        &self,
        account_id: &AccountId,
        at: At,
    ) -> Result<Option<AccountBalance>, ChainError> {
        let request = QueryRequest::ViewAccount { account_id: account_id.clone() };
        match self.query(request, at).await {
            Ok(QueryResponseKind::ViewAccount(view)) => {
                let paid = if view.storage_usage <= FREE_STORAGE_BYTES {
                    NearToken::from_yoctonear(0)
                } else {
                    STORAGE_BYTE_COST.saturating_mul(view.storage_usage.into())
                };
                // What is staked counts for the storage too.
                let for_storage = paid.saturating_sub(view.locked);
                Ok(Some(AccountBalance { amount: view.amount, for_storage }))
            }
            Ok(_) => Err(unexpected("view_account")),
            Err(CallError::Handler(RpcQueryError::UnknownAccount { .. })) => Ok(None),
            Err(error) => Err(refused("view_account", error, at)),
        }
    }

    /// The code of an account; `None` when the account does not exist.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn account_code(
        &self,
        account_id: &AccountId,
        at: At,
    ) -> Result<Option<AccountCode>, ChainError> {
        let request = QueryRequest::ViewAccount { account_id: account_id.clone() };
        match self.query(request, at).await {
            Ok(QueryResponseKind::ViewAccount(view)) => {
                let own = Some(view.code_hash).filter(|hash| *hash != CryptoHash::default());
                Ok(Some(match own.or(view.global_contract_hash) {
                    Some(hash) => AccountCode::Hash(Hash32(hash.0)),
                    None if view.global_contract_account_id.is_some() => AccountCode::OfAnother,
                    None => AccountCode::None,
                }))
            }
            Ok(_) => Err(unexpected("view_account")),
            Err(CallError::Handler(RpcQueryError::UnknownAccount { .. })) => Ok(None),
            Err(error) => Err(refused("view_account", error, at)),
        }
    }

    /// The public keys of an account with full access, as text; none when it does not exist.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn full_access_keys(
        &self,
        account_id: &AccountId,
        at: At,
    ) -> Result<Vec<String>, ChainError> {
        let request = QueryRequest::ViewAccessKeyList {
            account_id: account_id.clone(),
            after_key: None,
            limit: None,
        };
        match self.query(request, at).await {
            Ok(QueryResponseKind::AccessKeyList(list)) => {
                let full = list.keys.into_iter().filter(|key| {
                    matches!(key.access_key.permission, AccessKeyPermissionView::FullAccess)
                });
                Ok(full.map(|key| key.public_key.to_string()).collect())
            }
            Ok(_) => Err(unexpected("view_access_key_list")),
            Err(CallError::Handler(RpcQueryError::UnknownAccount { .. })) => Ok(Vec::new()),
            Err(error) => Err(refused("view_access_key_list", error, at)),
        }
    }

    /// An access key as the chain has it, or `None` when the account does not have the key.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn access_key(
        &self,
        account_id: &AccountId,
        public_key: &PublicKey,
        at: At,
    ) -> Result<Option<AccessKeyView>, ChainError> {
        Ok(self.access_key_in_block(account_id, public_key, at).await?.1)
    }

    /// The same, with the height of the block after which the account has the key or does not.
    pub(crate) async fn access_key_in_block(
        &self,
        account_id: &AccountId,
        public_key: &PublicKey,
        at: At,
    ) -> Result<(u64, Option<AccessKeyView>), ChainError> {
        let request = QueryRequest::ViewAccessKey {
            account_id: account_id.clone(),
            public_key: public_key.clone(),
        };
        let request = methods::query::RpcQueryRequest { block_reference: at.reference(), request };
        let (height, kind) = match self.call(&request).await {
            Ok(answer) => (answer.block_height, answer.kind),
            Err(CallError::Handler(
                RpcQueryError::UnknownAccessKey { block_height, .. }
                | RpcQueryError::UnknownAccount { block_height, .. },
            )) => return Ok((block_height, None)),
            Err(error) => return Err(refused("view_access_key", error, at)),
        };
        let view = match kind {
            QueryResponseKind::AccessKey(key) => AccessKeyView {
                nonce: key.nonce,
                permission: match key.permission {
                    AccessKeyPermissionView::FullAccess
                    | AccessKeyPermissionView::GasKeyFullAccess { .. } => Permission::FullAccess,
                    AccessKeyPermissionView::FunctionCall {
                        allowance,
                        receiver_id,
                        method_names,
                    }
                    | AccessKeyPermissionView::GasKeyFunctionCall {
                        allowance,
                        receiver_id,
                        method_names,
                        ..
                    } => Permission::FunctionCall { allowance, receiver_id, methods: method_names },
                },
            },
            _ => return Err(unexpected("view_access_key")),
        };
        Ok((height, Some(view)))
    }

    pub(crate) async fn query(
        &self,
        request: QueryRequest,
        at: At,
    ) -> Result<QueryResponseKind, CallError<RpcQueryError>> {
        let request = methods::query::RpcQueryRequest { block_reference: at.reference(), request };
        Ok(self.call(&request).await?.kind)
    }
}

pub(crate) fn refused(method: &str, error: CallError<RpcQueryError>, at: At) -> ChainError {
    query_error(error, at, |reason| ChainError::Refused { method: method.into(), reason })
}

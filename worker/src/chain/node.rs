//! A node: blocks, views and access keys, with retries.

use std::time::Duration;

use near_jsonrpc_client::methods::{self, RpcMethod, block::RpcBlockError, query::RpcQueryError};
use near_jsonrpc_primitives::types::query::QueryResponseKind;
use near_primitives::{
    hash::CryptoHash,
    types::{BlockId, BlockReference, Finality},
    views::QueryRequest,
};
use outlayer_protocol::AccountId;

use super::{
    Backoff, ChainError,
    transport::{CallError, Transport, clip},
};

/// The state after which block is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest block that is final.
    Final,
    /// The newest block; it may still be replaced.
    Optimistic,
    /// The block of this height.
    Height(u64),
    /// The block of this hash.
    Hash(CryptoHash),
}

impl At {
    fn reference(self) -> BlockReference {
        match self {
            Self::Final => Finality::Final.into(),
            Self::Optimistic => Finality::None.into(),
            Self::Height(height) => BlockId::Height(height).into(),
            Self::Hash(hash) => BlockId::Hash(hash).into(),
        }
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Final => f.write_str("final"),
            Self::Optimistic => f.write_str("optimistic"),
            Self::Height(height) => write!(f, "#{height}"),
            Self::Hash(hash) => write!(f, "{hash}"),
        }
    }
}

/// A block's place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: CryptoHash,
    /// The hash of the block before it.
    pub prev_hash: CryptoHash,
}

/// How a node is asked.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Its JSON-RPC address.
    pub rpc_url: String,
    /// The longest that one HTTP exchange may take.
    pub timeout: Duration,
    /// The largest answer that is accepted, bytes.
    pub max_answer_bytes: usize,
    /// How often a question is asked when the node cannot be reached or is not ready.
    pub attempts: u32,
    /// The waits between those.
    pub backoff: Backoff,
}

impl NodeConfig {
    /// The node at `rpc_url`, with bounds that suit a remote node.
    pub fn new(rpc_url: impl Into<String>) -> Self {
        Self {
            rpc_url: rpc_url.into(),
            timeout: Duration::from_secs(30),
            // A view's result arrives as a JSON array of numbers, up to four characters a byte: this admits results
            // of NEAR's largest, 4 MiB.
            max_answer_bytes: 32 << 20,
            attempts: 5,
            backoff: Backoff::default(),
        }
    }
}

/// A NEAR node behind JSON-RPC. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Node {
    transport: Transport,
    attempts: u32,
    backoff: Backoff,
}

impl Node {
    /// A client for the node; nothing is sent yet.
    ///
    /// # Errors
    /// [`ChainError::Transport`] for an address that is none.
    pub fn new(config: &NodeConfig) -> Result<Self, ChainError> {
        Ok(Self {
            transport: Transport::new(&config.rpc_url, config.timeout, config.max_answer_bytes)?,
            attempts: config.attempts.max(1),
            backoff: config.backoff,
        })
    }

    /// The node's address without credentials, path or query.
    pub fn shown_url(&self) -> String {
        self.transport.shown_url()
    }

    /// Calls `request` once.
    pub(super) async fn call_once<M: RpcMethod>(
        &self,
        request: &M,
    ) -> Result<M::Response, CallError<M::Error>>
    where
        M::Error: std::fmt::Display,
    {
        self.transport.call(request).await
    }

    /// Calls `request`, again after a wait while the failure is one that passes.
    pub(super) async fn call<M: RpcMethod>(
        &self,
        request: &M,
    ) -> Result<M::Response, CallError<M::Error>>
    where
        M::Error: std::fmt::Display,
    {
        let mut failures = 0;
        loop {
            let error = match self.call_once(request).await {
                Err(CallError::Chain(error)) if error.is_transient() => error,
                settled => return settled,
            };
            failures += 1;
            if failures >= self.attempts {
                return Err(error.into());
            }
            tracing::debug!(failures, %error, "asking the node again");
            tokio::time::sleep(self.backoff.wait(failures)).await;
        }
    }

    /// The block at `at`.
    ///
    /// # Errors
    /// [`ChainError`], [`ChainError::UnknownBlock`] for one that the node does not have.
    pub async fn block(&self, at: At) -> Result<Block, ChainError> {
        let request = methods::block::RpcBlockRequest { block_reference: at.reference() };
        match self.call(&request).await {
            Ok(view) => Ok(Block {
                height: view.header.height,
                hash: view.header.hash,
                prev_hash: view.header.prev_hash,
            }),
            Err(CallError::Chain(error)) => Err(error),
            Err(CallError::Handler(error @ RpcBlockError::UnknownBlock { .. })) => {
                Err(ChainError::UnknownBlock {
                    block: at.to_string(),
                    reason: clip(&error.to_string()),
                })
            }
            Err(CallError::Handler(error)) => {
                Err(ChainError::Busy { method: "block".into(), reason: clip(&error.to_string()) })
            }
        }
    }

    /// Calls a view method of a contract; the raw result.
    ///
    /// # Errors
    /// [`ChainError`], [`ChainError::View`] when the contract panics or there is none.
    pub async fn view(
        &self,
        contract: &AccountId,
        method: &str,
        args: Vec<u8>,
        at: At,
    ) -> Result<Vec<u8>, ChainError> {
        let request = methods::query::RpcQueryRequest {
            block_reference: at.reference(),
            request: QueryRequest::CallFunction {
                account_id: contract.clone(),
                method_name: method.to_owned(),
                args: args.into(),
            },
        };
        match self.call(&request).await.map(|response| response.kind) {
            Ok(QueryResponseKind::CallResult(result)) => Ok(result.result),
            Ok(_) => Err(unexpected("call_function")),
            Err(error) => Err(query_error(error, at, |reason| ChainError::View {
                contract: contract.to_string(),
                method: method.to_owned(),
                reason,
            })),
        }
    }

    /// The nonce of an access key, `None` when the account has no such key.
    pub(super) async fn access_key_nonce(
        &self,
        account: &AccountId,
        public_key: &near_crypto::PublicKey,
    ) -> Result<Option<u64>, ChainError> {
        let at = At::Optimistic;
        let request = methods::query::RpcQueryRequest {
            block_reference: at.reference(),
            request: QueryRequest::ViewAccessKey {
                account_id: account.clone(),
                public_key: public_key.clone(),
            },
        };
        match self.call(&request).await.map(|response| response.kind) {
            Ok(QueryResponseKind::AccessKey(key)) => Ok(Some(key.nonce)),
            Ok(_) => Err(unexpected("view_access_key")),
            Err(CallError::Handler(
                RpcQueryError::UnknownAccessKey { .. } | RpcQueryError::UnknownAccount { .. },
            )) => Ok(None),
            Err(error) => Err(query_error(error, at, |reason| ChainError::Refused {
                method: "view_access_key".into(),
                reason,
            })),
        }
    }
}

fn unexpected(method: &str) -> ChainError {
    ChainError::Malformed {
        method: method.into(),
        reason: "the result is of another kind of query".into(),
    }
}

fn query_error(
    error: CallError<RpcQueryError>,
    at: At,
    refused: impl FnOnce(String) -> ChainError,
) -> ChainError {
    let error = match error {
        CallError::Chain(error) => return error,
        CallError::Handler(error) => error,
    };
    let reason = clip(&error.to_string());
    match error {
        RpcQueryError::GarbageCollectedBlock { .. } | RpcQueryError::UnknownBlock { .. } => {
            ChainError::UnknownBlock { block: at.to_string(), reason }
        }
        RpcQueryError::NoSyncedBlocks | RpcQueryError::InternalError { .. } => {
            ChainError::Busy { method: "query".into(), reason }
        }
        RpcQueryError::ContractExecutionError { vm_error, .. } => refused(clip(&vm_error)),
        _ => refused(reason),
    }
}

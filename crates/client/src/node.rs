//! A NEAR node behind JSON-RPC: its blocks, views and access keys.

use std::time::Duration;

use near_jsonrpc_client::methods::{self, RpcMethod, block::RpcBlockError, query::RpcQueryError};
use near_jsonrpc_primitives::types::query::{QueryResponseKind, RpcQueryResponse};
use near_primitives::{
    hash::CryptoHash,
    types::{self, BlockReference, Finality},
    views::QueryRequest,
};
use outlayer_protocol::AccountId;

use crate::{
    Backoff, ChainError,
    text::clip,
    transport::{CallError, Transport},
};

/// Names a block: a question is about the state after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest final block. No reorg replaces it.
    Final,
    /// The newest block. A reorg may still replace it.
    Optimistic,
    /// The block at this height.
    Height(u64),
    /// The block with this hash.
    Hash(CryptoHash),
}

impl At {
    pub(crate) fn reference(self) -> BlockReference {
        match self {
            Self::Final => Finality::Final.into(),
            Self::Optimistic => Finality::None.into(),
            Self::Height(height) => types::BlockId::Height(height).into(),
            Self::Hash(hash) => types::BlockId::Hash(hash).into(),
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

/// Which block a view was answered after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockId {
    /// How many blocks come before it, counting the heights that have none.
    pub height: u64,
    /// Identifies it, even when a reorg replaces it.
    pub hash: CryptoHash,
}

/// A block's place in the chain, and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// How many blocks come before it, counting the heights that have none.
    pub height: u64,
    /// Identifies it, even when a reorg replaces it.
    pub hash: CryptoHash,
    /// The hash of the block before it.
    pub prev_hash: CryptoHash,
    /// When it was produced, by its producer's clock, in nanoseconds since 1970.
    pub timestamp: u64,
}

/// How a node is asked.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The URL of the node's JSON-RPC endpoint.
    pub rpc_url: String,
    /// The longest time that one HTTP exchange may take.
    pub timeout: Duration,
    /// The largest answer that is accepted, bytes.
    pub max_answer_bytes: usize,
    /// How many times a question is asked while the node cannot be reached or is not ready.
    pub attempts: u32,
    /// The waits between these attempts.
    pub backoff: Backoff,
}

impl NodeConfig {
    /// The node at `rpc_url`, with bounds that suit a remote node.
    pub fn new(rpc_url: impl Into<String>) -> Self {
        Self {
            rpc_url: rpc_url.into(),
            timeout: Duration::from_secs(30),
            // The result of a view arrives as a JSON array of numbers, which takes up to four
            // characters for each byte. NEAR's largest result has 4 MiB, so this admits it.
            max_answer_bytes: 32 << 20,
            attempts: 5,
            backoff: Backoff::default(),
        }
    }
}

/// A client of a NEAR node. Clones are cheap and share their connections.
#[derive(Clone, Debug)]
pub struct Node {
    transport: Transport,
    attempts: u32,
    backoff: Backoff,
}

impl Node {
    /// A client of the node that `config` names. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ChainError::NodeUrl`] when the URL is invalid.
    pub fn new(config: &NodeConfig) -> Result<Self, ChainError> {
        Ok(Self {
            transport: Transport::new(&config.rpc_url, config.timeout, config.max_answer_bytes)?,
            attempts: config.attempts.max(1),
            backoff: config.backoff,
        })
    }

    /// The node's URL without credentials, path or query.
    pub fn shown_url(&self) -> String {
        self.transport.shown_url()
    }

    /// How long to wait after failures.
    pub(crate) fn backoff(&self) -> Backoff {
        self.backoff
    }

    /// Sends `request` once.
    pub(crate) async fn call_once<M: RpcMethod>(
        &self,
        request: &M,
    ) -> Result<M::Response, CallError<M::Error>>
    where
        M::Error: std::fmt::Display,
    {
        self.transport.call(request).await
    }

    /// Sends `request`. After a failure that may pass it waits and sends it again.
    pub(crate) async fn call<M: RpcMethod>(
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
    /// [`ChainError`]; [`ChainError::UnknownBlock`] when the node does not have the block.
    pub async fn block(&self, at: At) -> Result<Block, ChainError> {
        let request = methods::block::RpcBlockRequest { block_reference: at.reference() };
        match self.call(&request).await {
            Ok(view) => Ok(Block {
                height: view.header.height,
                hash: view.header.hash,
                prev_hash: view.header.prev_hash,
                timestamp: view.header.timestamp_nanosec,
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

    /// Calls a view method of a contract, and returns the bytes of its result.
    ///
    /// # Errors
    /// [`ChainError`]; [`ChainError::View`] when the contract panics or does not exist.
    pub async fn view(
        &self,
        contract: &AccountId,
        method: &str,
        args: Vec<u8>,
        at: At,
    ) -> Result<Vec<u8>, ChainError> {
        Ok(self.view_in_block(contract, method, args, at).await?.1)
    }

    /// The same, with the block after which the method ran.
    ///
    /// # Errors
    /// [`ChainError`], as for [`view`](Self::view).
    pub async fn view_in_block(
        &self,
        contract: &AccountId,
        method: &str,
        args: Vec<u8>,
        at: At,
    ) -> Result<(BlockId, Vec<u8>), ChainError> {
        let request = methods::query::RpcQueryRequest {
            block_reference: at.reference(),
            request: QueryRequest::CallFunction {
                account_id: contract.clone(),
                method_name: method.to_owned(),
                args: args.into(),
            },
        };
        match self.call(&request).await {
            Ok(RpcQueryResponse {
                kind: QueryResponseKind::CallResult(result),
                block_height: height,
                block_hash: hash,
            }) => Ok((BlockId { height, hash }, result.result)),
            Ok(_) => Err(unexpected("call_function")),
            Err(error) => Err(query_error(error, at, |reason| ChainError::View {
                contract: contract.to_string(),
                method: method.to_owned(),
                reason,
            })),
        }
    }

    /// The nonce of an access key, or `None` when the account does not have the key.
    pub(crate) async fn access_key_nonce(
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

pub(crate) fn unexpected(method: &str) -> ChainError {
    ChainError::Malformed {
        method: method.into(),
        reason: "the result is of another kind of query".into(),
    }
}

pub(crate) fn query_error(
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

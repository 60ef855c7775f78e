//! A NEAR node behind JSON-RPC: its blocks, views and access keys.

use std::time::Duration;

use near_jsonrpc_client::methods::{self, RpcMethod, block::RpcBlockError, query::RpcQueryError};
use near_jsonrpc_primitives::types::query::{QueryResponseKind, RpcQueryResponse};
use near_primitives::{
    hash::CryptoHash,
    types::{self, BlockReference, Finality},
    views::{BlockView, QueryRequest},
};
use outlayer_protocol::AccountId;

use crate::{
    Backoff, ChainError, EndpointHealth, EndpointUrl, Network,
    endpoints::{Endpoints, HandlerError},
    quorum,
    text::clip,
    transport::CallError,
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

/// Which block a view was answered after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockId {
    /// How many blocks come before it, counting the heights that have none.
    pub height: u64,
    /// Identifies it, even when a reorg replaces it.
    pub hash: CryptoHash,
}

/// How nodes are asked.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Where the chain can be asked. The first that is in order is asked first.
    pub endpoints: Vec<EndpointUrl>,
    /// How many endpoints must give the same answer about blocks, requests and code: 1, or 2 to
    /// notice an endpoint that lies. With three endpoints or more, one that lies stops nothing: the
    /// answer is what two of them say. Transactions are sent to one endpoint in any case.
    pub quorum: usize,
    /// The name of the network that the endpoints must serve, such as `mainnet`. Without it they
    /// must serve the same network.
    pub chain_id: Option<String>,
    /// The longest time that one HTTP exchange may take.
    pub timeout: Duration,
    /// The longest time that an exchange may take when there are several endpoints, and the same
    /// question can be put to another.
    pub failover_timeout: Duration,
    /// The longest time that a question may take with all its attempts.
    pub budget: Duration,
    /// The largest answer that is accepted, bytes.
    pub max_answer_bytes: usize,
    /// How many times the endpoints are asked while none can be reached or is ready.
    pub attempts: u32,
    /// The most that is waited between these attempts. Each wait is a random part of it.
    pub backoff: Backoff,
    /// An endpoint whose newest block is more than this many heights below that of another endpoint
    /// lags, and is asked last.
    pub max_lag: u64,
}

impl NodeConfig {
    /// The endpoint at `rpc_url`, with bounds that suit a remote node.
    pub fn new(rpc_url: impl Into<EndpointUrl>) -> Self {
        Self::of([rpc_url.into()])
    }

    /// Several endpoints, with bounds that suit remote nodes. Any of them is believed.
    pub fn of(endpoints: impl IntoIterator<Item = EndpointUrl>) -> Self {
        Self {
            endpoints: endpoints.into_iter().collect(),
            quorum: 1,
            chain_id: None,
            timeout: Duration::from_secs(30),
            failover_timeout: Duration::from_secs(10),
            budget: Duration::from_secs(90),
            // The result of a view arrives as a JSON array of numbers, which takes up to four
            // characters for each byte. NEAR's largest result has 4 MiB, so this admits it.
            max_answer_bytes: 32 << 20,
            attempts: 5,
            backoff: Backoff::default(),
            max_lag: 10,
        }
    }
}

/// A client of NEAR nodes. Clones are cheap and share their connections.
#[derive(Clone, Debug)]
pub struct Node {
    endpoints: Endpoints,
    quorum: usize,
    timeout: Duration,
}

impl Node {
    /// A client of the endpoints that `config` names. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ChainError::NodeUrl`] when a URL is invalid, [`ChainError::Config`] when the endpoints do
    /// not go together.
    pub fn new(config: &NodeConfig) -> Result<Self, ChainError> {
        let endpoints = Endpoints::new(config)?;
        Ok(Self { endpoints, quorum: config.quorum, timeout: config.timeout })
    }

    /// The URLs of the endpoints without credentials, path or query.
    pub fn shown_url(&self) -> String {
        let urls: Vec<_> =
            self.endpoints.all().iter().map(|endpoint| endpoint.url().to_string()).collect();
        urls.join(", ")
    }

    /// For how much longer every endpoint wants to be left alone.
    pub(crate) fn asked_rest(&self) -> Duration {
        self.endpoints.asked_rest()
    }

    /// How long to wait after failures.
    pub(crate) fn backoff(&self) -> Backoff {
        self.endpoints.backoff()
    }

    /// How each endpoint has been answering, in the order of the configuration.
    pub fn health(&self) -> Vec<EndpointHealth> {
        self.endpoints.health()
    }

    #[cfg(test)]
    pub(crate) fn endpoints_of_test(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Asks every endpoint which network it serves. A program that runs for long does so at its
    /// start. An endpoint that cannot be reached then is asked before its first use, and is never
    /// used if it serves another network.
    ///
    /// # Errors
    /// [`ChainError::WrongNetwork`] when an endpoint serves another network than the configuration
    /// names, or than the first endpoint; another error when none can be reached.
    pub async fn check_network(&self) -> Result<Network, ChainError> {
        self.endpoints.check_all().await
    }

    /// Sends `request` once, to the best endpoint.
    pub(crate) async fn call_once<M>(&self, request: &M) -> Result<M::Response, CallError<M::Error>>
    where
        M: RpcMethod<Response: 'static>,
        M::Error: HandlerError,
    {
        self.endpoints.call_once(request, self.timeout).await
    }

    /// Sends `request`. After a failure it asks another endpoint, and after one that may pass it
    /// waits and asks again.
    pub(crate) async fn call<M>(&self, request: &M) -> Result<M::Response, CallError<M::Error>>
    where
        M: RpcMethod<Response: 'static>,
        M::Error: HandlerError,
    {
        self.endpoints.call(request).await
    }

    /// The block at `at`. With a quorum, two endpoints have it; for [`At::Final`] and
    /// [`At::Optimistic`] it is the newest that both have.
    ///
    /// # Errors
    /// [`ChainError`]; [`ChainError::UnknownBlock`] when no endpoint has the block, be it that its
    /// height was skipped, that it is too old, or that it is still to come.
    pub async fn block(&self, at: At) -> Result<Block, ChainError> {
        if self.quorum > 1 {
            return quorum::block(&self.endpoints, at).await;
        }
        let request = block_request(at);
        block_of(self.call(&request).await, at)
    }

    /// The block before the one with this hash.
    ///
    /// # Errors
    /// [`ChainError`], as for [`block`](Self::block).
    pub async fn block_before(&self, hash: CryptoHash) -> Result<Block, ChainError> {
        let block = self.block(At::Hash(hash)).await?;
        self.block(At::Hash(block.prev_hash)).await
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

    /// The same, with the block after which the method ran. With a quorum, two endpoints have given
    /// the same result.
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
        let call = QueryRequest::CallFunction {
            account_id: contract.clone(),
            method_name: method.to_owned(),
            args: args.into(),
        };
        if self.quorum > 1 {
            return quorum::view(&self.endpoints, contract, method, call, at).await;
        }
        let request =
            methods::query::RpcQueryRequest { block_reference: at.reference(), request: call };
        view_of(self.call(&request).await, contract, method, at)
    }
}

pub(crate) fn block_request(at: At) -> methods::block::RpcBlockRequest {
    methods::block::RpcBlockRequest { block_reference: at.reference() }
}

pub(crate) fn block_of(
    answer: Result<BlockView, CallError<RpcBlockError>>,
    at: At,
) -> Result<Block, ChainError> {
    match answer {
        Ok(view) => Ok(Block {
            height: view.header.height,
            hash: view.header.hash,
            prev_hash: view.header.prev_hash,
            timestamp: view.header.timestamp_nanosec,
        }),
        Err(CallError::Chain(error)) => Err(error),
        Err(CallError::Handler(error @ RpcBlockError::UnknownBlock { .. })) => {
            let (block, reason) = (at.to_string(), clip(&error.to_string()));
            Err(ChainError::UnknownBlock { block, reason })
        }
        Err(CallError::Handler(error)) => {
            Err(ChainError::Busy { method: "block".into(), reason: clip(&error.to_string()) })
        }
    }
}

pub(crate) fn view_of(
    answer: Result<RpcQueryResponse, CallError<RpcQueryError>>,
    contract: &AccountId,
    method: &str,
    at: At,
) -> Result<(BlockId, Vec<u8>), ChainError> {
    match answer {
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

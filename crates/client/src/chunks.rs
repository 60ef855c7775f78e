//! The transactions of a block.

use near_jsonrpc_client::methods;
use near_jsonrpc_primitives::types::chunks::{ChunkReference, RpcChunkError};
use near_primitives::hash::CryptoHash;
use outlayer_protocol::AccountId;
use tokio::task::JoinSet;

use crate::{
    At, ChainError, Node,
    endpoints::{HandlerError, Says},
    node::block_request,
    text::clip,
    transport::CallError,
};

/// A transaction that a block has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Included {
    pub(crate) hash: CryptoHash,
    pub(crate) signer_id: AccountId,
}

impl HandlerError for RpcChunkError {
    fn says(&self) -> Says {
        match self {
            Self::UnknownBlock { .. } | Self::UnknownChunk { .. } => Says::AskOthers,
            Self::InternalError { .. } => Says::Fails,
            Self::InvalidShardId { .. } => Says::Settled,
        }
    }
}

impl Node {
    /// The transactions that the block at this height has; none when the height was skipped.
    ///
    /// # Errors
    /// [`ChainError`]; [`ChainError::UnknownBlock`] when no node has the block's chunks any more.
    pub(crate) async fn transactions(&self, height: u64) -> Result<Vec<Included>, ChainError> {
        let at = At::Height(height);
        let block = match self.call(&block_request(at)).await {
            Ok(block) => block,
            Err(CallError::Handler(error)) if matches!(error.says(), Says::AskOthers) => {
                return Ok(Vec::new());
            }
            Err(CallError::Handler(error)) => {
                let reason = clip(&error.to_string());
                return Err(ChainError::Busy { method: "block".into(), reason });
            }
            Err(CallError::Chain(error)) => return Err(error),
        };
        let mut chunks = JoinSet::new();
        // A shard that has no new chunk shows its last one again.
        for chunk in block.chunks.iter().filter(|chunk| chunk.height_included == height) {
            let (node, chunk_id) = (self.clone(), chunk.chunk_hash);
            chunks.spawn(async move { node.chunk(chunk_id, at).await });
        }
        let mut all = Vec::new();
        while let Some(chunk) = chunks.join_next().await {
            let chunk = chunk.map_err(|error| ChainError::Busy {
                method: "chunk".into(),
                reason: error.to_string(),
            })?;
            all.extend(chunk?);
        }
        Ok(all)
    }

    async fn chunk(&self, chunk_id: CryptoHash, at: At) -> Result<Vec<Included>, ChainError> {
        let request = methods::chunk::RpcChunkRequest {
            chunk_reference: ChunkReference::ChunkHash { chunk_id },
        };
        match self.call(&request).await {
            Ok(chunk) => Ok(chunk
                .transactions
                .into_iter()
                .map(|one| Included { hash: one.hash, signer_id: one.signer_id })
                .collect()),
            Err(CallError::Chain(error)) => Err(error),
            Err(CallError::Handler(error)) => {
                let (block, reason) = (at.to_string(), clip(&error.to_string()));
                Err(ChainError::UnknownBlock { block, reason })
            }
        }
    }
}

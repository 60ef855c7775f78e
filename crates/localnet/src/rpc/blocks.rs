//! `block`, `chunk`, `gas_price` and `EXPERIMENTAL_congestion_level`.

use std::sync::Arc;

use near_jsonrpc_primitives::{
    errors::{RpcError, RpcParseError},
    types::{
        blocks::{RpcBlockError, RpcBlockRequest},
        chunks::{ChunkReference, RpcChunkError, RpcChunkRequest},
        gas_price::{RpcGasPriceError, RpcGasPriceRequest},
    },
};
use near_primitives::{sharding::ChunkHash, types::BlockReference, views::GasPriceView};
use serde_json::{Value, json};

use super::{
    answer::{Answer, not_found, to_value},
    params::{parse, singleton},
};
use crate::{
    chain::{Chain, StoredBlock, shard_id},
    node::Node,
};

fn find(chain: &Chain, reference: &BlockReference) -> Result<Arc<StoredBlock>, String> {
    chain.resolve(reference).cloned().ok_or_else(|| not_found(reference))
}

fn block_request(params: Value) -> Result<RpcBlockRequest, RpcParseError> {
    match singleton(params) {
        Ok(id) => Ok(RpcBlockRequest { block_reference: BlockReference::BlockId(parse(id)?) }),
        Err(params) => Ok(RpcBlockRequest { block_reference: parse(params)? }),
    }
}

/// `block`
pub(super) fn block(node: &Node, params: Value) -> Answer {
    let request = block_request(params)?;
    let chain = node.chain();
    let block = find(&chain, &request.block_reference)
        .map_err(|error_message| RpcBlockError::UnknownBlock { error_message })?;
    to_value(block.view(chain.signer()))
}

fn chunk_request(params: Value) -> Result<RpcChunkRequest, RpcParseError> {
    let chunk_reference = match singleton(params) {
        Ok(pair @ Value::Array(_)) => {
            let (block_id, shard_id) = parse(pair)?;
            ChunkReference::BlockShardId { block_id, shard_id }
        }
        Ok(hash) => ChunkReference::ChunkHash { chunk_id: parse(hash)? },
        Err(params) => parse(params)?,
    };
    Ok(RpcChunkRequest { chunk_reference })
}

fn find_chunk(chain: &Chain, reference: ChunkReference) -> Result<Arc<StoredBlock>, RpcChunkError> {
    match reference {
        ChunkReference::ChunkHash { chunk_id } => chain
            .history()
            .by_chunk(&chunk_id)
            .cloned()
            .ok_or(RpcChunkError::UnknownChunk { chunk_hash: ChunkHash(chunk_id) }),
        ChunkReference::BlockShardId { block_id, shard_id: shard } => {
            let block = find(chain, &BlockReference::BlockId(block_id))
                .map_err(|error_message| RpcChunkError::UnknownBlock { error_message })?;
            if shard == shard_id() {
                Ok(block)
            } else {
                Err(RpcChunkError::InvalidShardId { shard_id: shard })
            }
        }
    }
}

/// `chunk`
pub(super) fn chunk(node: &Node, params: Value) -> Answer {
    let request = chunk_request(params)?;
    let (block, author) = {
        let chain = node.chain();
        (find_chunk(&chain, request.chunk_reference)?, chain.signer().clone())
    };
    to_value(block.chunk_view(&author))
}

/// `EXPERIMENTAL_congestion_level`: always zero, because a single shard never waits for another.
pub(super) fn congestion_level(node: &Node, params: Value) -> Answer {
    let request = chunk_request(params)?;
    find_chunk(&node.chain(), request.chunk_reference)?;
    Ok(json!({"congestion_level": 0.0}))
}

/// `gas_price`
pub(super) fn gas_price(node: &Node, params: Value) -> Answer {
    let request: RpcGasPriceRequest = parse(params)?;
    let chain = node.chain();
    let gas_price = match request.block_id {
        None => chain.head().next_gas_price(),
        Some(id) => find(&chain, &BlockReference::BlockId(id))
            .map_err(|error_message| {
                RpcError::from(RpcGasPriceError::UnknownBlock { error_message })
            })?
            .header
            .next_gas_price(),
    };
    to_value(GasPriceView { gas_price })
}

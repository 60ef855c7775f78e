//! `next_light_client_block`, `light_client_proof` and `EXPERIMENTAL_light_client_block_proof`.

use std::sync::Arc;

use near_jsonrpc_primitives::{
    errors::RpcParseError,
    types::light_client::{
        RpcLightClientBlockProofRequest, RpcLightClientBlockProofResponse,
        RpcLightClientExecutionProofRequest, RpcLightClientExecutionProofResponse,
        RpcLightClientNextBlockError, RpcLightClientNextBlockRequest,
        RpcLightClientNextBlockResponse, RpcLightClientProofError,
    },
};
use near_primitives::{
    hash::CryptoHash,
    merkle::{MerklePath, merklize},
    types::TransactionOrReceiptId,
    views::LightClientBlockLiteView,
};
use serde_json::Value;

use super::{
    answer::{Answer, to_value},
    params::{parse, singleton},
};
use crate::{
    chain::{Chain, ProofError},
    node::Node,
};

fn next_block_request(params: Value) -> Result<RpcLightClientNextBlockRequest, RpcParseError> {
    match singleton(params) {
        Ok(hash) => Ok(RpcLightClientNextBlockRequest { last_block_hash: parse(hash)? }),
        Err(params) => parse(params),
    }
}

/// `next_light_client_block`: an empty object when the client has the newest block already.
pub(super) fn next_block(node: &Node, params: Value) -> Answer {
    let RpcLightClientNextBlockRequest { last_block_hash } = next_block_request(params)?;
    let chain = node.chain();
    let unknown = |error_message| RpcLightClientNextBlockError::UnknownBlock { error_message };
    let last = chain.history().by_hash(&last_block_hash).cloned();
    let last = last.ok_or_else(|| unknown(format!("BLOCK HEADER: {last_block_hash}")))?;
    let next = chain.next_light_client_block(&last).map_err(|error| match error {
        ProofError::Unknown(error_message) => unknown(error_message),
        other => RpcLightClientNextBlockError::InternalError { error_message: other.to_string() },
    })?;
    to_value(RpcLightClientNextBlockResponse { light_client_block: next.map(Arc::new) })
}

/// `light_client_proof`: that the outcome of a transaction or receipt is in the chain below the
/// client's head. Outcomes are committed to by the block above the one that executed them.
pub(super) fn execution_proof(node: &Node, params: Value) -> Answer {
    let RpcLightClientExecutionProofRequest { id, light_client_head } = parse(params)?;
    let id = match id {
        TransactionOrReceiptId::Transaction { transaction_hash, .. } => transaction_hash,
        TransactionOrReceiptId::Receipt { receipt_id, .. } => receipt_id,
    };
    let chain = node.chain();
    let stored = chain.history().outcome(&id).cloned().ok_or(
        RpcLightClientProofError::UnknownTransactionOrReceipt { transaction_or_receipt_id: id },
    )?;
    let committed = chain
        .history()
        .above(stored.block_height)
        .cloned()
        .ok_or(RpcLightClientProofError::NotConfirmed { transaction_or_receipt_id: id })?;
    let mut outcome_proof = stored.view();
    outcome_proof.block_hash = committed.hash();
    let (_, paths) = merklize(&[*committed.chunk.prev_outcome_root()]);
    let (block_header_lite, block_proof) =
        block_path(&chain, &committed.hash(), &light_client_head)?;
    to_value(RpcLightClientExecutionProofResponse {
        outcome_proof,
        outcome_root_proof: paths.into_iter().next().unwrap_or_default(),
        block_header_lite,
        block_proof,
    })
}

/// `EXPERIMENTAL_light_client_block_proof`: that a block is in the chain below the client's head.
pub(super) fn block_proof(node: &Node, params: Value) -> Answer {
    let RpcLightClientBlockProofRequest { block_hash, light_client_head } = parse(params)?;
    let (block_header_lite, block_proof) =
        block_path(&node.chain(), &block_hash, &light_client_head)?;
    to_value(RpcLightClientBlockProofResponse { block_header_lite, block_proof })
}

fn block_path(
    chain: &Chain,
    block: &CryptoHash,
    head: &CryptoHash,
) -> Result<(LightClientBlockLiteView, MerklePath), RpcLightClientProofError> {
    let (block, path) = chain.block_proof(block, head).map_err(|error| match error {
        ProofError::Unknown(error_message) => {
            RpcLightClientProofError::UnknownBlock { error_message }
        }
        other => RpcLightClientProofError::InternalError { error_message: other.to_string() },
    })?;
    Ok((block.header.clone().into(), path))
}

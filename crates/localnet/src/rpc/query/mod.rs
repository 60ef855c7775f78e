//! `query`: accounts, keys, state, code and view calls, as of the newest block or of an earlier
//! one.

mod path;
mod state_at;

use near_jsonrpc_primitives::{
    errors::{RpcError, RpcParseError},
    types::query::{RpcQueryError, RpcQueryRequest, RpcQueryResponse},
};
use near_primitives::{
    hash::CryptoHash,
    types::{BlockId, BlockReference},
    views::QueryRequest,
};
use serde_json::{Value, json};

use self::state_at::StateAt;
use super::{
    answer::{Answer, to_value},
    params::{check_page, pair, parse},
};
use crate::node::Node;

/// `query`
pub(super) fn query(node: &Node, params: Value) -> Answer {
    let request = request(params)?;
    match answer(node, request) {
        Ok(response) => to_value(response),
        Err(error) => failure(*error),
    }
}

/// The answer to a query that failed. For the sake of older clients, nearcore shows two kinds of
/// errors as results, and has a text of its own for an unknown block.
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
        Ok((path, data)) => path::request(parse(path)?, parse(data)?),
        Err(params) => {
            let request: RpcQueryRequest = parse(params)?;
            if let QueryRequest::ViewState { prefix, after_key, limit, include_proof, .. } =
                &request.request
            {
                check_page(prefix, after_key.as_ref(), *limit, *include_proof)?;
            }
            Ok(request)
        }
    }
}

/// Runs a query on the state after the block that it names.
pub(super) fn answer(
    node: &Node,
    request: RpcQueryRequest,
) -> Result<RpcQueryResponse, Box<RpcQueryError>> {
    let RpcQueryRequest { block_reference, request } = request;
    let at = StateAt::find(node, block_reference)?;
    let kind = at.answer(request)?;
    Ok(RpcQueryResponse { kind, block_height: at.height(), block_hash: at.hash() })
}

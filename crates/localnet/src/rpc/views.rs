//! The views of `query` as separate methods, each with its own error type
//! (`chain/jsonrpc/src/api/view_*.rs`).

use near_jsonrpc_primitives::{
    errors::RpcError,
    types::{
        call_function::{RpcCallFunctionError, RpcCallFunctionRequest},
        query::{RpcQueryError, RpcQueryRequest},
        view_access_key::{RpcViewAccessKeyError, RpcViewAccessKeyRequest},
        view_access_key_list::{RpcViewAccessKeyListError, RpcViewAccessKeyListRequest},
        view_account::{RpcViewAccountError, RpcViewAccountRequest},
        view_code::{RpcViewCodeError, RpcViewCodeRequest},
        view_gas_key_nonces::{RpcViewGasKeyNoncesError, RpcViewGasKeyNoncesRequest},
        view_state::{RpcViewStateError, RpcViewStateRequest},
    },
};
use near_primitives::{types::BlockReference, views::QueryRequest};
use serde_json::Value;

use super::{
    answer::{Answer, to_value},
    params::{check_page, parse},
    query,
};
use crate::node::Node;

/// Answers with the result of `query`, which is the same, or with an error of the method's own
/// type.
fn answer<E>(node: &Node, block_reference: BlockReference, request: QueryRequest) -> Answer
where
    E: From<RpcQueryError>,
    RpcError: From<E>,
{
    match query::answer(node, RpcQueryRequest { block_reference, request }) {
        Ok(response) => to_value(response),
        Err(error) => Err(RpcError::from(E::from(*error))),
    }
}

/// `EXPERIMENTAL_view_account`
pub(super) fn account(node: &Node, params: Value) -> Answer {
    let RpcViewAccountRequest { block_reference, account_id } = parse(params)?;
    let request = QueryRequest::ViewAccount { account_id };
    answer::<RpcViewAccountError>(node, block_reference, request)
}

/// `EXPERIMENTAL_view_code`
pub(super) fn code(node: &Node, params: Value) -> Answer {
    let RpcViewCodeRequest { block_reference, account_id } = parse(params)?;
    let request = QueryRequest::ViewCode { account_id };
    answer::<RpcViewCodeError>(node, block_reference, request)
}

/// `EXPERIMENTAL_view_state`
pub(super) fn state(node: &Node, params: Value) -> Answer {
    let RpcViewStateRequest {
        block_reference,
        account_id,
        prefix,
        include_proof,
        after_key,
        limit,
    } = parse(params)?;
    check_page(&prefix, after_key.as_ref(), limit, include_proof)?;
    let request = QueryRequest::ViewState { account_id, prefix, include_proof, after_key, limit };
    answer::<RpcViewStateError>(node, block_reference, request)
}

/// `EXPERIMENTAL_view_access_key`
pub(super) fn access_key(node: &Node, params: Value) -> Answer {
    let RpcViewAccessKeyRequest { block_reference, account_id, public_key } = parse(params)?;
    let request = QueryRequest::ViewAccessKey { account_id, public_key };
    answer::<RpcViewAccessKeyError>(node, block_reference, request)
}

/// `EXPERIMENTAL_view_access_key_list`
pub(super) fn access_key_list(node: &Node, params: Value) -> Answer {
    let RpcViewAccessKeyListRequest { block_reference, account_id, after_key, limit } =
        parse(params)?;
    let request = QueryRequest::ViewAccessKeyList { account_id, after_key, limit };
    answer::<RpcViewAccessKeyListError>(node, block_reference, request)
}

/// `EXPERIMENTAL_view_gas_key_nonces`
pub(super) fn gas_key_nonces(node: &Node, params: Value) -> Answer {
    let RpcViewGasKeyNoncesRequest { block_reference, account_id, public_key } = parse(params)?;
    let request = QueryRequest::ViewGasKeyNonces { account_id, public_key };
    answer::<RpcViewGasKeyNoncesError>(node, block_reference, request)
}

/// `EXPERIMENTAL_call_function`
pub(super) fn call_function(node: &Node, params: Value) -> Answer {
    let RpcCallFunctionRequest { block_reference, account_id, method_name, args } = parse(params)?;
    let request = QueryRequest::CallFunction { account_id, method_name, args };
    answer::<RpcCallFunctionError>(node, block_reference, request)
}

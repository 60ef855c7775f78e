//! The older form of `query`: a path such as `call/contract.near/method`, and data in base58.

use near_jsonrpc_primitives::{errors::RpcParseError, types::query::RpcQueryRequest};
use near_primitives::{
    types::{AccountId, BlockReference},
    views::QueryRequest,
};

/// The most bytes that the path and the decoded data may have together.
const MAX_QUERY_DATA: usize = 10 * 1024;

/// The query that a path and its data stand for.
pub(super) fn request(path: String, data: String) -> Result<RpcQueryRequest, RpcParseError> {
    let decode = || {
        // The limit is on the decoded bytes.
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

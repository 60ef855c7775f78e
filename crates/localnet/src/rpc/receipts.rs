//! `EXPERIMENTAL_receipt`.

use near_jsonrpc_primitives::types::receipts::{
    RpcReceiptError, RpcReceiptRequest, RpcReceiptResponse,
};
use serde_json::Value;

use super::{
    answer::{Answer, to_value},
    params::parse,
};
use crate::node::Node;

/// `EXPERIMENTAL_receipt`
pub(super) fn receipt(node: &Node, params: Value) -> Answer {
    let request = RpcReceiptRequest { receipt_reference: parse(params)? };
    let receipt_id = request.receipt_reference.receipt_id;
    let found = node.chain().history().receipt(&receipt_id).cloned();
    let receipt = found.ok_or(RpcReceiptError::UnknownReceipt { receipt_id })?;
    to_value(RpcReceiptResponse { receipt_view: receipt.as_ref().clone().into() })
}

//! `EXPERIMENTAL_receipt` and `EXPERIMENTAL_receipt_to_tx`.

use near_jsonrpc_primitives::types::receipts::{
    RpcReceiptError, RpcReceiptRequest, RpcReceiptResponse, RpcReceiptToTxError,
    RpcReceiptToTxRequest, RpcReceiptToTxResponse,
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

/// The widest search around a hint that nearcore allows (its `receipt_to_tx_max_hint_window`).
const MAX_HINT_WINDOW: u64 = 20;

/// `EXPERIMENTAL_receipt_to_tx`: the transaction that a receipt comes from. Hints about where to
/// look are not needed.
pub(super) fn to_transaction(node: &Node, params: Value) -> Answer {
    let RpcReceiptToTxRequest { receipt_reference, window, .. } = parse(params)?;
    if let Some(requested) = window.filter(|window| *window > MAX_HINT_WINDOW) {
        let maximum = MAX_HINT_WINDOW;
        return Err(RpcReceiptToTxError::WindowTooLarge { requested, maximum }.into());
    }
    let receipt_id = receipt_reference.receipt_id;
    let chain = node.chain();
    let tx = chain.history().origin(&receipt_id);
    let tx = tx.ok_or(RpcReceiptToTxError::UnknownReceipt { receipt_id })?;
    to_value(RpcReceiptToTxResponse {
        transaction_hash: tx.get_hash(),
        sender_account_id: tx.transaction.signer_id().clone(),
    })
}

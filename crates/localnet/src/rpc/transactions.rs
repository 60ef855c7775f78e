//! `broadcast_tx_async`, `broadcast_tx_commit`, `send_tx`, `tx` and `tx_status`.

use std::sync::Arc;

use near_jsonrpc_primitives::{
    errors::RpcParseError,
    types::transactions::{
        RpcSendTransactionRequest, RpcTransactionError, RpcTransactionResponse,
        RpcTransactionStatusRequest, TimeoutErrorCause, TransactionInfo,
    },
};
use near_primitives::{
    errors::InvalidTxError,
    hash::CryptoHash,
    transaction::SignedTransaction,
    types::BlockHeight,
    views::{FinalExecutionOutcomeViewEnum, TxExecutionStatus},
};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    answer::{Answer, internal, to_value},
    params::{pair, parse, signed_transaction, singleton},
};
use crate::{chain::TransactionStatus, node::Node};

fn send_request(params: Value) -> Result<RpcSendTransactionRequest, RpcParseError> {
    match singleton(params) {
        Ok(encoded) => Ok(RpcSendTransactionRequest {
            signed_transaction: signed_transaction(encoded)?,
            wait_until: TxExecutionStatus::default(),
        }),
        Err(params) => match pair(params) {
            Ok(_) => Err(RpcParseError(
                "Unable to parse send request: too many params passed".to_owned(),
            )),
            Err(params) => parse(params),
        },
    }
}

fn status_request(params: Value) -> Result<RpcTransactionStatusRequest, RpcParseError> {
    let wait_until = TxExecutionStatus::default();
    match singleton(params) {
        Ok(encoded) => Ok(RpcTransactionStatusRequest {
            transaction_info: signed_transaction(encoded)?.into(),
            wait_until,
        }),
        Err(params) => match pair(params) {
            Ok((hash, account)) => Ok(RpcTransactionStatusRequest {
                transaction_info: TransactionInfo::TransactionId {
                    tx_hash: parse(hash)?,
                    sender_account_id: parse(account)?,
                },
                wait_until,
            }),
            Err(params) => parse(params),
        },
    }
}

/// `broadcast_tx_async`: answers with the hash at once, even when the transaction is invalid.
pub(super) async fn broadcast_async(node: Arc<Node>, params: Value) -> Answer {
    let tx = send_request(params)?.signed_transaction;
    let hash = tx.get_hash();
    if let Ok(Err(error)) = submit(node, tx).await {
        tracing::debug!(%hash, %error, "a transaction sent with broadcast_tx_async is invalid");
    }
    to_value(hash)
}

/// `broadcast_tx_commit`: answers with the outcome when all receipts but refunds have been
/// executed.
pub(super) async fn broadcast_commit(node: Arc<Node>, params: Value) -> Answer {
    let mut request = send_request(params)?;
    request.wait_until = TxExecutionStatus::ExecutedOptimistic;
    send_and_wait(node, request).await
}

/// `send_tx`: answers when the transaction has reached the level that the request names.
pub(super) async fn send(node: Arc<Node>, params: Value) -> Answer {
    let request = send_request(params)?;
    send_and_wait(node, request).await
}

async fn submit(
    node: Arc<Node>,
    tx: SignedTransaction,
) -> Result<Result<CryptoHash, InvalidTxError>, tokio::task::JoinError> {
    tokio::task::spawn_blocking(move || node.submit(tx)).await
}

async fn send_and_wait(node: Arc<Node>, request: RpcSendTransactionRequest) -> Answer {
    let RpcSendTransactionRequest { signed_transaction, wait_until } = request;
    let hash = signed_transaction.get_hash();
    let before = node.chain().head().height();
    let sent = submit(Arc::clone(&node), signed_transaction).await;
    let sent = sent.map_err(|error| internal(error.to_string()))?;
    if wait_until == TxExecutionStatus::None {
        // A client that does not wait is told nothing, not even that the transaction is invalid.
        return to_value(RpcTransactionResponse {
            final_execution_outcome: None,
            final_execution_status: TxExecutionStatus::None,
        });
    }
    sent.map_err(|context| RpcTransactionError::InvalidTransaction { context })?;
    let mut answer = wait(&node, hash, wait_until.clone(), false, Some(before)).await?;
    let is_included = answer.final_execution_status == TxExecutionStatus::Included;
    if wait_until == TxExecutionStatus::Included && is_included {
        // A NEAR node answers once it has the block, which it executes only then.
        answer.final_execution_outcome = None;
    }
    to_value(answer)
}

/// `tx` and `tx_status`; the latter includes the receipts.
pub(super) async fn status(node: Arc<Node>, params: Value, with_receipts: bool) -> Answer {
    let RpcTransactionStatusRequest { transaction_info, wait_until } = status_request(params)?;
    let (hash, _) = transaction_info.to_tx_hash_and_account();
    // A transaction that was never sent and is invalid gives an error at once.
    if let Some(tx) = transaction_info.to_signed_tx() {
        let (node, tx) = (Arc::clone(&node), tx.clone());
        let checked = tokio::task::spawn_blocking(move || node.check(&tx)).await;
        checked
            .map_err(|error| internal(error.to_string()))?
            .map_err(|context| RpcTransactionError::InvalidTransaction { context })?;
    }
    to_value(wait(&node, hash, wait_until, with_receipts, None).await?)
}

/// Waits until a transaction has reached the level `until`, looking at it after every block from
/// `from` on, or from the head on. Answers the status after the first block with which the level
/// was reached, however late that is noticed.
async fn wait(
    node: &Node,
    hash: CryptoHash,
    until: TxExecutionStatus,
    with_receipts: bool,
    from: Option<BlockHeight>,
) -> Result<RpcTransactionResponse, RpcTransactionError> {
    let mut heights = node.heights();
    let mut from = from;
    let reached = timeout(node.settings().polling_timeout, async {
        loop {
            // Marks the height as seen before looking, so that a block in between wakes this task.
            heights.mark_unchanged();
            let _ = heights.borrow_and_update();
            let invalid = {
                let chain = node.chain();
                let head = chain.head().height();
                if let Some(status) = chain.first_status(&hash, &until, from.unwrap_or(head)) {
                    return Ok(status);
                }
                from = Some(head.saturating_add(1));
                chain.invalid_transaction(&hash).filter(|_| !chain.knows(&hash)).cloned()
            };
            if until == TxExecutionStatus::None {
                let requested_transaction_hash = hash;
                return Err(RpcTransactionError::UnknownTransaction { requested_transaction_hash });
            }
            if let Some(context) = invalid {
                return Err(RpcTransactionError::InvalidTransaction { context });
            }
            if heights.changed().await.is_err() {
                let debug_info = "the node is shutting down".to_owned();
                return Err(RpcTransactionError::InternalError { debug_info });
            }
        }
    })
    .await;
    match reached {
        Ok(outcome) => Ok(response(outcome?, with_receipts)),
        Err(_) => Err(match node.transaction_status(&hash) {
            Some(status) => {
                let status = Box::new(response(status, with_receipts));
                RpcTransactionError::TimeoutError(Some(TimeoutErrorCause::Pending { status }))
            }
            None => RpcTransactionError::TimeoutError(Some(TimeoutErrorCause::NotObserved)),
        }),
    }
}

fn response(status: TransactionStatus, with_receipts: bool) -> RpcTransactionResponse {
    let final_execution_status = status.status.clone();
    let outcome = if with_receipts {
        FinalExecutionOutcomeViewEnum::FinalExecutionOutcomeWithReceipt(status.with_receipts())
    } else {
        FinalExecutionOutcomeViewEnum::FinalExecutionOutcome(status.outcome)
    };
    RpcTransactionResponse { final_execution_outcome: Some(outcome), final_execution_status }
}

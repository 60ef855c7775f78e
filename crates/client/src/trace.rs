//! What a transaction did, receipt by receipt.

use std::collections::HashSet;

use near_jsonrpc_client::methods;
use near_jsonrpc_primitives::types::transactions::{RpcTransactionError, TransactionInfo};
use near_primitives::{
    hash::CryptoHash,
    views::{ExecutionStatusView, FinalExecutionStatus, TxExecutionStatus},
};
use outlayer_protocol::{AccountId, NearToken, events::Event};

use crate::{ChainError, Node, outcome::failure, text::clip, transport::CallError};

/// A receipt that was executed without failing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptTrace {
    /// The receipt's id.
    pub receipt: CryptoHash,
    /// The account on which it was executed.
    pub executor_id: AccountId,
    /// The hash of the block in which it was executed.
    pub block: CryptoHash,
    /// The lines that the contract logged, in order.
    pub logs: Vec<String>,
    /// What the receipt returned; empty when another receipt returns in its place.
    pub returned: Vec<u8>,
}

/// A transaction, as far as it has been executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionTrace {
    /// Its hash.
    pub hash: CryptoHash,
    /// The account that signed it.
    pub signer_id: AccountId,
    /// Its receipts that have been executed without failing, in the order of the node's answer.
    pub receipts: Vec<ReceiptTrace>,
    /// What it returned, or why it failed; `None` until it has ended.
    pub result: Option<Result<Vec<u8>, String>>,
    /// What the signer has paid for gas so far.
    pub tokens_burnt: NearToken,
    /// Whether every receipt that it has led to so far has been executed, refunds included.
    pub complete: bool,
}

impl ReceiptTrace {
    /// The OutLayer events among its logs. Any contract can log the same words, so look at
    /// [`executor_id`](Self::executor_id) too.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.logs.iter().filter_map(|line| Event::from_log(line))
    }
}

/// The receipts of a transaction that have been executed without failing. A failed receipt is left
/// out, because what it logged did not happen.
///
/// # Errors
/// [`ChainError`]; [`ChainError::UnknownTransaction`] when the node does not have the transaction.
pub async fn transaction(
    node: &Node,
    hash: CryptoHash,
    signer_id: &AccountId,
) -> Result<Vec<ReceiptTrace>, ChainError> {
    Ok(whole(node, hash, signer_id).await?.map(|trace| trace.receipts).unwrap_or_default())
}

/// A transaction as far as it has been executed; `None` when the node only knows that it was sent.
///
/// A node uses the account to find the shard that has the transaction. One that follows all shards
/// finds it with any account.
///
/// # Errors
/// [`ChainError`]; [`ChainError::UnknownTransaction`] when the node does not have the transaction.
pub async fn whole(
    node: &Node,
    hash: CryptoHash,
    signer_id: &AccountId,
) -> Result<Option<TransactionTrace>, ChainError> {
    let request = methods::tx::RpcTransactionStatusRequest {
        transaction_info: TransactionInfo::TransactionId {
            tx_hash: hash,
            sender_account_id: signer_id.clone(),
        },
        wait_until: TxExecutionStatus::None,
    };
    let response = match node.call(&request).await {
        Ok(response) => response,
        Err(CallError::Handler(
            RpcTransactionError::UnknownTransaction { .. } | RpcTransactionError::DoesNotTrackShard,
        )) => {
            return Err(ChainError::UnknownTransaction { hash });
        }
        Err(CallError::Handler(error)) => {
            return Err(ChainError::Refused {
                method: "tx".into(),
                reason: clip(&error.to_string()),
            });
        }
        Err(CallError::Chain(error)) => return Err(error),
    };
    let Some(outcome) = response.final_execution_outcome else {
        return Ok(None);
    };
    let outcome = outcome.into_outcome();
    let result = match outcome.status {
        FinalExecutionStatus::SuccessValue(value) => Some(Ok(value)),
        FinalExecutionStatus::Failure(error) => Some(Err(failure(&error))),
        FinalExecutionStatus::NotStarted | FinalExecutionStatus::Started => None,
    };
    let all = || outcome.receipts_outcome.iter().chain([&outcome.transaction_outcome]);
    let tokens_burnt = all().fold(NearToken::from_yoctonear(0), |sum, one| {
        sum.saturating_add(one.outcome.tokens_burnt)
    });
    let executed: HashSet<CryptoHash> = all().map(|one| one.id).collect();
    let complete =
        all().flat_map(|one| &one.outcome.receipt_ids).all(|receipt| executed.contains(receipt));
    let traced = outcome.receipts_outcome.into_iter().filter_map(|one| {
        let returned = match one.outcome.status {
            ExecutionStatusView::SuccessValue(value) => value,
            ExecutionStatusView::SuccessReceiptId(_) => Vec::new(),
            ExecutionStatusView::Failure(_) | ExecutionStatusView::Unknown => return None,
        };
        Some(ReceiptTrace {
            receipt: one.id,
            executor_id: one.outcome.executor_id,
            block: one.block_hash,
            logs: one.outcome.logs,
            returned,
        })
    });
    Ok(Some(TransactionTrace {
        hash,
        signer_id: outcome.transaction.signer_id,
        receipts: traced.collect(),
        result,
        tokens_burnt,
        complete,
    }))
}

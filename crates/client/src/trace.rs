//! What a transaction did, receipt by receipt.

use near_jsonrpc_client::methods;
use near_jsonrpc_primitives::types::transactions::{RpcTransactionError, TransactionInfo};
use near_primitives::{
    hash::CryptoHash,
    views::{ExecutionStatusView, TxExecutionStatus},
};
use outlayer_protocol::{AccountId, events::Event};

use crate::{ChainError, Node, text::clip, transport::CallError};

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
    let request = methods::tx::RpcTransactionStatusRequest {
        transaction_info: TransactionInfo::TransactionId {
            tx_hash: hash,
            sender_account_id: signer_id.clone(),
        },
        wait_until: TxExecutionStatus::None,
    };
    let response = match node.call(&request).await {
        Ok(response) => response,
        Err(CallError::Handler(RpcTransactionError::UnknownTransaction { .. })) => {
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
        return Ok(Vec::new());
    };
    let receipts = outcome.into_outcome().receipts_outcome.into_iter();
    let succeeded = receipts.filter(|one| {
        matches!(
            one.outcome.status,
            ExecutionStatusView::SuccessValue(_) | ExecutionStatusView::SuccessReceiptId(_)
        )
    });
    let traced = succeeded.map(|one| ReceiptTrace {
        receipt: one.id,
        executor_id: one.outcome.executor_id,
        block: one.block_hash,
        logs: one.outcome.logs,
    });
    Ok(traced.collect())
}

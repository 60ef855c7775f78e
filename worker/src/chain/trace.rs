//! What a transaction did, receipt by receipt.

use near_jsonrpc_client::methods;
use near_jsonrpc_primitives::types::transactions::{RpcTransactionError, TransactionInfo};
use near_primitives::{
    hash::CryptoHash,
    views::{ExecutionStatusView, TxExecutionStatus},
};
use outlayer_protocol::{AccountId, events::Event};

use super::{
    ChainError, Node,
    transport::{CallError, clip},
};

/// A receipt that was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptTrace {
    /// The receipt.
    pub receipt: CryptoHash,
    /// The account that executed it.
    pub executor_id: AccountId,
    /// The block in which it was executed.
    pub block: CryptoHash,
    /// Its logs.
    pub logs: Vec<String>,
}

impl ReceiptTrace {
    /// OutLayer's events in its logs.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.logs.iter().filter_map(|line| Event::from_log(line))
    }
}

/// The receipts of a transaction that have been executed without failing; what a failed receipt logged did not happen.
///
/// # Errors
/// [`ChainError::UnknownTransaction`] and other [`ChainError`]s.
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

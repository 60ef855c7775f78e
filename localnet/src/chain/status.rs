//! How far a transaction has come, and its outcome as the RPC gives it
//! (`chain/client/src/view_client_actor.rs`, `chain/chain/src/chain.rs`).

use super::{Chain, Outcome};
use near_primitives::hash::CryptoHash;
use near_primitives::types::BlockHeight;
use near_primitives::views::{
    ExecutionOutcomeWithIdView, ExecutionStatusView, FinalExecutionOutcomeView,
    FinalExecutionOutcomeWithReceiptView, FinalExecutionStatus, ReceiptView, TxExecutionStatus,
};
use std::collections::HashMap;

/// A transaction's outcome so far.
#[derive(Debug, Clone)]
pub struct TransactionStatus {
    /// How far it has come.
    pub status: TxExecutionStatus,
    /// The outcome, with all receipts that were executed until now.
    pub outcome: FinalExecutionOutcomeView,
    /// The receipts in the order of their outcomes, but for a local one of the transaction itself.
    pub receipts: Vec<ReceiptView>,
}

impl TransactionStatus {
    /// The form that carries the receipts.
    pub fn with_receipts(self) -> FinalExecutionOutcomeWithReceiptView {
        FinalExecutionOutcomeWithReceiptView {
            final_outcome: self.outcome,
            receipts: self.receipts,
        }
    }
}

/// What a walk over the tree of receipts found.
#[derive(Default)]
struct Walk {
    outcomes: Vec<ExecutionOutcomeWithIdView>,
    /// Some receipt that is not a refund has not been executed.
    pending: bool,
    /// Some refund has not been executed.
    pending_refund: bool,
    newest: BlockHeight,
}

impl Chain {
    /// A transaction's outcome so far; `None` while it stands in no block that is remembered.
    pub fn transaction_status(&self, hash: &CryptoHash) -> Option<TransactionStatus> {
        let (height, tx) = self.history.transaction(hash)?;
        let own = self.history.outcome(hash)?;
        let mut walk = Walk { newest: *height, ..Walk::default() };
        self.walk(own, &mut walk);
        let mut outcomes = walk.outcomes.into_iter();
        let transaction_outcome = outcomes.next()?;
        let receipts_outcome: Vec<_> = outcomes.collect();
        let status = final_status(&transaction_outcome, &receipts_outcome);
        let own_receipt = transaction_outcome.outcome.receipt_ids.first().copied();
        let local = tx.transaction.signer_id() == tx.transaction.receiver_id();
        let receipts = receipts_outcome
            .iter()
            .filter(|outcome| !(local && Some(outcome.id) == own_receipt))
            .filter_map(|outcome| self.history.receipt(&outcome.id))
            .map(|receipt| ReceiptView::from(receipt.as_ref().clone()))
            .collect();
        let final_height = self.final_height();
        let included_final = *height <= final_height;
        let executed = !walk.pending;
        let all_final = executed && !walk.pending_refund && walk.newest <= final_height;
        let reached = match (executed, included_final) {
            (false, false) => TxExecutionStatus::Included,
            (false, true) => TxExecutionStatus::IncludedFinal,
            (true, false) => TxExecutionStatus::ExecutedOptimistic,
            (true, true) if all_final => TxExecutionStatus::Final,
            (true, true) => TxExecutionStatus::Executed,
        };
        let outcome = FinalExecutionOutcomeView {
            status,
            transaction: tx.as_ref().clone().into(),
            transaction_outcome,
            receipts_outcome,
        };
        Some(TransactionStatus { status: reached, outcome, receipts })
    }

    /// Depth first, in the order in which each outcome lists its receipts.
    fn walk(&self, root: &Outcome, walk: &mut Walk) {
        let mut stack = vec![root.view()];
        walk.newest = walk.newest.max(root.block_height);
        while let Some(view) = stack.pop() {
            for id in view.outcome.receipt_ids.iter().rev() {
                match self.history.outcome(id) {
                    Some(outcome) => {
                        walk.newest = walk.newest.max(outcome.block_height);
                        stack.push(outcome.view());
                    }
                    None if self.is_refund(id) => walk.pending_refund = true,
                    None => walk.pending = true,
                }
            }
            walk.outcomes.push(view);
        }
    }

    fn is_refund(&self, id: &CryptoHash) -> bool {
        self.history.receipt(id).is_some_and(|receipt| receipt.predecessor_id().is_system())
    }
}

/// The result that the transaction's chain of returned promises leads to.
fn final_status(
    transaction: &ExecutionOutcomeWithIdView,
    receipts: &[ExecutionOutcomeWithIdView],
) -> FinalExecutionStatus {
    let by_id: HashMap<_, _> = receipts.iter().map(|outcome| (outcome.id, outcome)).collect();
    let mut current = transaction;
    loop {
        match &current.outcome.status {
            ExecutionStatusView::Unknown if receipts.is_empty() => {
                return FinalExecutionStatus::NotStarted;
            }
            ExecutionStatusView::Unknown => return FinalExecutionStatus::Started,
            ExecutionStatusView::Failure(error) => {
                return FinalExecutionStatus::Failure(error.clone());
            }
            ExecutionStatusView::SuccessValue(value) => {
                return FinalExecutionStatus::SuccessValue(value.clone());
            }
            ExecutionStatusView::SuccessReceiptId(id) => match by_id.get(id) {
                Some(outcome) => current = outcome,
                None => return FinalExecutionStatus::Started,
            },
        }
    }
}

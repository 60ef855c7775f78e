//! How far a transaction has come, and its outcome as the RPC gives it
//! (`chain/client/src/view_client_actor.rs`, `chain/chain/src/chain.rs`).

use super::{Chain, Outcome, StoredBlock};
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
    /// Whether it has come as far as somebody waits for (`tx_execution_status_meets_expectations` in
    /// `chain/jsonrpc/src/lib.rs`). The levels are no ladder: a block that took a transaction may become
    /// final before or after all its receipts have run.
    pub fn meets(&self, expected: &TxExecutionStatus) -> bool {
        use TxExecutionStatus::{
            Executed, ExecutedOptimistic, Final, Included, IncludedFinal, None,
        };
        match expected {
            None => true,
            Included => self.status != None,
            ExecutedOptimistic => matches!(self.status, ExecutedOptimistic | Executed | Final),
            IncludedFinal => matches!(self.status, IncludedFinal | Executed | Final),
            Executed => matches!(self.status, Executed | Final),
            Final => self.status == Final,
        }
    }

    /// The form that carries the receipts.
    pub fn with_receipts(self) -> FinalExecutionOutcomeWithReceiptView {
        FinalExecutionOutcomeWithReceiptView {
            final_outcome: self.outcome,
            receipts: self.receipts,
        }
    }
}

/// A walk over the tree of receipts, as it was when the head stood at some height.
struct Walk<'a> {
    chain: &'a Chain,
    head: BlockHeight,
    outcomes: Vec<ExecutionOutcomeWithIdView>,
    /// A receipt has not been executed that is not just a refund at the end of an outcome's list.
    pending: bool,
    /// Such a refund has not been executed.
    pending_refund: bool,
    newest: BlockHeight,
}

impl Walk<'_> {
    fn outcome(&self, id: &CryptoHash) -> Option<&Outcome> {
        let outcome = self.chain.history.outcome(id)?;
        (outcome.block_height <= self.head).then_some(&**outcome)
    }

    /// Depth first, in the order in which each outcome lists its receipts.
    fn visit(&mut self, root: &CryptoHash) {
        let mut stack = vec![*root];
        while let Some(id) = stack.pop() {
            let Some((view, height)) = self.outcome(&id).map(|o| (o.view(), o.block_height)) else {
                continue;
            };
            self.newest = self.newest.max(height);
            let ids = &view.outcome.receipt_ids;
            for id in ids {
                if self.outcome(id).is_some() {
                    continue;
                }
                // The transaction's own receipt is no refund, so it needs no exception.
                if ids.last() == Some(id) && self.chain.is_refund(id) {
                    self.pending_refund = true;
                } else {
                    self.pending = true;
                }
            }
            stack.extend(ids.iter().rev());
            self.outcomes.push(view);
        }
    }
}

impl Chain {
    /// A transaction's outcome so far; `None` while it stands in no block that is remembered.
    pub fn transaction_status(&self, hash: &CryptoHash) -> Option<TransactionStatus> {
        self.transaction_status_at(hash, self.history.head())
    }

    /// A transaction's outcome when `head` was the newest block.
    pub fn transaction_status_at(
        &self,
        hash: &CryptoHash,
        head: &StoredBlock,
    ) -> Option<TransactionStatus> {
        let (height, tx) = self.history.transaction(hash)?;
        let mut walk = Walk {
            chain: self,
            head: head.height(),
            outcomes: Vec::new(),
            pending: false,
            pending_refund: false,
            newest: *height,
        };
        walk.visit(hash);
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
        let final_height = self.height_of(head.header.last_final_block());
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

    /// A transaction's outcome after the first block from a height on after which it met what is expected.
    pub fn first_status(
        &self,
        hash: &CryptoHash,
        expected: &TxExecutionStatus,
        from: BlockHeight,
    ) -> Option<TransactionStatus> {
        let (height, _) = self.history.transaction(hash)?;
        let blocks = self.history.newest(from.max(*height)).map(|(block, _)| block);
        blocks
            .filter_map(|block| self.transaction_status_at(hash, block))
            .find(|status| status.meets(expected))
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

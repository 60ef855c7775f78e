//! The status of a transaction, and its outcome in the form of the RPC
//! (`chain/client/src/view_client_actor.rs`, `chain/chain/src/chain.rs`).

use std::collections::HashMap;

use near_primitives::{
    hash::CryptoHash,
    types::BlockHeight,
    views::{
        ExecutionOutcomeWithIdView, ExecutionStatusView, FinalExecutionOutcomeView,
        FinalExecutionOutcomeWithReceiptView, FinalExecutionStatus, ReceiptView, TxExecutionStatus,
    },
};

use super::{Chain, StoredBlock, StoredOutcome};

/// The status of a transaction and its outcome so far.
#[derive(Debug, Clone)]
pub struct TransactionStatus {
    /// The highest level that the transaction has reached.
    pub status: TxExecutionStatus,
    /// The outcome, with those of all receipts that have been executed so far.
    pub outcome: FinalExecutionOutcomeView,
    /// The receipts, in the order of their outcomes. A local receipt that the transaction was
    /// converted to is left out.
    pub receipts: Vec<ReceiptView>,
}

impl TransactionStatus {
    /// Whether the transaction has reached the level that a client waits for
    /// (`tx_execution_status_meets_expectations` in `chain/jsonrpc/src/lib.rs`). The levels have no
    /// linear order: the block that includes a transaction may become final before or after all of
    /// the transaction's receipts have run.
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

    /// The form of the outcome that includes the receipts.
    pub fn with_receipts(self) -> FinalExecutionOutcomeWithReceiptView {
        FinalExecutionOutcomeWithReceiptView {
            final_outcome: self.outcome,
            receipts: self.receipts,
        }
    }
}

/// A walk over the tree of a transaction's receipts, as it was when the head was at some height.
struct ReceiptTree<'a> {
    chain: &'a Chain,
    head: BlockHeight,
    /// The outcomes that were found, the transaction's first.
    outcomes: Vec<ExecutionOutcomeWithIdView>,
    /// Whether a receipt has not been executed yet, not counting refunds at the end of an outcome's
    /// list of receipts.
    pending: bool,
    /// Whether such a refund has not been executed yet.
    pending_refund: bool,
    /// The height of the newest block that executed one of the receipts.
    newest: BlockHeight,
}

impl ReceiptTree<'_> {
    fn outcome(&self, id: &CryptoHash) -> Option<&StoredOutcome> {
        let outcome = self.chain.history.outcome(id)?;
        (outcome.block_height <= self.head).then_some(&**outcome)
    }

    /// Visits the tree depth first, in the order in which each outcome lists its receipts.
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
                // The receipt that a transaction is converted to is the last in its list too, but
                // no refund.
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
    /// The status of a transaction; `None` while no block that is kept includes it.
    pub fn transaction_status(&self, hash: &CryptoHash) -> Option<TransactionStatus> {
        self.transaction_status_at(hash, self.history.head())
    }

    /// The status of a transaction when `head` was the newest block.
    pub fn transaction_status_at(
        &self,
        hash: &CryptoHash,
        head: &StoredBlock,
    ) -> Option<TransactionStatus> {
        let (height, tx) = self.history.transaction(hash)?;
        let mut tree = ReceiptTree {
            chain: self,
            head: head.height(),
            outcomes: Vec::new(),
            pending: false,
            pending_refund: false,
            newest: *height,
        };
        tree.visit(hash);
        let mut outcomes = tree.outcomes.into_iter();
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
        let executed = !tree.pending;
        let all_final = executed && !tree.pending_refund && tree.newest <= final_height;
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

    /// The status of a transaction after the first block, at `from` or above, with which it reached
    /// the level `expected`.
    pub fn first_status(
        &self,
        hash: &CryptoHash,
        expected: &TxExecutionStatus,
        from: BlockHeight,
    ) -> Option<TransactionStatus> {
        let (height, _) = self.history.transaction(hash)?;
        let blocks = self.history.blocks_from(from.max(*height)).map(|(block, _)| block);
        blocks
            .filter_map(|block| self.transaction_status_at(hash, block))
            .find(|status| status.meets(expected))
    }

    fn is_refund(&self, id: &CryptoHash) -> bool {
        self.history.receipt(id).is_some_and(|receipt| receipt.predecessor_id().is_system())
    }
}

/// The result of a transaction: that of the receipt at the end of its chain of returned promises.
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

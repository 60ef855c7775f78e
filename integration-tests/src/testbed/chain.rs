//! What a test asks the chain for: results, live requests, money, heights.

use std::{
    task::Poll,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use near_workspaces::{
    AccountId,
    operations::TransactionStatus,
    result::{ExecutionFinalResult, ExecutionOutcome},
};
use outlayer_protocol::{
    RequestId, Settlement,
    events::Event,
    index::{PendingEntry, PendingPage},
    methods,
    views::{FundsView, RequestState, RequestView},
};
use serde_json::json;

use super::{
    Testbed,
    results::{is_complete, settlement},
};

/// How long to wait for something that takes a few blocks. The machine may be slow.
const PATIENCE: Duration = Duration::from_secs(90);

impl Testbed {
    /// Waits for the final result of a transaction that [`Testbed::ask`] sent. The result has the
    /// outcomes of all receipts, with those of detached transfers and gas refunds.
    ///
    /// # Errors
    /// When the transaction does not end in time.
    pub async fn finished(&self, transaction: TransactionStatus) -> Result<ExecutionFinalResult> {
        let begun = Instant::now();
        loop {
            match transaction.status().await {
                Ok(Poll::Ready(result)) if is_complete(&result) => return Ok(result),
                Ok(_) => {}
                Err(error) if begun.elapsed() > PATIENCE => {
                    return Err(error).context("the transaction's status");
                }
                Err(_) => {}
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "the transaction {:?} did not end in {PATIENCE:?}",
                transaction.hash()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The settlement that the dApp's callback received, from the final result of an `ask`.
    ///
    /// # Errors
    /// When the transaction failed, or the callback received no settlement.
    pub async fn settlement(&self, transaction: TransactionStatus) -> Result<Settlement> {
        settlement(self.finished(transaction).await?)
    }

    /// All live requests.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn pending(&self) -> Result<Vec<PendingEntry>> {
        let mut all = Vec::new();
        let mut from_id = Some(0);
        while let Some(from) = from_id {
            let view = self.contract.view(methods::LIST_PENDING);
            let view = view.args_json(json!({ "from_id": from, "limit": 500 }));
            let page: PendingPage = view.await?.json()?;
            all.extend(page.entries);
            from_id = page.next_id;
        }
        Ok(all)
    }

    /// A live request, or `None` when it has been settled or was never made.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn live(&self, request_id: RequestId) -> Result<Option<RequestView>> {
        let view = self.contract.view(methods::GET_REQUEST);
        let state: RequestState =
            view.args_json(json!({ "request_id": request_id })).await?.json()?;
        Ok(state.live())
    }

    /// Waits until `count` requests are live, and returns them.
    ///
    /// # Errors
    /// When they do not become live in time.
    pub async fn wait_for_pending(&self, count: usize) -> Result<Vec<PendingEntry>> {
        let begun = Instant::now();
        loop {
            let pending = self.pending().await?;
            if pending.len() == count {
                return Ok(pending);
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "{} requests are live, expected {count}",
                pending.len()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The money that the contract holds, by purpose.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn funds(&self) -> Result<FundsView> {
        Ok(self.contract.view(methods::GET_FUNDS).await?.json()?)
    }

    /// An account's balance, yoctoNEAR.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn balance(&self, account: &AccountId) -> Result<u128> {
        Ok(self.node.view_account(account).await?.balance.as_yoctonear())
    }

    /// The height of the newest block.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn height(&self) -> Result<u64> {
        Ok(self.node.view_block().await?.height())
    }

    /// The height of the block in which a request was settled, from the result of its transaction.
    ///
    /// # Errors
    /// When no receipt emitted a second event, or the node does not have the block.
    pub async fn settled_at(&self, result: &ExecutionFinalResult) -> Result<u64> {
        let emits = |outcome: &&ExecutionOutcome| {
            outcome.logs.iter().any(|line| Event::from_log(line).is_some())
        };
        let receipts = result.receipt_outcomes();
        let settling =
            receipts.iter().filter(emits).nth(1).context("no receipt settled the request")?;
        Ok(self.node.view_block().block_hash(settling.block_hash).await?.height())
    }

    /// Moves the chain to `height` or a little beyond it.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn advance_to(&self, height: u64) -> Result<()> {
        let now = self.height().await?;
        if let Some(blocks) = height.checked_sub(now).filter(|blocks| *blocks > 1) {
            self.node.fast_forward(blocks - 1).await?;
        }
        let begun = Instant::now();
        while self.height().await? < height {
            ensure!(begun.elapsed() < PATIENCE, "the chain did not reach block {height}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

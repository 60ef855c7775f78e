//! What a test asks the chain for, and jumps in time.

use std::{
    task::Poll,
    time::{Duration, Instant},
};

use near_workspaces::{
    operations::{CallTransaction, TransactionStatus},
    result::{ExecutionFinalResult, ExecutionOutcome},
};
use outlayer_protocol::{
    ExecutionRecord, ExecutionResponse, Hash32, RequestId,
    events::Event,
    index::{PendingEntry, PendingPage},
    methods,
    views::{RequestState, RequestView},
};
use serde_json::json;

use crate::{Error, Outlayer, Result, error::Asked as _, results::is_complete};

/// How long to wait for something that takes a few blocks. The machine may be slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// Time that is running out.
struct Patience(Instant);

impl Patience {
    fn begin() -> Self {
        Self(Instant::now())
    }

    /// Waits a moment, or gives up and says what has not happened.
    async fn wait(&self, what: impl FnOnce() -> String) -> Result<()> {
        if self.0.elapsed() > PATIENCE {
            return Err(Error::Patience { what: what(), after: PATIENCE });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(())
    }
}

impl Outlayer {
    /// Waits for the final result of a transaction. It has the outcomes of all receipts, with those
    /// of detached transfers and gas refunds.
    ///
    /// # Errors
    /// When the transaction does not end in time, or the worker that should answer has ended.
    pub async fn finished(&self, transaction: TransactionStatus) -> Result<ExecutionFinalResult> {
        let patience = Patience::begin();
        loop {
            let status = transaction.status().await;
            match status {
                Ok(Poll::Ready(result)) if is_complete(&result) => return Ok(result),
                Ok(_) => {}
                Err(error) if patience.0.elapsed() > PATIENCE => {
                    return Err(error).asked("the transaction's status");
                }
                Err(_) => {}
            }
            self.check_workers()?;
            let hash = transaction.hash();
            patience.wait(|| format!("the transaction {hash} had not ended")).await?;
        }
    }

    /// All live requests.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn pending(&self) -> Result<Vec<PendingEntry>> {
        let (mut all, mut from) = (Vec::new(), Some(0));
        while let Some(from_id) = from {
            let args = json!({ "from_id": from_id, "limit": 500 });
            let page: PendingPage = self.view(methods::LIST_PENDING, args).await?;
            all.extend(page.entries);
            from = page.next_id;
        }
        Ok(all)
    }

    /// A live request, or `None` when it has been settled or was never made.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn live(&self, request_id: RequestId) -> Result<Option<RequestView>> {
        let args = json!({ "request_id": request_id });
        let state: RequestState = self.view(methods::GET_REQUEST, args).await?;
        Ok(state.live())
    }

    /// Waits until `count` requests are live, and returns them.
    ///
    /// # Errors
    /// When they do not become live in time.
    pub async fn wait_for_pending(&self, count: usize) -> Result<Vec<PendingEntry>> {
        let patience = Patience::begin();
        loop {
            let pending = self.pending().await?;
            if pending.len() == count {
                return Ok(pending);
            }
            let found = pending.len();
            patience.wait(|| format!("{found} requests were live, expected {count}")).await?;
        }
    }

    /// The height of the newest block.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn height(&self) -> Result<u64> {
        Ok(self.node.view_block().await.asked("the newest block")?.height())
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
        let settling = receipts.iter().filter(emits).nth(1).ok_or_else(|| {
            Error::answer("the transaction's receipts", "none of them settled the request")
        })?;
        let block = self.node.view_block().block_hash(settling.block_hash);
        Ok(block.await.asked("the block of the settlement")?.height())
    }

    /// Jumps so many blocks ahead. The time of the blocks moves with them.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn advance(&self, blocks: u64) -> Result<()> {
        self.advance_to(self.height().await?.saturating_add(blocks)).await
    }

    /// Moves the chain to `height` or a little beyond it.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn advance_to(&self, height: u64) -> Result<()> {
        let now = self.height().await?;
        if let Some(blocks) = height.checked_sub(now).filter(|blocks| *blocks > 1) {
            self.node.fast_forward(blocks - 1).await.asked("jumping in time")?;
        }
        let patience = Patience::begin();
        while self.height().await? < height {
            patience.wait(|| format!("the chain had not reached block {height}")).await?;
        }
        Ok(())
    }

    /// The digest of the record that `response` gives with its request as it is now. All zeros
    /// when the request is not live.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn digest(&self, response: &ExecutionResponse) -> Result<Hash32> {
        let live = self.live(response.request_id).await?;
        Ok(live.map_or_else(Hash32::default, |live| {
            ExecutionRecord::new(&live.request, response).digest()
        }))
    }
}

/// Sends a call, and waits until it is executed but not until it is final. Reveals are taken for a
/// few blocks only.
pub(crate) async fn executed(call: CallTransaction) -> Result<ExecutionFinalResult> {
    let sent = call.gas(crate::DAPP_GAS).transact_async().await.asked("sending a transaction")?;
    loop {
        if let Poll::Ready(result) = sent.status().await.asked("a transaction's status")? {
            return Ok(result);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

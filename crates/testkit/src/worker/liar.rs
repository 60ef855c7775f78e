//! A worker that executes nothing and answers all the same.

use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

use near_workspaces::Account;
use outlayer_protocol::{
    Agreement, Bytes, Compute, ExecutionRecord, ExecutionResponse, Hash32, RequestId, Status,
    agreement::Stage, commitment::commitment, views::RequestView,
};

use crate::{Outlayer, Result, SALT};

/// How often it looks for requests.
const EVERY: Duration = Duration::from_millis(50);

/// What a liar answers to a request.
#[derive(Clone)]
pub struct Lie(Arc<dyn Fn(&RequestView) -> ExecutionResponse + Send + Sync>);

impl fmt::Debug for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lie")
    }
}

impl Lie {
    /// Says that the guest completed with this output, and used one unit of fuel or gas.
    pub fn output(output: impl Into<Bytes>) -> Self {
        let output: Bytes = output.into();
        Self::with(move |view| ExecutionResponse {
            output: output.clone(),
            ..answer(view, Status::Completed)
        })
    }

    /// Says that the guest ended in this way.
    pub fn status(status: Status) -> Self {
        Self::with(move |view| answer(view, status.clone()))
    }

    /// Says whatever this function makes of the request. The contract refuses what no execution
    /// within the request's limits can give, and then the liar has not answered.
    pub fn with(lie: impl Fn(&RequestView) -> ExecutionResponse + Send + Sync + 'static) -> Self {
        Self(Arc::new(lie))
    }
}

/// An answer without output, reads and writes.
fn answer(view: &RequestView, status: Status) -> ExecutionResponse {
    let used = match view.request.limits.compute {
        Compute::Fuel(_) => Compute::Fuel(1),
        Compute::Gas(_) => Compute::Gas(1),
    };
    ExecutionResponse {
        request_id: view.request.id(),
        status,
        output: Bytes::default(),
        used,
        reads: Vec::new(),
        journal: Vec::new(),
        log_hash: Hash32::of(b""),
        transcript: Default::default(),
        plan: Default::default(),
    }
}

pub(crate) struct Liar {
    outlayer: Outlayer,
    account: Account,
    lie: Lie,
    answered: HashSet<RequestId>,
}

impl Liar {
    pub(crate) fn new(outlayer: Outlayer, account: Account, lie: Lie) -> Self {
        Self { outlayer, account, lie, answered: HashSet::new() }
    }

    pub(crate) async fn serve(mut self) {
        loop {
            // The contract may refuse the lie, and the node may be about to end. A liar tries
            // again, as long as the test lasts.
            for entry in self.outlayer.pending().await.unwrap_or_default() {
                let _ = self.look_at(entry.request_id).await;
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn look_at(&mut self, request_id: RequestId) -> Result<()> {
        let Some(view) = self.outlayer.live(request_id).await? else { return Ok(()) };
        let response = (self.lie.0)(&view);
        match &view.request.agreement {
            Some(agreement) => self.vote(&view, agreement, &response).await,
            None if self.answered.contains(&request_id) => Ok(()),
            None => {
                if self.outlayer.resolve(&self.account, &response).await?.is_success() {
                    self.answered.insert(request_id);
                }
                Ok(())
            }
        }
    }

    /// Takes its seat as an honest worker would, so that its lie counts.
    async fn vote(
        &self,
        view: &RequestView,
        agreement: &Agreement,
        response: &ExecutionResponse,
    ) -> Result<()> {
        let (request_id, me) = (response.request_id, self.account.id());
        let digest = ExecutionRecord::new(&view.request, response).digest();
        let height = self.outlayer.height().await?;
        let Some(vote) = agreement.vote_of(me) else {
            if agreement.place_of(me, height).is_ok() {
                let commitment = commitment(&digest, me, agreement.round, &SALT);
                let round = agreement.round;
                let commit = self.outlayer.commit_in(&self.account, request_id, round, commitment);
                return commit.await.map(drop);
            }
            return Ok(());
        };
        if agreement.stage(height) == Stage::Committing {
            return Ok(());
        }
        if vote.digest.is_none() {
            return self.outlayer.reveal(&self.account, request_id, digest).await.map(drop);
        }
        if agreement.supporters(digest).len() >= usize::from(agreement.approvals) {
            return self.outlayer.resolve(&self.account, response).await.map(drop);
        }
        Ok(())
    }
}

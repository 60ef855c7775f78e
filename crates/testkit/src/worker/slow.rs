//! A worker that takes its time.

use std::time::Duration;

use near_workspaces::Account;

use super::honest::Honest;
use crate::{Error, Outlayer, Result};

/// How often it looks for requests.
const EVERY: Duration = Duration::from_millis(100);

/// An honest worker that is only there while a request is old enough.
pub(crate) struct Slow {
    outlayer: Outlayer,
    account: Account,
    blocks: u64,
}

impl Slow {
    pub(crate) fn new(outlayer: Outlayer, account: Account, blocks: u64) -> Result<Self> {
        if outlayer.program.is_none() {
            return Err(Error::Program("none is set; Outlayer::set_program names one".to_owned()));
        }
        Ok(Self { outlayer, account, blocks })
    }

    pub(crate) async fn serve(self) {
        let mut serving = None;
        loop {
            // The node may be about to end; then this task ends with the test.
            let (pending, height) = (self.outlayer.pending().await, self.outlayer.height().await);
            if let (Ok(pending), Ok(height)) = (pending, height) {
                let is_old = |since: u64| height >= since.saturating_add(self.blocks);
                let all_are_old = pending.iter().all(|one| is_old(one.block_height));
                if pending.is_empty() || !all_are_old {
                    serving = None;
                } else if serving.is_none() {
                    match Honest::start(&self.outlayer, &self.account) {
                        Ok(started) => serving = Some(started),
                        Err(error) => {
                            eprintln!("outlayer-testkit: the slow worker: {error}");
                            return;
                        }
                    }
                } else if let Some((reason, log)) = serving.as_mut().and_then(Honest::ended) {
                    eprintln!("outlayer-testkit: the slow worker has ended: {reason}{log}");
                    return;
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

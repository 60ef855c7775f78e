//! Replays of many requests, several at a time.

use std::ops::RangeInclusive;

use outlayer_client::{Contract, LocateError, Located, locate};
use outlayer_guest::Engines;
use outlayer_modules::CodeStore;
use outlayer_protocol::RequestId;
use tokio::task::{JoinError, JoinSet};

use crate::{ReplayError, question::Question, replay::replay, secrets::Openings, verdict::Replay};

/// A request that was looked at.
#[derive(Debug)]
pub struct Audited {
    /// The request.
    pub request_id: RequestId,
    /// Where it was made; `None` when that was not found.
    pub located: Option<Located>,
    /// What the replay came to.
    pub replayed: Result<Replay, AuditError>,
}

/// A request of which there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Its transaction cannot be found.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// It cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The task that replayed it panicked, which is a defect of this program.
    #[error("the replay panicked: {0}")]
    Panic(#[from] JoinError),
}

/// Replays the requests with these ids, at most `parallel` at a time, and gives each to `done` as
/// soon as it is known. `engines` must be able to execute as many guests at once, and each replay
/// takes from `openings` what its request pins.
pub async fn audit(
    contract: &Contract,
    codes: &CodeStore,
    engines: &Engines,
    openings: &Openings,
    ids: RangeInclusive<RequestId>,
    parallel: usize,
    done: &mut dyn FnMut(&Audited),
) -> Vec<Audited> {
    let mut audited = Vec::new();
    let mut tasks = JoinSet::new();
    // Requests with greater ids were made later, so this height is before all that follow.
    let mut not_before = None;
    let mut finish = |audited: &mut Vec<Audited>, one: Result<Audited, JoinError>| {
        // A task that panicked does not say which request it was about.
        let one = one.unwrap_or_else(|error| Audited {
            request_id: 0,
            located: None,
            replayed: Err(error.into()),
        });
        done(&one);
        audited.push(one);
    };
    for request_id in ids {
        let located = locate(contract, request_id, not_before).await;
        let located = match located {
            Ok(located) => located,
            Err(error) => {
                let replayed = Err(error.into());
                finish(&mut audited, Ok(Audited { request_id, located: None, replayed }));
                continue;
            }
        };
        not_before = Some(located.height.saturating_sub(1));
        if tasks.len() >= parallel.max(1)
            && let Some(one) = tasks.join_next().await
        {
            finish(&mut audited, one);
        }
        let (contract, codes, engines) = (contract.clone(), codes.clone(), engines.clone());
        let openings = openings.clone();
        tasks.spawn(async move {
            let question = Question {
                transaction: located.transaction,
                signer_id: located.signer_id.clone(),
                request_id: Some(request_id),
            };
            let replayed = replay(&contract, &codes, &engines, &question, &openings).await;
            Audited { request_id, located: Some(located), replayed: replayed.map_err(Into::into) }
        });
    }
    while let Some(one) = tasks.join_next().await {
        finish(&mut audited, one);
    }
    audited.sort_by_key(|one| one.request_id);
    audited
}

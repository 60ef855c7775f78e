//! Fetches the evidence about a request from a node.

use outlayer_client::{At, Contract, trace};
use outlayer_protocol::{
    ExecutionRecord, ExecutionResponse, Hash32, events::ExecutionCompleted, http::Transcript,
    machine::LiveRequest,
};

use crate::{
    error::FetchError,
    question::Question,
    transaction::{Ending, Logged},
    verdict::{Difference, Replay, Verdict},
    verify::Evidence,
};

/// What the chain shows of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An execution was settled.
    Evidence {
        /// All of the evidence but the code and the storage.
        evidence: Box<Evidence>,
        /// The block after which the code and the storage are to be read.
        at: At,
    },
    /// There is no execution that could be verified, for the reason in the verdict.
    Nothing(Box<Replay>),
}

/// Fetches the evidence about the request that `question` asks about.
///
/// # Errors
/// [`FetchError`].
pub async fn evidence(contract: &Contract, question: &Question) -> Result<Found, FetchError> {
    let node = contract.node();
    let receipts = trace::transaction(node, question.transaction, &question.signer_id).await?;
    let Logged { requested, ending } = Logged::find(contract, question, receipts)?;
    let request_id = requested.request_id;
    let nothing =
        |verdict| Ok(Found::Nothing(Box::new(Replay::without_execution(request_id, verdict))));
    let (completed, callback_block) = match ending {
        Ending::Completed(completed, block) => (*completed, block),
        Ending::TimedOut => return nothing(Verdict::NoExecution { outcome: "timed_out" }),
        Ending::Cancelled => return nothing(Verdict::NoExecution { outcome: "cancelled" }),
        Ending::Open => return nothing(Verdict::NotSettled),
    };
    // The callback deleted the record, so the block before it is the last one that shows it.
    let before = node.block_before(callback_block).await?;
    let at = At::Hash(before.hash);
    let Some(view) = contract.request(request_id, at).await? else {
        let reason =
            format!("the request is not among the live ones after block {}", before.height);
        return Ok(Found::Nothing(Box::new(Replay {
            completed: Some(completed),
            snapshot_height: Some(before.height),
            ..Replay::without_execution(request_id, Verdict::Inconclusive { reason })
        })));
    };
    let transcript = match &view.request.http {
        None => Transcript::default(),
        Some(_) => {
            let response = contract.response(request_id, at).await?;
            match settled_transcript(&view.request, response.as_ref(), &completed) {
                Ok(transcript) => transcript,
                Err(verdict) => {
                    return Ok(Found::Nothing(Box::new(Replay {
                        completed: Some(completed),
                        snapshot_height: Some(before.height),
                        ..Replay::without_execution(request_id, verdict)
                    })));
                }
            }
        }
    };
    let evidence = Evidence {
        contract_id: contract.id().clone(),
        requested,
        completed,
        view,
        transcript,
        snapshot_height: before.height,
    };
    Ok(Found::Evidence { evidence: Box::new(evidence), at })
}

/// The transcript of the response that was settled, or the verdict without it. A node may show any
/// response; the one that was settled has the settled digest.
fn settled_transcript(
    request: &LiveRequest,
    response: Option<&ExecutionResponse>,
    completed: &ExecutionCompleted,
) -> Result<Transcript, Verdict> {
    let Some(response) = response else {
        let reason = "no response was staged in the block before the settlement".to_owned();
        return Err(Verdict::Inconclusive { reason });
    };
    let (found, expected) = (ExecutionRecord::new(request, response).digest(), completed.digest);
    if found != expected {
        let reason = format!("the staged response has the digest {found}, {expected} was settled");
        return Err(Verdict::Inconclusive { reason });
    }
    // The contract does not decode what it is sent, and no execution gives such bytes.
    Transcript::decode(&response.transcript).map_err(|error| {
        let settled = Hash32::of(&response.transcript).to_string();
        let replayed = format!("what was settled is no transcript: {error}");
        Verdict::Mismatch { differs: vec![Difference { part: "transcript", settled, replayed }] }
    })
}

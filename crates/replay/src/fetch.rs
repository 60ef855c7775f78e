//! Fetches the evidence about a request from a node.

use outlayer_client::{At, Contract, trace};
use outlayer_protocol::{
    ExecutionRecord, ExecutionResponse, Hash32, Outcome, Status, events::ExecutionCompleted,
    http::Transcript, machine::LiveRequest, secrets::NOT_AS_COMMITTED,
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
    let transcript = if needs_response(&view.request, &completed) {
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
    } else {
        Transcript::default()
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

/// Whether the completion event does not say enough: there may be a transcript, or a worker that
/// could not open a secret.
fn needs_response(request: &LiveRequest, completed: &ExecutionCompleted) -> bool {
    let trapped = Outcome::Trapped { reason: String::new() };
    let unopened = completed.outcome == trapped.name() && completed.used.amount() == 0;
    request.http.is_some() || request.secrets.is_some() && unopened
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
    if request.secrets.is_some() && is_unopened(response) {
        let reason = format!(
            "it was settled as trapped, because {NOT_AS_COMMITTED}: what was sealed opens for a \
             worker only, so nobody else can tell"
        );
        return Err(Verdict::Inconclusive { reason });
    }
    // The contract does not decode what it is sent, and no execution gives such bytes.
    Transcript::decode(&response.transcript).map_err(|error| {
        let settled = Hash32::of(&response.transcript).to_string();
        let replayed = format!("what was settled is no transcript: {error}");
        Verdict::Mismatch { differs: vec![Difference { part: "transcript", settled, replayed }] }
    })
}

/// Whether this is what a worker answers that could not open a secret: it has executed nothing.
fn is_unopened(response: &ExecutionResponse) -> bool {
    matches!(&response.status, Status::Trapped { reason } if reason == NOT_AS_COMMITTED)
        && response.used.amount() == 0
        && response.reads.is_empty()
        && response.transcript.is_empty()
        && response.log_hash == Hash32::of(b"")
}

#[cfg(test)]
mod tests {
    use outlayer_client::testing::{config, request_view};
    use outlayer_protocol::{
        Compute, NearToken,
        secrets::{LiveSecrets, SecretPin},
    };

    use super::*;

    /// A request with a secret, and the event with which `response` was settled.
    fn settled(response: &ExecutionResponse) -> (LiveRequest, ExecutionCompleted) {
        let mut request = request_view(&config(), 7, "x").request;
        let pin = SecretPin {
            owner_id: "keys.near".parse().unwrap(),
            name: "API_KEY".to_owned(),
            version: 1,
            commitment: Hash32::of(b"commitment"),
        };
        request.secrets = Some(LiveSecrets { pins: vec![pin], recipients: Vec::new() });
        let completed = ExecutionCompleted {
            request_id: 7,
            outcome: Outcome::of_response(response).name().to_owned(),
            digest: ExecutionRecord::new(&request, response).digest(),
            worker_id: "worker.near".parse().unwrap(),
            workers: Vec::new(),
            output_hash: Hash32::of(&response.output),
            output_bytes: response.output.len() as u64,
            plan_hash: response.plan_hash(),
            used: response.used,
            fee: NearToken::from_yoctonear(0),
            held: NearToken::from_yoctonear(0),
            refund: NearToken::from_yoctonear(0),
        };
        (request, completed)
    }

    fn trapped(reason: &str, used: u64) -> ExecutionResponse {
        ExecutionResponse {
            request_id: 7,
            status: Status::Trapped { reason: reason.to_owned() },
            output: Default::default(),
            used: Compute::Fuel(used),
            reads: Vec::new(),
            journal: Vec::new(),
            log_hash: Hash32::of(b""),
            transcript: Default::default(),
            plan: Default::default(),
        }
    }

    #[test]
    fn that_a_worker_could_not_open_a_secret_is_neither_confirmed_nor_denied() {
        let unopened = trapped(NOT_AS_COMMITTED, 0);
        let (mut request, completed) = settled(&unopened);
        assert!(needs_response(&request, &completed));
        let verdict = settled_transcript(&request, Some(&unopened), &completed).unwrap_err();
        let Verdict::Inconclusive { reason } = verdict else { panic!("{verdict:?}") };
        assert!(reason.contains("what was sealed opens for a worker only"), "{reason}");

        // Other traps, and whatever used something, are executed again.
        let logged = ExecutionResponse {
            log_hash: Hash32::of(b"something"),
            ..trapped(NOT_AS_COMMITTED, 0)
        };
        for other in [trapped("unreachable", 0), trapped(NOT_AS_COMMITTED, 1), logged] {
            let (request, completed) = settled(&other);
            assert!(settled_transcript(&request, Some(&other), &completed).is_ok());
            assert_eq!(needs_response(&request, &completed), other.used.amount() == 0);
        }
        request.secrets = None;
        assert!(!needs_response(&request, &completed));
    }
}

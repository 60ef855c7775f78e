//! A settled request, executed again from chain data alone.
//!
//! The requester's transaction names everything: its receipts logged `execution_requested` and, when an execution was
//! settled, `execution_completed` with the digest. In the block before the callback's the record was still live, so the
//! contract's own view gives the request and its input, the code if it was published, and the namespace: the keys that the
//! staged answer had read were held until the callback. The execution is then made again, and the record's digest compared.

mod evidence;

use outlayer_protocol::{
    AccountId, EngineVersion, ExecutionRecord, ExecutionResponse, Hash32, Outcome, RequestId,
    events::ExecutionCompleted,
};
use serde::Serialize;

use crate::{
    chain::{At, ChainError, Contract, CryptoHash},
    code::{CodeError, CodeStore},
    engine::{Engine, EngineError, check_version},
};
use evidence::{Ending, Evidence};

/// Which request to replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The transaction that asked.
    pub transaction: CryptoHash,
    /// Who signed it.
    pub signer_id: AccountId,
    /// The request; needed when the transaction made several.
    pub request_id: Option<RequestId>,
}

/// What a replay came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replay {
    /// The request.
    pub request_id: RequestId,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What the contract says about the settled execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<ExecutionCompleted>,
    /// The digest of the execution made here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Hash32>,
    /// The record of the execution made here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Box<ExecutionRecord>>,
    /// Height of the block after which everything was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_height: Option<u64>,
}

/// The verdict of a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The digest is the one in the completion event.
    Match,
    /// It is another one: what was settled is not what the guest does.
    Mismatch {
        /// Parts that differ, as far as the event shows them.
        differs: Vec<Difference>,
    },
    /// Another engine is needed to say anything.
    NeedsEngine {
        /// The engine.
        engine_version: EngineVersion,
        /// NEAR's protocol version whose fees its gas meter uses.
        near_config_version: u32,
    },
    /// The request was settled without an execution.
    NoExecution {
        /// How: `timed_out` or `cancelled`.
        outcome: &'static str,
    },
    /// It is not settled yet.
    NotSettled,
    /// The chain's data does not suffice.
    Inconclusive {
        /// Why.
        reason: String,
    },
}

/// A part in which a replay differs from what was settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The part.
    pub part: &'static str,
    /// In the completion event.
    pub settled: String,
    /// In the execution made here.
    pub replayed: String,
}

/// A replay that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The chain cannot be asked, or does not know the transaction.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The code cannot be had.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// The engine came to no verdict.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The transaction made no such request.
    #[error(
        "transaction {transaction} made no such request of {contract}; its requests: {found:?}"
    )]
    NoRequest {
        /// The transaction.
        transaction: CryptoHash,
        /// The contract.
        contract: AccountId,
        /// Requests that it made.
        found: Vec<RequestId>,
    },
    /// It made several, and none is named.
    #[error("the transaction made the requests {found:?}; name one of them")]
    Several {
        /// The requests.
        found: Vec<RequestId>,
    },
}

impl Replay {
    fn without_execution(request_id: RequestId, verdict: Verdict) -> Self {
        Self {
            request_id,
            verdict,
            completed: None,
            digest: None,
            record: None,
            snapshot_height: None,
        }
    }

    /// Whether the execution made here is the one that was settled.
    pub fn is_match(&self) -> bool {
        self.verdict == Verdict::Match
    }
}

/// Replays a request.
///
/// # Errors
/// [`ReplayError`], when there is nothing to compare.
pub async fn replay(
    contract: &Contract,
    codes: &CodeStore,
    engine: &Engine,
    question: &Question,
) -> Result<Replay, ReplayError> {
    let evidence = Evidence::collect(contract, question).await?;
    let request_id = evidence.requested.request_id;
    let (completed, callback_block) = match evidence.ending {
        Ending::Completed(completed, block) => (completed, block),
        Ending::TimedOut => return Ok(no_execution(request_id, "timed_out")),
        Ending::Cancelled => return Ok(no_execution(request_id, "cancelled")),
        Ending::Open => return Ok(Replay::without_execution(request_id, Verdict::NotSettled)),
    };
    let node = contract.node();
    let callback = node.block(At::Hash(callback_block)).await?;
    let before = node.block(At::Hash(callback.prev_hash)).await?;
    let at = At::Hash(before.hash);
    let mut replay = Replay {
        completed: Some((*completed).clone()),
        snapshot_height: Some(before.height),
        ..Replay::without_execution(request_id, Verdict::Match)
    };
    let Some(view) = contract.request(request_id, at).await? else {
        let reason =
            format!("the request is not among the live ones after block {}", before.height);
        replay.verdict = Verdict::Inconclusive { reason };
        return Ok(replay);
    };
    if evidence.requested != (&view.request).into() {
        let reason = "the contract's view of the request is not what its event says".to_owned();
        replay.verdict = Verdict::Inconclusive { reason };
        return Ok(replay);
    }
    if check_version(&view.request).is_err() {
        let terms = &view.request.terms;
        let (engine_version, near_config_version) =
            (terms.engine_version, terms.near_config_version);
        replay.verdict = Verdict::NeedsEngine { engine_version, near_config_version };
        return Ok(replay);
    }
    let code = codes.load(&view.request.code, contract, at).await?;
    let response = engine.execute(contract, &view, code, at).await?.into_response(request_id);
    let record = ExecutionRecord::new(&view.request, &response);
    let digest = record.digest();
    replay.verdict = compare(&completed, &digest, &response);
    replay.digest = Some(digest);
    replay.record = Some(Box::new(record));
    Ok(replay)
}

fn no_execution(request_id: RequestId, outcome: &'static str) -> Replay {
    Replay::without_execution(request_id, Verdict::NoExecution { outcome })
}

fn compare(
    completed: &ExecutionCompleted,
    digest: &Hash32,
    response: &ExecutionResponse,
) -> Verdict {
    if completed.digest == *digest {
        return Verdict::Match;
    }
    // Settled because a key that had been read was another one by then: what had been read is not in this snapshot.
    if completed.outcome == Outcome::StorageConflict.name() {
        let reason =
            "it was settled as storage_conflict: the values that were read have been replaced"
                .to_owned();
        return Verdict::Inconclusive { reason };
    }
    let outcome = if completed.outcome == Outcome::StorageExhausted.name() {
        completed.outcome.clone()
    } else {
        response.status.name().to_owned()
    };
    let pairs = [
        ("outcome", completed.outcome.clone(), outcome),
        (
            "output_hash",
            completed.output_hash.to_string(),
            Hash32::of(&response.output).to_string(),
        ),
        ("output_bytes", completed.output_bytes.to_string(), response.output.len().to_string()),
        ("used", completed.used.to_string(), response.used.to_string()),
    ];
    let differing = pairs.into_iter().filter(|(_, settled, replayed)| settled != replayed);
    let mut differs: Vec<_> =
        differing.map(|(part, settled, replayed)| Difference { part, settled, replayed }).collect();
    if differs.is_empty() {
        // The event does not show the rest: reads, journal, logs, and what a status carries besides its name.
        differs.push(Difference {
            part: "digest",
            settled: completed.digest.to_string(),
            replayed: digest.to_string(),
        });
    }
    Verdict::Mismatch { differs }
}

#[cfg(test)]
mod tests;

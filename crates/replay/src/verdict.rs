//! What a replay comes to.

use outlayer_protocol::{
    EngineVersion, ExecutionRecord, ExecutionResponse, Hash32, Outcome, RequestId,
    events::ExecutionCompleted,
};
use serde::Serialize;

/// What a replay came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replay {
    /// The id of the request that was replayed.
    pub request_id: RequestId,
    /// Whether the settled execution is what the guest does.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The event with which the contract settled the execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<ExecutionCompleted>,
    /// The record's digest of the execution made here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Hash32>,
    /// The record of the execution made here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Box<ExecutionRecord>>,
    /// The height of the block after which the request and the storage were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_height: Option<u64>,
}

/// Whether the settled execution is what the guest does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The execution made here has the settled digest.
    Match,
    /// The execution made here has another digest: what was settled is not what the guest does.
    Mismatch {
        /// What differs, as far as the event shows it.
        differs: Vec<Difference>,
    },
    /// The request pins an engine that this build does not have. Only that engine can tell.
    NeedsEngine {
        /// The engine that the request pins.
        engine_version: EngineVersion,
        /// NEAR's protocol version whose fees that engine's gas meter must use.
        near_config_version: u32,
    },
    /// The guest was given secrets. Only who has them can tell.
    SecretNeeded {
        /// The names of those that are missing, in the order of the request.
        names: Vec<String>,
    },
    /// The request was settled without an execution.
    NoExecution {
        /// How it was settled: `timed_out` or `cancelled`.
        outcome: &'static str,
    },
    /// The request is still live.
    NotSettled,
    /// The data on the chain does not suffice for a verdict.
    Inconclusive {
        /// What is missing, or what does not fit.
        reason: String,
    },
}

/// Something in which a replay differs from what was settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// A field of the completion event, such as `output_hash`.
    pub part: &'static str,
    /// The field's value in the event.
    pub settled: String,
    /// The value that the execution made here gives.
    pub replayed: String,
}

impl Replay {
    /// A replay that did not execute the guest.
    pub(crate) fn without_execution(request_id: RequestId, verdict: Verdict) -> Self {
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

/// Compares what was settled with `response`, which has the record's digest `digest`.
pub(crate) fn compare(
    completed: &ExecutionCompleted,
    digest: &Hash32,
    response: &ExecutionResponse,
) -> Verdict {
    if completed.digest == *digest {
        return Verdict::Match;
    }
    // A key that the settled execution had read was changed before it was settled, so its old value
    // is not in this snapshot.
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
        // The event does not show the rest: the reads, the journal, the logs, and what a status
        // carries besides its name.
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

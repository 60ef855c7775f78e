//! What a worker tells its observer.

use std::sync::Arc;

use outlayer_client::CryptoHash;
use outlayer_protocol::{Compute, EngineVersion, Hash32, RequestId};

/// A step in a request's life, as this worker sees it. Each names the request by its id, but for
/// [`Called`](Stage::Called).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It was found among the pending ones, and an attempt to serve it has begun.
    Discovered {
        /// Which request.
        request_id: RequestId,
    },
    /// It needs an engine that this worker does not have.
    NeedsEngine {
        /// Which request.
        request_id: RequestId,
        /// The engine that it pins.
        engine_version: EngineVersion,
    },
    /// Its record is loaded. Where a fetch begins depends on what is known of the code already.
    Loaded {
        /// Which request.
        request_id: RequestId,
    },
    /// Its code is here, and the request waits for a place among the executions.
    Fetched {
        /// Which request.
        request_id: RequestId,
        /// How long the code is, bytes.
        code_bytes: usize,
    },
    /// The contract took this worker's claim of a request that takes long.
    Claimed {
        /// Which request.
        request_id: RequestId,
        /// Hash of the transaction that claimed.
        transaction: CryptoHash,
        /// Gas burned by this transaction.
        gas_burnt: u64,
    },
    /// It has a place, and its execution begins.
    Executing {
        /// Which request.
        request_id: RequestId,
    },
    /// It was executed. Nothing has been submitted yet.
    Executed {
        /// Which request.
        request_id: RequestId,
        /// The digest of the execution's record.
        digest: Hash32,
        /// The name of the execution's status, in snake_case.
        status: &'static str,
        /// The fuel or gas that the guest used.
        used: Compute,
    },
    /// The answer waits for a call, or is on its way.
    Submitting {
        /// Which request.
        request_id: RequestId,
    },
    /// The contract took a commitment to the digest.
    Committed {
        /// Which request.
        request_id: RequestId,
        /// Hash of the transaction that committed.
        transaction: CryptoHash,
    },
    /// The contract took a reveal of the digest.
    Revealed {
        /// Which request.
        request_id: RequestId,
        /// Hash of the transaction that revealed.
        transaction: CryptoHash,
    },
    /// The contract took one part of an answer that is too large for one transaction.
    Sent {
        /// Which request.
        request_id: RequestId,
        /// How much of the answer the contract has now, bytes.
        sent_bytes: u32,
        /// Length of the whole answer, bytes.
        total_bytes: u32,
    },
    /// The contract took the answer.
    Submitted {
        /// Which request.
        request_id: RequestId,
        /// Hash of the transaction that submitted it, or its last part.
        transaction: CryptoHash,
        /// Gas burned by this transaction; where it answered several requests, this one's part.
        gas_burnt: u64,
    },
    /// A call of the contract was executed, whatever came of it: an answer or several, a claim, a
    /// part, a commitment, a reveal, or the end of an agreement.
    Called {
        /// Gas burned by its transaction.
        gas_burnt: u64,
    },
    /// The contract did not take the answer, and the request is executed again.
    Again {
        /// Which request.
        request_id: RequestId,
        /// What the contract said.
        reason: String,
    },
    /// Its deadline has passed, or is too near for an answer to land. It is not served any more.
    TooLate {
        /// Which request.
        request_id: RequestId,
    },
    /// This worker has no part in it, or not yet, or somebody else has answered it.
    Left {
        /// Which request.
        request_id: RequestId,
    },
    /// It is no longer among the live requests.
    Settled {
        /// Which request.
        request_id: RequestId,
    },
    /// This attempt gave no answer. The request is looked at again while it lives.
    Failed {
        /// Which request.
        request_id: RequestId,
        /// The error that ended the attempt.
        reason: String,
    },
}

/// Is told about every [`Stage`]. It is called on the worker's tasks, so it must not block.
pub type Observer = Arc<dyn Fn(&Stage) + Send + Sync>;

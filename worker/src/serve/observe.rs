//! What a worker tells about a request as it goes.

use std::sync::Arc;

use outlayer_protocol::{Compute, EngineVersion, Hash32, RequestId};

use crate::chain::CryptoHash;

/// A step in a request's life, as this worker sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It was found among the pending ones and is being served.
    Discovered {
        /// The request.
        request_id: RequestId,
    },
    /// It needs an engine that this worker does not have.
    NeedsEngine {
        /// The request.
        request_id: RequestId,
        /// The engine.
        engine_version: EngineVersion,
    },
    /// It was executed; nothing has been submitted.
    Executed {
        /// The request.
        request_id: RequestId,
        /// The record's digest.
        digest: Hash32,
        /// The status' name.
        status: &'static str,
        /// What the guest used.
        used: Compute,
    },
    /// A commitment to the digest stands.
    Committed {
        /// The request.
        request_id: RequestId,
        /// The transaction.
        transaction: CryptoHash,
    },
    /// A part of an answer was taken that is too large for one transaction.
    Sent {
        /// The request.
        request_id: RequestId,
        /// How much of it is there.
        sent_bytes: u32,
        /// Length of the whole.
        total_bytes: u32,
    },
    /// The contract took the answer.
    Submitted {
        /// The request.
        request_id: RequestId,
        /// The transaction.
        transaction: CryptoHash,
        /// Gas burned by it.
        gas_burnt: u64,
    },
    /// The contract did not take the answer; the request is executed again.
    Again {
        /// The request.
        request_id: RequestId,
        /// Why.
        reason: String,
    },
    /// It is not among the live requests any more.
    Settled {
        /// The request.
        request_id: RequestId,
    },
    /// No answer was given this time; the request is looked at again while it lives.
    Failed {
        /// The request.
        request_id: RequestId,
        /// Why.
        reason: String,
    },
}

/// Is told about every [`Stage`]. It is called on the worker's tasks and must not block.
pub type Observer = Arc<dyn Fn(&Stage) + Send + Sync>;

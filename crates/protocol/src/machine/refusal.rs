//! Why a step is refused.

use near_account_id::AccountId;

use crate::{Hash32, RequestId, response::ResponseError, upload::UploadError};

/// Why a step is refused. Nothing changes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The deadline has passed.
    #[error(
        "request {request_id} expired: the deadline is block {deadline}, this is block {height}"
    )]
    Expired {
        /// The request.
        request_id: RequestId,
        /// Its last block.
        deadline: u64,
        /// Now.
        height: u64,
    },
    /// A response is staged already.
    #[error(
        "request {request_id} is answered already: digest {digest} by {worker_id} awaits settlement"
    )]
    AlreadyStaged {
        /// The request.
        request_id: RequestId,
        /// The staged digest.
        digest: Hash32,
        /// Its worker.
        worker_id: AccountId,
    },
    /// It is being cancelled.
    #[error("request {request_id} was cancelled and awaits settlement")]
    AlreadyCancelled {
        /// The request.
        request_id: RequestId,
    },
    /// The body cannot be an honest one.
    #[error("request {request_id}: {error}")]
    Response {
        /// The request.
        request_id: RequestId,
        /// Why.
        error: ResponseError,
    },
    /// A key that was read has changed: execute again on a newer snapshot.
    #[error(
        "request {request_id}: the key {key:?} was read and has changed since; execute again on a newer block"
    )]
    ReadConflict {
        /// The request.
        request_id: RequestId,
        /// The key.
        key: crate::Bytes,
    },
    /// A key is held by another request's staged response: wait for its settlement, then execute again.
    #[error(
        "request {request_id}: the key {key:?} is held until another request is settled; execute again after it"
    )]
    KeyHeld {
        /// The request.
        request_id: RequestId,
        /// The key.
        key: crate::Bytes,
    },
    /// Commitments must come first.
    #[error("request {request_id} needs {needed} commitments before a body, {found} stand")]
    TooFewCommitments {
        /// The request.
        request_id: RequestId,
        /// Approvals asked for.
        needed: u8,
        /// Commitments that stand.
        found: usize,
    },
    /// The request asks for one approval only.
    #[error("request {request_id} asks for one approval: submit the body, no commitment is needed")]
    CommitmentNotNeeded {
        /// The request.
        request_id: RequestId,
    },
    /// The worker has committed already.
    #[error("{worker_id} has committed to request {request_id} already")]
    AlreadyCommitted {
        /// The request.
        request_id: RequestId,
        /// The worker.
        worker_id: AccountId,
    },
    /// The body with this digest was public before the commitment to it: it could have been copied.
    #[error(
        "{worker_id} commits to {digest} of request {request_id}, whose body is public: that does not count"
    )]
    CommitmentToPublicBody {
        /// The request.
        request_id: RequestId,
        /// The worker.
        worker_id: AccountId,
        /// The digest.
        digest: Hash32,
    },
    /// A body to which nobody has committed.
    #[error("request {request_id}: nobody has committed to {digest}, the digest of this body")]
    NobodyCommitted {
        /// The request.
        request_id: RequestId,
        /// The body's digest.
        digest: Hash32,
    },
    /// The body fell short of the approvals before.
    #[error("request {request_id}: the body with the digest {digest} was disputed before")]
    AlreadyDisputed {
        /// The request.
        request_id: RequestId,
        /// The body's digest.
        digest: Hash32,
    },
    /// Enough commitments stand.
    #[error("request {request_id} takes no more commitments: {found} stand of {most}")]
    CommitmentsClosed {
        /// The request.
        request_id: RequestId,
        /// Commitments that stand.
        found: usize,
        /// The most that are kept.
        most: usize,
    },
    /// A part of a body that is not taken.
    #[error("request {request_id}: {error}")]
    Upload {
        /// The request.
        request_id: RequestId,
        /// Why.
        error: UploadError,
    },
    /// The body that came in parts is another one than its first part said.
    #[error(
        "request {request_id}: the body that came in parts has the digest {found}, its parts said {expected}"
    )]
    UploadDigest {
        /// The request.
        request_id: RequestId,
        /// The body's digest.
        found: Hash32,
        /// What its parts said.
        expected: Hash32,
    },
    /// Where several must agree, only those send parts who agree.
    #[error(
        "request {request_id}: a body in parts is taken from those who committed to its digest {digest}, {worker_id} has not"
    )]
    NotAmongTheAgreeing {
        /// The request.
        request_id: RequestId,
        /// The worker.
        worker_id: AccountId,
        /// The digest.
        digest: Hash32,
    },
    /// Parts are missing.
    #[error("request {request_id}: {worker_id} has no body in parts that is complete")]
    Incomplete {
        /// The request.
        request_id: RequestId,
        /// The worker.
        worker_id: AccountId,
    },
    /// Somebody else's request.
    #[error("request {request_id} can be cancelled by {requester} or {payer}, not by {found}")]
    NotTheRequester {
        /// The request.
        request_id: RequestId,
        /// Who asked.
        found: AccountId,
        /// Who requested it.
        requester: AccountId,
        /// Who gets its refunds.
        payer: AccountId,
    },
    /// Too early to sweep.
    #[error("request {request_id} can be swept from block {from} on, this is block {height}")]
    TooEarlyToSweep {
        /// The request.
        request_id: RequestId,
        /// From when on.
        from: u64,
        /// Now.
        height: u64,
    },
}

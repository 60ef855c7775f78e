//! Why a step is refused.

use near_account_id::AccountId;

use super::{LiveRequest, Phase};
use crate::{Bytes, Hash32, RefusalCode, RequestId, response::ResponseError, upload::UploadError};

/// The machine does not take a step. The request stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("request {request_id}: {reason}")]
pub struct Refusal {
    /// The id of the request that does not take the step.
    pub request_id: RequestId,
    /// What stands against it.
    #[source]
    pub reason: Reason,
}

impl Refusal {
    /// The code with which the contract reports the refusal.
    pub fn code(&self) -> RefusalCode {
        self.reason.code()
    }
}

/// Why a request does not take a step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The deadline has passed.
    #[error("it expired: the deadline is block {deadline}, this is block {height}")]
    Expired {
        /// The last height at which the request took an answer.
        deadline: u64,
        /// The height of the current block.
        height: u64,
    },
    /// A response is staged already.
    #[error("it is answered already: digest {digest} by {worker_id} awaits settlement")]
    AlreadyStaged {
        /// The digest of the staged response's record.
        digest: Hash32,
        /// The worker that submitted it.
        worker_id: AccountId,
    },
    /// The request was cancelled.
    #[error("it was cancelled and awaits settlement")]
    AlreadyCancelled,
    /// No honest execution of the request gives this body.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// A key that was read has changed: execute again on a newer snapshot.
    #[error("the key {key:?} was read and has changed since; execute again on a newer block")]
    ReadConflict {
        /// The key that has changed.
        key: Bytes,
    },
    /// A key is locked by the staged response of another request: wait for its settlement, then
    /// execute again.
    #[error("the key {key:?} is locked until another request is settled; execute again after it")]
    KeyLocked {
        /// The locked key.
        key: Bytes,
    },
    /// Commitments must come before a body.
    #[error("it needs {needed} commitments before a body, {found} stand")]
    TooFewCommitments {
        /// How many approvals the request asks for.
        needed: u8,
        /// How many commitments there are.
        found: usize,
    },
    /// The request asks for one approval only.
    #[error("it asks for one approval: submit the body, no commitment is needed")]
    CommitmentNotNeeded,
    /// The worker has committed already.
    #[error("{worker_id} has committed to it already")]
    AlreadyCommitted {
        /// The worker.
        worker_id: AccountId,
    },
    /// The body with this digest was public before the commitment to it, which may be a copy.
    #[error("{worker_id} commits to {digest}, whose body is public: that does not count")]
    CommitmentToPublicBody {
        /// The worker.
        worker_id: AccountId,
        /// The digest of the public body.
        digest: Hash32,
    },
    /// Nobody has committed to the body.
    #[error("nobody has committed to {digest}, the digest of this body")]
    NobodyCommitted {
        /// The digest of the body.
        digest: Hash32,
    },
    /// The body fell short of the approvals before.
    #[error("the body with the digest {digest} was disputed before")]
    AlreadyDisputed {
        /// The digest of the body.
        digest: Hash32,
    },
    /// There are as many commitments as the request takes.
    #[error("it takes no more commitments: {found} stand of {most}")]
    CommitmentsClosed {
        /// How many commitments there are.
        found: usize,
        /// The most that are kept.
        most: usize,
    },
    /// A part of a body is not taken.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The body that came in parts has another digest than its parts announced.
    #[error("the body that came in parts has the digest {found}, its parts said {expected}")]
    UploadDigest {
        /// The digest of the body.
        found: Hash32,
        /// The digest that the parts announced.
        expected: Hash32,
    },
    /// Where several workers must agree, only those who agree may send parts.
    #[error(
        "a body in parts is taken from those who committed to its digest {digest}, \
         {worker_id} has not"
    )]
    NotAmongTheAgreeing {
        /// The worker that sent the part.
        worker_id: AccountId,
        /// The digest that the part announces.
        digest: Hash32,
    },
    /// The request says that nobody may cancel it.
    #[error("nobody may cancel it: it was made with cancel_by \"nobody\"")]
    NotCancellable,
    /// Somebody asked to cancel who may not.
    #[error(
        "it can be cancelled by {requester}{}, not by {found}",
        payer.as_ref().map(|payer| format!(" or {payer}")).unwrap_or_default()
    )]
    NotTheRequester {
        /// The account that asked.
        found: AccountId,
        /// The account that made the request.
        requester: AccountId,
        /// The account that gets its refunds, where the request lets it cancel.
        payer: Option<AccountId>,
    },
    /// The request cannot be swept yet.
    #[error("it can be swept from block {from} on, this is block {height}")]
    TooEarlyToSweep {
        /// The first height at which it can be swept.
        from: u64,
        /// The height of the current block.
        height: u64,
    },
}

impl Reason {
    /// The code of a refusal for this reason.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::Expired { .. } => RefusalCode::RequestExpired,
            Self::AlreadyStaged { .. } => RefusalCode::AlreadyAnswered,
            Self::AlreadyCancelled => RefusalCode::AlreadyCancelled,
            Self::Response(error) => error.code(),
            Self::ReadConflict { .. } => RefusalCode::ReadConflict,
            Self::KeyLocked { .. } => RefusalCode::KeyLocked,
            Self::TooFewCommitments { .. } => RefusalCode::TooFewCommitments,
            Self::CommitmentNotNeeded => RefusalCode::CommitmentNotNeeded,
            Self::AlreadyCommitted { .. } => RefusalCode::AlreadyCommitted,
            Self::CommitmentToPublicBody { .. } => RefusalCode::CommitmentToPublicBody,
            Self::NobodyCommitted { .. } => RefusalCode::NobodyCommitted,
            Self::AlreadyDisputed { .. } => RefusalCode::AlreadyDisputed,
            Self::CommitmentsClosed { .. } => RefusalCode::CommitmentsClosed,
            Self::Upload(error) => error.code(),
            Self::UploadDigest { .. } => RefusalCode::UploadDigest,
            Self::NotAmongTheAgreeing { .. } => RefusalCode::NotAmongTheAgreeing,
            Self::NotCancellable => RefusalCode::NotCancellable,
            Self::NotTheRequester { .. } => RefusalCode::NotTheRequester,
            Self::TooEarlyToSweep { .. } => RefusalCode::TooEarlyToSweep,
        }
    }
}

impl LiveRequest {
    /// The refusal of a step for this reason.
    pub(super) fn refuse(&self, reason: impl Into<Reason>) -> Refusal {
        Refusal { request_id: self.id(), reason: reason.into() }
    }

    /// Checks that the request still waits for an answer at this height.
    pub(super) fn open(&self, height: u64) -> Result<(), Refusal> {
        let reason = match &self.phase {
            Phase::Staged { digest, worker_id, .. } => {
                Reason::AlreadyStaged { digest: *digest, worker_id: worker_id.clone() }
            }
            Phase::Cancelling => Reason::AlreadyCancelled,
            Phase::Pending if self.is_expired(height) => {
                Reason::Expired { deadline: self.terms.deadline, height }
            }
            Phase::Pending => return Ok(()),
        };
        Err(self.refuse(reason))
    }
}

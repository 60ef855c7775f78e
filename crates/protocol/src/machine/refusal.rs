//! Why a step is refused.

use near_account_id::AccountId;

use super::{LiveRequest, Phase};
use crate::{
    Bytes, Hash32, RefusalCode, RequestId, agreement::AgreementError, response::ResponseError,
    upload::UploadError,
};

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
    /// The workers could not agree.
    #[error("it is disputed and awaits settlement")]
    AlreadyDisputed,
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
    /// The body is not the one that the worker means: they do not see the same request.
    #[error(
        "the worker has computed the digest {found}, this body answers the request with {expected}"
    )]
    DigestDiffers {
        /// The digest that the worker has computed.
        found: Hash32,
        /// The digest that the contract has computed.
        expected: Hash32,
    },
    /// Too few workers have revealed the digest of the body.
    #[error("{found} workers have revealed the digest {digest}, expected {needed} before its body")]
    TooFewReveals {
        /// The digest of the body.
        digest: Hash32,
        /// How many approvals the request asks for.
        needed: u8,
        /// How many workers have revealed the digest.
        found: usize,
    },
    /// The request asks for one approval only.
    #[error("it asks for one approval: submit the body, no agreement is needed")]
    CommitmentNotNeeded,
    /// The request takes no claims.
    #[error("it takes no claims: execute it and submit the body")]
    ClaimNotNeeded,
    /// The worker has none of the request's secrets.
    #[error("its secrets are not sealed to {worker_id}, so it cannot have executed it")]
    NotARecipient {
        /// The worker.
        worker_id: AccountId,
    },
    /// The worker has claimed the request before.
    #[error("this worker has claimed it already")]
    AlreadyClaimed,
    /// No more workers may claim the request.
    #[error("as many workers have claimed it as may")]
    ClaimsFull,
    /// A commitment or a reveal is not taken.
    #[error(transparent)]
    Agreement(#[from] AgreementError),
    /// The workers may still agree.
    #[error("{approvals} workers may still agree on it, this is block {height}")]
    NotHopeless {
        /// How many workers must agree.
        approvals: u8,
        /// The height of the current block.
        height: u64,
    },
    /// Its shares are open still.
    #[error("its shares are open until block {until}, this is block {height}")]
    SharesOpen {
        /// The first height at which they can be closed.
        until: u64,
        /// The height of the current block.
        height: u64,
    },
    /// A part of a body is not taken.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// Where several workers must agree, only those who agree may send parts.
    #[error(
        "a body in parts is taken from those who revealed its digest {digest}, {worker_id} has not"
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
            Self::AlreadyDisputed => RefusalCode::AlreadyDisputed,
            Self::Response(error) => error.code(),
            Self::ReadConflict { .. } => RefusalCode::ReadConflict,
            Self::KeyLocked { .. } => RefusalCode::KeyLocked,
            Self::DigestDiffers { .. } => RefusalCode::DigestDiffers,
            Self::TooFewReveals { .. } => RefusalCode::TooFewReveals,
            Self::CommitmentNotNeeded => RefusalCode::CommitmentNotNeeded,
            Self::ClaimNotNeeded => RefusalCode::ClaimNotNeeded,
            Self::NotARecipient { .. } => RefusalCode::NotARecipient,
            Self::AlreadyClaimed => RefusalCode::AlreadyClaimed,
            Self::ClaimsFull => RefusalCode::ClaimsFull,
            Self::Agreement(error) => error.code(),
            Self::NotHopeless { .. } => RefusalCode::NotHopeless,
            Self::SharesOpen { .. } => RefusalCode::SharesOpen,
            Self::Upload(error) => error.code(),
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

    /// Checks that a worker has what the execution needs.
    pub(super) fn check_entitled(&self, worker_id: &AccountId) -> Result<(), Refusal> {
        if self.entitles(worker_id) {
            return Ok(());
        }
        Err(self.refuse(Reason::NotARecipient { worker_id: worker_id.clone() }))
    }

    /// Checks that the request still waits for an answer at this height.
    pub(super) fn open(&self, height: u64) -> Result<(), Refusal> {
        let reason = match &self.phase {
            Phase::Staged { digest, worker_id, .. } => {
                Reason::AlreadyStaged { digest: *digest, worker_id: worker_id.clone() }
            }
            Phase::Cancelling => Reason::AlreadyCancelled,
            Phase::Disputing { .. } => Reason::AlreadyDisputed,
            Phase::Pending if self.is_expired(height) => {
                Reason::Expired { deadline: self.terms.deadline, height }
            }
            Phase::Pending => return Ok(()),
        };
        Err(self.refuse(reason))
    }
}

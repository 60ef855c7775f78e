//! What can happen to a live request.

use near_account_id::AccountId;

use crate::{ExecutionResponse, Hash32, commitment::Salt, storage::StorageCheck};

/// A body that is submitted.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    /// The response itself.
    pub response: &'a ExecutionResponse,
    /// SHA-256 of the response's output. The caller computes it: on chain, a host function does
    /// that at a fraction of the cost of Wasm.
    pub output_hash: Hash32,
}

impl<'a> Body<'a> {
    /// The body of a response whose output is hashed here.
    pub fn of(response: &'a ExecutionResponse) -> Self {
        Self { response, output_hash: Hash32::of(&response.output) }
    }
}

/// What the yield's callback found as its promise result.
#[derive(Clone, Debug)]
pub enum Delivery<'a> {
    /// The yield was resumed.
    Resumed {
        /// The payload that it was resumed with, see [`ResumePayload`](crate::ResumePayload).
        payload: Vec<u8>,
        /// The staged response, if there is one, and whether it still fits into the namespace.
        staged: Option<(&'a ExecutionResponse, StorageCheck)>,
    },
    /// The yield timed out.
    TimedOut {
        /// The staged response, if there is one. It is not applied.
        staged: Option<&'a ExecutionResponse>,
    },
}

impl<'a> Delivery<'a> {
    /// The staged response, if there is one.
    pub(super) fn staged(&self) -> Option<&'a ExecutionResponse> {
        match self {
            Self::Resumed { staged, .. } => staged.as_ref().map(|(response, _)| *response),
            Self::TimedOut { staged } => *staged,
        }
    }
}

/// Something that happens to a live request. A part of a body has a method of its own,
/// [`LiveRequest::take_part`](super::LiveRequest::take_part), because it may need a second look.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A registered worker says that it executes a request that takes long, see
    /// [`claims`](crate::claims).
    Claim {
        /// The worker's account.
        worker_id: &'a AccountId,
        /// The height of the current block.
        height: u64,
    },
    /// A registered worker commits to a digest, for a request that asks for several approvals.
    Commit {
        /// The worker's account.
        worker_id: &'a AccountId,
        /// The round that it takes part in.
        round: u32,
        /// Its commitment, see [`commitment`](crate::commitment::commitment).
        commitment: Hash32,
        /// The height of the current block.
        height: u64,
    },
    /// A registered worker reveals the digest that it has committed to.
    Reveal {
        /// The worker's account.
        worker_id: &'a AccountId,
        /// The digest.
        digest: Hash32,
        /// The salt of its commitment.
        salt: &'a Salt,
        /// The height of the current block.
        height: u64,
    },
    /// Somebody ends a request on which the workers cannot agree any more.
    Close {
        /// The registered worker that is paid for it, if it is one.
        closer: Option<&'a AccountId>,
        /// The height of the current block.
        height: u64,
    },
    /// A registered worker submits a whole body.
    Resolve {
        /// The worker's account.
        worker_id: &'a AccountId,
        /// The digest that the worker has computed.
        digest: Hash32,
        /// The salt of the worker's commitment to the digest, if it has not revealed it yet.
        salt: Option<&'a Salt>,
        /// The body that it submits.
        body: Body<'a>,
        /// Whether the body fits into the namespace.
        storage: StorageCheck,
        /// The height of the current block.
        height: u64,
    },
    /// Somebody asks to cancel the request.
    Cancel {
        /// The account that asks.
        by: &'a AccountId,
        /// The height of the current block.
        height: u64,
    },
    /// The yield's callback runs.
    Deliver {
        /// What it finds as its promise result.
        delivery: Delivery<'a>,
        /// The height of the current block.
        height: u64,
    },
    /// Anyone refunds a request whose callback failed.
    Sweep {
        /// The staged response, if there is one. It is not applied.
        staged: Option<&'a ExecutionResponse>,
        /// The height of the current block.
        height: u64,
    },
}

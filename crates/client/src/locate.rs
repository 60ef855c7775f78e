//! Finds the transaction that made a request, from the request's id alone.
//!
//! Ids are given in order, so the block that made a request is found by bisection: before it the
//! contract says that there was no such request. After that block the request is live, and its
//! record names the account that signed. The transaction stands in one of the blocks before.

use near_primitives::hash::CryptoHash;
use outlayer_protocol::{AccountId, RequestId, views::RequestState};

use crate::{At, ChainError, Contract, request_trace::RequestTrace, trace};

/// In how many blocks before the request its transaction is looked for. Without congestion it is
/// one block for a call of the contract itself, and one more for each contract in between.
const MOST_BLOCKS_BACK: u64 = 100;
/// How many heights in a row may have no block. More than that, and the node has deleted them.
const MOST_SKIPPED: u64 = 8;

/// Where a request was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The request.
    pub request_id: RequestId,
    /// The height of the block in which the contract took it.
    pub height: u64,
    /// The transaction that made it.
    pub transaction: CryptoHash,
    /// The account that signed this transaction.
    pub signer_id: AccountId,
}

/// A request whose transaction cannot be found.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LocateError {
    /// The chain cannot be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The contract has not given this id yet.
    #[error("request {request_id} was never made")]
    NeverMade {
        /// The id.
        request_id: RequestId,
    },
    /// The node has deleted the blocks in which the request was made.
    #[error(
        "request {request_id} was made before block {oldest}, the oldest whose state the node \
         still has"
    )]
    Pruned {
        /// The id.
        request_id: RequestId,
        /// The height of the oldest block that the node could be asked about.
        oldest: u64,
    },
    /// The blocks before the request do not have its transaction.
    #[error(
        "request {request_id} was made in block {height} by {signer_id}, and none of the \
         {MOST_BLOCKS_BACK} blocks before has the transaction"
    )]
    NoTransaction {
        /// The id.
        request_id: RequestId,
        /// The height of the block that made it.
        height: u64,
        /// The account that signed.
        signer_id: AccountId,
    },
}

/// What the contract says of a request after a block.
enum Seen {
    /// It was made in this block or before.
    Made(Option<(u64, AccountId)>),
    NotYet,
    /// The node cannot say.
    Gone,
}

/// Looks at the request after the block at `height`, or at the first block after it where the
/// height was skipped.
async fn look(contract: &Contract, id: RequestId, height: u64) -> Result<Seen, ChainError> {
    for skipped in 0..=MOST_SKIPPED {
        let at = At::Height(height.saturating_add(skipped));
        match contract.request_state(id, at).await {
            Ok(RequestState::Live(view)) => {
                let context = view.request.context;
                return Ok(Seen::Made(Some((context.block_height, context.signer_id))));
            }
            Ok(RequestState::Settled) => return Ok(Seen::Made(None)),
            // The contract did not exist yet, or had another form.
            Ok(RequestState::NeverMade) | Err(ChainError::View { .. }) => return Ok(Seen::NotYet),
            Err(ChainError::UnknownBlock { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Seen::Gone)
}

/// Finds the transaction that made a request. `not_before` is a height at which the request was
/// not made yet, when the caller knows one; with it, fewer questions are asked.
///
/// # Errors
/// [`LocateError`].
pub async fn locate(
    contract: &Contract,
    request_id: RequestId,
    not_before: Option<u64>,
) -> Result<Located, LocateError> {
    let newest = contract.node().block(At::Final).await?.height;
    let (height, signer_id) = made_in(contract, request_id, newest, not_before).await?;
    for back in 0..=MOST_BLOCKS_BACK {
        let block = height.saturating_sub(back);
        for included in contract.node().transactions(block).await? {
            if included.signer_id != signer_id {
                continue;
            }
            let trace = trace::whole(contract.node(), included.hash, &signer_id).await?;
            let made = trace.map(|trace| RequestTrace::all(contract.id(), &trace));
            let made = made.unwrap_or_default();
            if made.iter().any(|one| one.requested.request_id == request_id) {
                let transaction = included.hash;
                return Ok(Located { request_id, height, transaction, signer_id });
            }
        }
        if block == 0 {
            break;
        }
    }
    Err(LocateError::NoTransaction { request_id, height, signer_id })
}

/// The block that made the request, and the account that signed.
async fn made_in(
    contract: &Contract,
    id: RequestId,
    newest: u64,
    not_before: Option<u64>,
) -> Result<(u64, AccountId), LocateError> {
    // `made` is a height at which the request was made, `not_yet` one at which it was not.
    let mut made = newest;
    match look(contract, id, newest).await? {
        Seen::Made(Some(found)) => return Ok(found),
        Seen::Made(None) => {}
        Seen::NotYet => {
            // It may be in a block that is not final yet.
            let state = contract.request_state(id, At::Optimistic).await?;
            let RequestState::Live(view) = state else {
                return Err(LocateError::NeverMade { request_id: id });
            };
            let context = view.request.context;
            return Ok((context.block_height, context.signer_id));
        }
        Seen::Gone => return Err(LocateError::Pruned { request_id: id, oldest: newest }),
    }
    let mut not_yet = not_before;
    let mut step = 64;
    while not_yet.is_none() {
        let height = made.saturating_sub(step);
        match look(contract, id, height).await? {
            Seen::Made(Some(found)) => return Ok(found),
            Seen::Made(None) if height == 0 => not_yet = Some(0),
            Seen::Made(None) => (made, step) = (height, step.saturating_mul(4)),
            Seen::NotYet => not_yet = Some(height),
            // Nearer blocks may still be there.
            Seen::Gone if step > 1 => step /= 2,
            Seen::Gone => return Err(LocateError::Pruned { request_id: id, oldest: made }),
        }
    }
    let mut not_yet = not_yet.unwrap_or_default();
    while made.saturating_sub(not_yet) > 1 {
        let middle = not_yet + (made - not_yet) / 2;
        match look(contract, id, middle).await? {
            Seen::Made(Some(found)) => return Ok(found),
            Seen::Made(None) => made = middle,
            Seen::NotYet => not_yet = middle,
            Seen::Gone => return Err(LocateError::Pruned { request_id: id, oldest: made }),
        }
    }
    match look(contract, id, made).await? {
        Seen::Made(Some(found)) => Ok(found),
        // Two blocks are no more than one apart here, and a request lives for one block at least.
        _ => Err(LocateError::Pruned { request_id: id, oldest: made }),
    }
}

//! What follows when a step is taken.

use near_account_id::AccountId;
use near_token::NearToken;
use serde::{Deserialize, Serialize};

use super::{LiveRequest, Phase};
use crate::{
    ExecutionResponse, Hash32, JournalEntry, RequestId, ResumePayload, Settlement, events::Event,
};

/// Something that the contract does because a step was taken. An effect carries all its data, so
/// that the contract decides nothing and remembers nothing of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<'a> {
    /// Keep a part of a response.
    KeepPart {
        /// The request that the response answers.
        request_id: RequestId,
        /// The number of the part, from 0.
        number: u32,
        /// The bytes of the part.
        bytes: &'a [u8],
    },
    /// Delete all parts of a response.
    DropParts {
        /// The request that the response answers.
        request_id: RequestId,
        /// How many parts there are.
        parts: u32,
    },
    /// Keep the submitted response until the callback.
    Stage(&'a ExecutionResponse),
    /// Lock the keys that the submitted response reads or writes.
    Lock {
        /// The account that owns the keys.
        namespace: AccountId,
        /// The submitted response.
        response: &'a ExecutionResponse,
    },
    /// Close keys to new readers for [`CLOSED_BLOCKS`](crate::storage::CLOSED_BLOCKS), because the
    /// submitted response writes them and waits for the present readers.
    CloseToReaders {
        /// The request whose answer waits.
        request_id: RequestId,
        /// The keys' locks, by the hashes under which the contract keeps them.
        locks: Vec<Hash32>,
    },
    /// Resume the yield. When the node answers that there is nothing to resume, the call fails, and
    /// with it the whole step.
    Resume {
        /// The request whose yield it is.
        request_id: RequestId,
        /// The node's name for the yield.
        data_id: Hash32,
        /// What the callback receives.
        payload: ResumePayload,
    },
    /// Apply the journal of the staged response.
    ApplyJournal {
        /// The account that owns the keys.
        namespace: AccountId,
        /// The writes and removals.
        journal: &'a [JournalEntry],
    },
    /// Delete the request's record and input, and the staged response, whole or in parts; unlock
    /// its keys, and open those that were closed to readers for it; and note that the request no
    /// longer needs its code.
    Delete {
        /// The request that has ended.
        request_id: RequestId,
        /// The account that owns the locked keys.
        namespace: AccountId,
        /// The staged response, whose keys are locked; `None` when no response is staged.
        staged: Option<&'a ExecutionResponse>,
        /// The locks that were closed to new readers for the request.
        closed_locks: Vec<Hash32>,
        /// How many parts of a response there are.
        parts: u32,
        /// The code, where it is published in the contract.
        published_code: Option<Hash32>,
        /// What the request added to the price of a direct change of its namespace, see
        /// [`LiveRequest::change_fee`].
        change_fee: NearToken,
    },
    /// Credit a worker's earnings.
    PayWorker(AccountId, NearToken),
    /// Count an answer of a worker as settled.
    CountSettled(AccountId),
    /// Count a worker's commitment to a digest that lost.
    CountLoss(AccountId),
    /// Credit the protocol's share.
    PayProtocol(NearToken),
    /// Transfer money to the payer. When the transfer bounces, the money becomes claimable.
    Refund(AccountId, NearToken),
    /// Emit an event.
    Emit(Event),
}

/// A step that was taken, with its effects in the order in which they are carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The request lives on in this state.
    Live(Box<LiveRequest>, Vec<Effect<'a>>),
    /// The request is settled.
    Settled(Settlement, Vec<Effect<'a>>),
}

/// What became of a body, or a part of one, that the contract took. It is what the call returns, in
/// JSON as `"staged"`, `"wait"` or `"pending"`.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// The body is staged, and the callback settles the request.
    Staged,
    /// The body writes a key that others read. The key is closed to new readers, so the same body
    /// should come again as soon as the present ones are settled. A refusal would have undone the
    /// closing.
    Wait,
    /// The request still waits for an answer.
    Pending,
}

impl Step<'_> {
    /// What became of the body or part that made the step.
    pub fn taken(&self) -> Taken {
        match self {
            Self::Live(request, effects) => match request.phase {
                Phase::Staged { .. } => Taken::Staged,
                _ if effects.iter().any(|one| matches!(one, Effect::CloseToReaders { .. })) => {
                    Taken::Wait
                }
                _ => Taken::Pending,
            },
            Self::Settled(..) => Taken::Staged,
        }
    }
}

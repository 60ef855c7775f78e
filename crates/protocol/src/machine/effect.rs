//! What follows when a step is taken.

use near_account_id::AccountId;
use near_token::NearToken;
use outlayer_json::ToJson;
use serde::{Deserialize, Serialize};

use super::{LiveRequest, OpenShares, Phase};
use crate::{
    ExecutionResponse, Hash32, JournalEntry, RequestId, ResumePayload, Settlement, events::Event,
};

/// Which money an effect moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purse {
    /// The deposit of a live request.
    Deposit,
    /// What is kept for the open shares of a settled one.
    Shares,
}

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
    /// Resume the yield. When the node answers that there is nothing to resume, the step fails. It
    /// is the only effect of an answer that can fail, and comes before all others, so that a step
    /// which fails has changed nothing.
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
    /// its keys, and open those that were closed to readers for it.
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
        /// Whether the request has an input.
        has_input: bool,
        /// What the request added to the price of a direct change of its namespace, see
        /// [`LiveRequest::change_fee`].
        change_fee: NearToken,
    },
    /// Credit a worker's earnings.
    PayWorker(Purse, AccountId, NearToken),
    /// Count an answer of a worker as settled.
    CountSettled(AccountId),
    /// Count a worker's commitment that was to a digest that lost, or that it did not reveal in
    /// time.
    CountLoss(AccountId),
    /// Count a worker's claim that it did not answer in time.
    CountMissed(AccountId),
    /// Credit the protocol's share.
    PayProtocol(Purse, NearToken),
    /// Transfer money to the payer. When the transfer bounces, the money becomes claimable.
    Refund(Purse, AccountId, NearToken),
    /// Keep open shares, and move what they hold out of the deposit.
    KeepShares(Box<OpenShares>),
    /// Delete the open shares of a request.
    DropShares(RequestId),
    /// Keep the result of a settled request, and what is held for its bytes.
    KeepResult {
        /// The request that has ended.
        request_id: RequestId,
        /// How it ended, with the output cut to what is kept.
        settlement: Box<Settlement>,
        /// SHA-256 of the whole output; `None` when no execution was settled.
        output_hash: Option<Hash32>,
        /// Whether the output was not cut.
        output_is_whole: bool,
        /// The account that gets what is held when the result is removed.
        payer: AccountId,
        /// How many blocks after this one the result is kept.
        blocks: u32,
        /// What is held for the bytes of the result.
        held: NearToken,
    },
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// A body is staged, and the callback settles the request. Where another worker's body was
    /// quicker, the reveal that came with this one counts.
    Staged,
    /// The body writes a key that others read. The key is closed to new readers, so the same body
    /// should come again as soon as the present ones are settled. A refusal would have undone the
    /// closing.
    Wait,
    /// No body is staged: the request waits for more parts, for another round, or for the callback
    /// that settles it as disputed.
    Pending,
}

impl Taken {
    /// What stands for [`Self::Wait`] in the result of `resolve_many`. It is no refusal code.
    pub const WAIT: &'static str = "wait";
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

//! A body that comes in parts: what a worker sends, what is kept of it, and who may send.
//!
//! At most one body is in the making for a request, and it has a holder. Its first part says the digest that the whole
//! will have; the parts follow in order; with the last one it is submitted like any other. So that nobody blocks a request
//! by sending rubbish, or by sending nothing more:
//!
//! * The holder has [`TURN_BLOCKS`] blocks from its first part on. Starting over does not renew them.
//! * After that anyone who may answer replaces it with a first part of their own. Who has lost a turn before waits
//!   twice as long, so that whoever has not had one goes first.
//! * Where several must agree, only those may send whose commitments match the digest, and only once enough of them do.
//! * A body that is submitted whole goes ahead of any that is in the making.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use serde::{Deserialize, Serialize};

use crate::{Bytes, Hash32, RefusalCode, RequestId};

/// The smallest part but for the last, bytes. A body that is no longer comes whole.
pub const MIN_PART_BYTES: u32 = 256 << 10;

/// How long a holder keeps its turn, blocks. The largest body comes in 4 transactions of 1 MiB, each of which takes 2 or 3
/// blocks when the next one waits for it; a yield lives for 200.
pub const TURN_BLOCKS: u64 = 20;

/// How many of those who lost a turn are remembered; the yield's 200 blocks have room for 9 turns to be lost.
pub const MOST_FORMER: usize = 8;

/// Bytes that are kept of an upload beside its parts: an account id, a hash, numbers.
pub(crate) const UPLOAD_BYTES: u64 = (4 + 64) + 32 + 4 + 4 + 4 + 8;

/// The argument of `stage_response`, in borsh: a part of the borsh of an [`ExecutionResponse`](crate::ExecutionResponse).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
pub struct ResponsePart {
    /// The request.
    pub request_id: RequestId,
    /// Digest of the record that the whole body gives.
    pub digest: Hash32,
    /// Length of the whole body.
    pub total_bytes: u32,
    /// Where this part starts.
    pub offset: u32,
    /// The part.
    pub bytes: Bytes,
}

/// What is kept of a body that comes in parts, beside the parts.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
pub struct Upload {
    /// Its holder.
    pub worker_id: AccountId,
    /// The digest that the whole must have.
    pub digest: Hash32,
    /// Length of the whole.
    pub total_bytes: u32,
    /// How much of it is there.
    pub staged_bytes: u32,
    /// In how many parts.
    pub parts: u32,
    /// The height at which the holder's turn began.
    pub since: u64,
}

/// A part that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The whole is out of bounds.
    #[error(
        "a body of {found} bytes cannot come in parts: expected more than {MIN_PART_BYTES}, at most the {max} of the request's limits"
    )]
    Total {
        /// Its length.
        found: u32,
        /// The most that the request's limits allow.
        max: u64,
    },
    /// Parts come in order.
    #[error("this part starts at byte {found}, expected {expected}")]
    Offset {
        /// Where it starts.
        found: u32,
        /// Where the next one must start.
        expected: u32,
    },
    /// A part is too small or reaches over the end.
    #[error(
        "this part has {found} bytes, expected at least {MIN_PART_BYTES} or the rest, and at most the rest of {rest}"
    )]
    Length {
        /// Its length.
        found: usize,
        /// What is missing.
        rest: u32,
    },
    /// Somebody else's turn.
    #[error(
        "{worker_id} sends a body in parts and has its turn until block {until}, this is block {height}"
    )]
    Turn {
        /// The worker whose turn it is.
        worker_id: AccountId,
        /// The first height at which the one who asks may replace it.
        until: u64,
        /// Now.
        height: u64,
    },
}

impl UploadError {
    /// The code with which the contract reports the error.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::Total { .. } => RefusalCode::UploadTotalBytes,
            Self::Offset { .. } => RefusalCode::PartOffset,
            Self::Length { .. } => RefusalCode::PartLength,
            Self::Turn { .. } => RefusalCode::UploadTurn,
        }
    }
}

impl Upload {
    /// An upload whose first part is to come.
    pub(crate) fn begin(worker_id: &AccountId, part: &ResponsePart, since: u64) -> Self {
        Self {
            worker_id: worker_id.clone(),
            digest: part.digest,
            total_bytes: part.total_bytes,
            staged_bytes: 0,
            parts: 0,
            since,
        }
    }

    /// Whether the part belongs to this body.
    pub fn is_of(&self, part: &ResponsePart) -> bool {
        (self.digest, self.total_bytes) == (part.digest, part.total_bytes)
    }

    /// Whether all of it is there.
    pub fn is_complete(&self) -> bool {
        self.staged_bytes == self.total_bytes
    }

    /// Counts the next part; false when it is there already.
    ///
    /// # Errors
    /// [`UploadError`].
    pub(crate) fn add(&mut self, part: &ResponsePart) -> Result<bool, UploadError> {
        let expected = self.staged_bytes;
        let length = u32::try_from(part.bytes.len()).unwrap_or(u32::MAX);
        let end = part.offset.saturating_add(length);
        if length > 0 && end <= expected {
            return Ok(false);
        }
        if part.offset != expected {
            return Err(UploadError::Offset { found: part.offset, expected });
        }
        let rest = self.total_bytes.saturating_sub(expected);
        if length != rest && !(MIN_PART_BYTES..rest).contains(&length) {
            return Err(UploadError::Length { found: part.bytes.len(), rest });
        }
        self.staged_bytes = end;
        self.parts = self.parts.saturating_add(1);
        Ok(true)
    }
}

/// The most parts that a body of `total_bytes` can come in.
pub(crate) const fn most_parts(total_bytes: u64) -> u64 {
    total_bytes / MIN_PART_BYTES as u64 + 1
}

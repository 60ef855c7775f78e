//! Bodies that come in parts: what a worker sends, what is kept of it, and who may send.
//!
//! A request keeps the parts of at most one body at a time, of one worker. The first part announces
//! the digest that the whole body will have. The parts come in order, and with the last one the
//! body is submitted like any other. These rules keep a worker from blocking a request by sending
//! rubbish, or by stopping halfway:
//!
//! * A worker has its turn for [`TURN_BLOCKS`] blocks from its first part on. Starting over does
//!   not renew its turn.
//! * After that, any other worker may send a first part of its own, which replaces what is there. A
//!   worker that has lost a turn before waits twice as long, so that one that has not had a turn
//!   goes first.
//! * Where several workers must agree, only those may send who have revealed the digest, and only
//!   once enough of them have.
//! * A body that is submitted whole goes ahead of one that is coming in parts.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use outlayer_codec::{Decode, Encode};
use outlayer_json::ToJson;
use serde::{Deserialize, Serialize};

use crate::{Bytes, Hash32, RefusalCode, RequestId};

/// The smallest part, bytes; only the last one may be smaller. A body that is no longer than this
/// comes whole.
pub const MIN_PART_BYTES: u32 = 256 << 10;

/// How long a worker has its turn, blocks. The largest body comes in 4 transactions of 1 MiB. Each
/// takes 2 or 3 blocks if the next one waits for it. A yield lives for 200.
pub const TURN_BLOCKS: u64 = 20;

/// How many workers that have lost a turn are remembered. The 200 blocks of a yield have room for 9
/// lost turns.
pub const MOST_FORMER: usize = 8;

/// Bytes that an upload takes besides its parts: an account id, a hash, numbers.
pub(crate) const UPLOAD_BYTES: u64 = (4 + 64) + 32 + 4 + 4 + 4 + 8;

/// The argument of `stage_response`, in borsh: a part of an
/// [`ExecutionResponse`](crate::ExecutionResponse) in borsh.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Encode,
    Decode,
    Serialize,
    ToJson,
    Deserialize,
)]
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
pub struct ResponsePart {
    /// The id of the request that the response answers.
    pub request_id: RequestId,
    /// Digest of the record that the whole body gives.
    pub digest: Hash32,
    /// Length of the whole body, bytes.
    pub total_bytes: u32,
    /// Where this part starts, bytes from the start of the body.
    pub offset: u32,
    /// The bytes of this part.
    pub bytes: Bytes,
}

/// What is kept of a body that comes in parts, besides the parts.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Encode,
    Decode,
    Serialize,
    ToJson,
    Deserialize,
)]
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
pub struct Upload {
    /// The worker that sends it.
    pub worker_id: AccountId,
    /// Digest of the record that the whole body must give.
    pub digest: Hash32,
    /// Length of the whole body, bytes.
    pub total_bytes: u32,
    /// How many of its bytes have come.
    pub staged_bytes: u32,
    /// How many parts have come.
    pub parts: u32,
    /// The height at which the worker's turn began.
    pub since: u64,
}

/// Why a part is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The body is too short to come in parts, or exceeds the request's limits.
    #[error(
        "a body of {found} bytes cannot come in parts: expected more than {MIN_PART_BYTES}, at \
         most the {max} of the request's limits"
    )]
    Total {
        /// The length of the whole body, bytes.
        found: u32,
        /// The longest body that the request's limits allow, bytes.
        max: u64,
    },
    /// The part does not start where the one before it ended.
    #[error("this part starts at byte {found}, expected {expected}")]
    Offset {
        /// Where the part starts.
        found: u32,
        /// Where it must start.
        expected: u32,
    },
    /// The part is too small, or reaches beyond the end of the body.
    #[error(
        "this part has {found} bytes, expected at least {MIN_PART_BYTES} or the rest, and at most \
         the rest of {rest}"
    )]
    Length {
        /// The length of the part, bytes.
        found: usize,
        /// How many bytes are missing.
        rest: u32,
    },
    /// It is another worker's turn.
    #[error(
        "{worker_id} sends a body in parts and has its turn until block {until}, this is block \
         {height}"
    )]
    Turn {
        /// The worker whose turn it is.
        worker_id: AccountId,
        /// The first height at which the worker that asks may send a first part.
        until: u64,
        /// The height of the current block.
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
    /// An upload of which no part has come yet.
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

    /// Whether the whole body has come.
    pub fn is_complete(&self) -> bool {
        self.staged_bytes == self.total_bytes
    }

    /// Counts the next part. Gives false when the part is there already.
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

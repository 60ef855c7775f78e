//! What can be wrong with published code.

use near_sdk::{AccountId, NearToken};
use outlayer_protocol::{Hash32, RefusalCode};

use crate::bounds::{MAX_CODE_BYTES, MIN_CODE_PART_BYTES};

/// Why code cannot be used, published, retired, adopted or deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// The code is not published in full.
    #[error("it is not published in full")]
    Unknown,
    /// The code is published already.
    #[error("{publisher_id} has published it; once it is retired, adopt_code takes it over")]
    Published {
        /// The account that published it.
        publisher_id: AccountId,
    },
    /// The code is empty or too large.
    #[error("it has {found} bytes, expected 1 to {MAX_CODE_BYTES}")]
    Size {
        /// Its size, bytes.
        found: u32,
    },
    /// A part announces another size of the whole than the first part did.
    #[error("this part says that it has {found} bytes, the first one said {expected}")]
    Total {
        /// The size that this part announces, bytes.
        found: u32,
        /// The size that the first part announced, bytes.
        expected: u32,
    },
    /// A part does not start where the one before it ended.
    #[error("this part starts at byte {found}, expected {expected}")]
    Offset {
        /// Where this part starts.
        found: u32,
        /// Where the one before it ended.
        expected: u32,
    },
    /// A part is too small, or reaches beyond the end.
    #[error(
        "this part has {found} bytes, expected at least {MIN_CODE_PART_BYTES} or the rest, and at \
         most the rest of {rest}"
    )]
    Part {
        /// The length of this part, bytes.
        found: usize,
        /// How many bytes are missing.
        rest: u32,
    },
    /// The bytes have another hash than was announced.
    #[error("the bytes published have the SHA-256 {found}; delete_code takes them back")]
    Hash {
        /// The SHA-256 of the bytes.
        found: Hash32,
    },
    /// The attached deposit does not pay for the bytes.
    #[error(
        "{} yoctoNEAR attached, {} needed for the bytes of state",
        found.as_yoctonear(),
        needed.as_yoctonear()
    )]
    Deposit {
        /// What was attached.
        found: NearToken,
        /// What the bytes cost.
        needed: NearToken,
    },
    /// The code belongs to another account.
    #[error("only its publisher {expected} may retire or delete it, found {found}")]
    NotThePublisher {
        /// The account that called.
        found: AccountId,
        /// The account that published the code.
        expected: AccountId,
    },
    /// The publisher has withdrawn the code from new requests.
    #[error("its publisher has withdrawn it from new requests; adopt_code brings it back")]
    Retired,
    /// Live requests may need the code.
    #[error(
        "live requests may need it until block {until}, and this is block {height}; retire_code \
         refuses new ones, so that the time does not go on"
    )]
    InUse {
        /// The height from which none does.
        until: u64,
        /// The height of the call.
        height: u64,
    },
}

impl CodeError {
    /// The code with which the panic's text starts.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::Unknown => RefusalCode::CodeNotPublished,
            Self::Published { .. } => RefusalCode::CodePublished,
            Self::Size { .. } => RefusalCode::CodeSize,
            Self::Total { .. } => RefusalCode::CodeSizeChanged,
            Self::Offset { .. } => RefusalCode::CodePartOffset,
            Self::Part { .. } => RefusalCode::CodePartLength,
            Self::Hash { .. } => RefusalCode::CodeHash,
            Self::Deposit { .. } => RefusalCode::CodeDeposit,
            Self::NotThePublisher { .. } => RefusalCode::NotThePublisher,
            Self::Retired => RefusalCode::CodeRetired,
            Self::InUse { .. } => RefusalCode::CodeInUse,
        }
    }
}

//! Results that the contract keeps after settlement, for a caller whose connection gave up while
//! the call was yielding.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use near_token::NearToken;
use outlayer_codec::{Decode, Encode};
use outlayer_json::ToJson;
use serde::{Deserialize, Serialize};

use crate::{Hash32, Settlement};

/// The longest time for which a request may have its result kept, blocks: about a week.
pub const MAX_KEEP_RESULT_BLOCKS: u32 = 1_000_000;
/// The most bytes of an output that are kept. The hash of the whole output is kept in any case.
pub const MAX_KEPT_OUTPUT_BYTES: u32 = 1_024;

/// The result of `get_result`: how a settled request ended. Anyone may remove it after
/// [`kept_until`](Self::kept_until), and then the payer gets back what was held for its bytes.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
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
pub struct KeptResult {
    /// What the call returned, with the output cut to [`MAX_KEPT_OUTPUT_BYTES`]. A plan is whole.
    pub settlement: Settlement,
    /// SHA-256 of the whole output; `None` when no execution was settled.
    pub output_hash: Option<Hash32>,
    /// Whether the output in [`settlement`](Self::settlement) is whole.
    pub output_is_whole: bool,
    /// The account that got the refund, and that gets what is held.
    pub payer: AccountId,
    /// The height of the block in which the request was settled.
    pub settled_at: u64,
    /// The last height at which the result is certainly there.
    pub kept_until: u64,
    /// What is held for the bytes of this entry, yoctoNEAR.
    pub held: NearToken,
}

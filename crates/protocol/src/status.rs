//! How executions end.

use borsh::{BorshDeserialize, BorshSerialize};
use outlayer_codec::{Decode, Encode};
use outlayer_json::ToJson;
use serde::{Deserialize, Serialize};

use crate::Limit;

/// How an execution ended: the engine's verdict, which is the same on every machine.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
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
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The guest returned, or exited with 0.
    Completed,
    /// The guest exited with a code other than 0.
    Exited {
        /// The exit code.
        code: i32,
    },
    /// The guest trapped.
    Trapped {
        /// The trap, from a fixed vocabulary; for a `near` guest the message of its panic.
        reason: String,
    },
    /// The fuel limit was reached.
    OutOfFuel,
    /// The gas limit was reached.
    OutOfGas,
    /// The guest's stack reached its deterministic bound.
    StackOverflow,
    /// Another limit was exceeded.
    LimitExceeded {
        /// The limit that was exceeded.
        which: Limit,
        /// Its value in the request.
        limit: u64,
    },
    /// The bytes are not a module that can be run.
    InvalidModule {
        /// What is wrong with the bytes.
        reason: String,
    },
}

impl Status {
    /// The name of the status, as in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Exited { .. } => "exited",
            Self::Trapped { .. } => "trapped",
            Self::OutOfFuel => "out_of_fuel",
            Self::OutOfGas => "out_of_gas",
            Self::StackOverflow => "stack_overflow",
            Self::LimitExceeded { .. } => "limit_exceeded",
            Self::InvalidModule { .. } => "invalid_module",
        }
    }
}

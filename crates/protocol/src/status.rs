//! How executions end.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::Limit;

/// How an execution ended: the engine's verdict, the same on every machine.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The guest returned, or exited with 0.
    Completed,
    /// The guest exited with another code.
    Exited {
        /// The code.
        code: i32,
    },
    /// The guest trapped.
    Trapped {
        /// Which trap, from a fixed vocabulary; for `near` guests the panic's message.
        reason: String,
    },
    /// The fuel limit was reached.
    OutOfFuel,
    /// The gas limit was reached.
    OutOfGas,
    /// The guest's stack reached its deterministic bound.
    StackOverflow,
    /// Another limit was reached.
    LimitExceeded {
        /// Which limit.
        which: Limit,
        /// Its value.
        limit: u64,
    },
    /// The bytes are no module that can be run.
    InvalidModule {
        /// Why.
        reason: String,
    },
}

impl Status {
    /// The variant's name, as in JSON.
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

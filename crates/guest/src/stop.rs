//! Why a host function ends an execution.

use std::{error::Error, fmt};

use outlayer_protocol::{Limit, limits::MAX_KEY_BYTES};

use crate::fault::Fault;

/// What a host function answers when the guest does not go on after the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The guest asked to exit with this code.
    Exit(u32),
    /// A limit of the request, other than the meter's, is exceeded.
    Limit {
        /// The limit.
        which: Limit,
        /// What it allows.
        limit: u64,
    },
    /// What is left of the fuel or gas does not pay for the call.
    OutOfCompute,
    /// The guest's stack does not suffice. Stack metering calls the host in some modules.
    StackOverflow,
    /// A misuse of the host that counts as a trap, with a reason of
    /// [`verdict::reason`](crate::verdict::reason).
    Trap(&'static str),
    /// The host's trouble: there is no verdict.
    Fault(Fault),
}

impl Stop {
    /// The request's limit on `which`, which is `limit`, is exceeded.
    pub fn limit(which: Limit, limit: impl Into<u64>) -> Self {
        Self::Limit { which, limit: limit.into() }
    }

    /// A storage key is too long.
    pub fn key_bytes() -> Self {
        Self::limit(Limit::KeyBytes, MAX_KEY_BYTES)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the host ended the execution: {self:?}")
    }
}

impl Error for Stop {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Fault(fault) => Some(fault),
            _ => None,
        }
    }
}

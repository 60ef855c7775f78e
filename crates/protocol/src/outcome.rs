//! How requests end.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use near_token::NearToken;
use outlayer_codec::{Decode, Encode};
use outlayer_json::{FromJson, ToJson};
use serde::{Deserialize, Serialize};

use crate::{
    Bytes, Compute, ExecutionResponse, Hash32, Limit, Meter, RefusalCode, RequestId, Status,
};

/// How a request ended, for its caller. In JSON: `{"completed": {"output": "…"}}`, `"timed_out"`,
/// and so on.
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
    FromJson,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The guest returned, or exited with 0, and planned nothing.
    Completed {
        /// What the guest wrote to its standard output.
        output: Bytes,
    },
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
    /// The code is not a module that can be run.
    InvalidModule {
        /// What is wrong with the code.
        reason: String,
    },
    /// A key that the execution read had another value when the request was settled, and no time
    /// was left to execute again.
    StorageConflict,
    /// The owner of the namespace had not paid for the bytes that the execution wrote, or the
    /// journal would have replaced more than
    /// [`MAX_REPLACED_BYTES`](crate::storage::MAX_REPLACED_BYTES) at once.
    StorageExhausted,
    /// Nobody answered in time.
    TimedOut,
    /// The request was cancelled.
    Cancelled,
    /// Too many of the workers that had to agree disagreed or stayed away, so that no answer could
    /// be settled any more.
    Disputed {
        /// The digests that were revealed, each with the workers that revealed it.
        digests: Vec<Supported>,
    },
    /// The contract did not take the request, and the request asked to be told so.
    Refused {
        /// The code of the refusal, see [`RefusalCode`].
        code: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// The guest returned, or exited with 0, and planned what its caller may carry out.
    Planned {
        /// What the guest wrote to its standard output.
        output: Bytes,
        /// The encoded plan. [`Plan::decode`](crate::Plan::decode) reads it.
        plan: Bytes,
    },
}

/// A digest and the workers that revealed it.
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
    FromJson,
    Deserialize,
)]
pub struct Supported {
    /// Digest of an execution's record.
    pub digest: Hash32,
    /// The accounts of the workers.
    pub workers: Vec<AccountId>,
}

impl Outcome {
    /// The outcome of a response whose journal was applied or is empty.
    pub fn of_response(response: &ExecutionResponse) -> Self {
        match response.status.clone() {
            Status::Completed if !response.plan.is_empty() => {
                Self::Planned { output: response.output.clone(), plan: response.plan.clone() }
            }
            Status::Completed => Self::Completed { output: response.output.clone() },
            Status::Exited { code } => Self::Exited { code },
            Status::Trapped { reason } => Self::Trapped { reason },
            Status::OutOfFuel => Self::OutOfFuel,
            Status::OutOfGas => Self::OutOfGas,
            Status::StackOverflow => Self::StackOverflow,
            Status::LimitExceeded { which, limit } => Self::LimitExceeded { which, limit },
            Status::InvalidModule { reason } => Self::InvalidModule { reason },
        }
    }

    /// The name of the outcome, as in JSON and in events.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Completed { .. } => "completed",
            Self::Exited { .. } => "exited",
            Self::Trapped { .. } => "trapped",
            Self::OutOfFuel => "out_of_fuel",
            Self::OutOfGas => "out_of_gas",
            Self::StackOverflow => "stack_overflow",
            Self::LimitExceeded { .. } => "limit_exceeded",
            Self::InvalidModule { .. } => "invalid_module",
            Self::StorageConflict => "storage_conflict",
            Self::StorageExhausted => "storage_exhausted",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Disputed { .. } => "disputed",
            Self::Refused { .. } => "refused",
            Self::Planned { .. } => "planned",
        }
    }

    /// The output of a guest that completed, whether it planned anything or not.
    pub const fn output(&self) -> Option<&Bytes> {
        match self {
            Self::Completed { output } | Self::Planned { output, .. } => Some(output),
            _ => None,
        }
    }
}

/// What `request_execution` returns to its caller in the end.
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
    FromJson,
    Deserialize,
)]
pub struct Settlement {
    /// The id of the request; `None` when it was refused, and so never became one.
    pub request_id: Option<RequestId>,
    /// How the request ended.
    pub outcome: Outcome,
    /// What the guest used, in the request's meter; 0 when nobody answered.
    pub used: Compute,
    /// What the request cost, yoctoNEAR.
    pub fee: NearToken,
    /// What is held for now, yoctoNEAR: the shares of workers that may still reveal, and what the
    /// bytes of these and of a result that is kept cost. What is left of it goes to the payer
    /// later. Fee, refund and this are the deposit.
    pub held: NearToken,
    /// What goes back to the payer at once, yoctoNEAR.
    pub refund: NearToken,
    /// Digest of the execution's record; `None` when no execution was settled.
    pub digest: Option<Hash32>,
}

impl Settlement {
    /// What a callback returns that finds no record: nobody answered, and no money moves.
    pub fn gone(request_id: RequestId, meter: Meter) -> Self {
        Self {
            request_id: Some(request_id),
            ..Self::without_execution(Outcome::TimedOut, meter, NearToken::from_yoctonear(0))
        }
    }

    /// What a call returns whose request was not taken: all of `deposit` goes back.
    pub fn refused(code: RefusalCode, reason: String, meter: Meter, deposit: NearToken) -> Self {
        let outcome = Outcome::Refused { code: code.as_str().to_owned(), reason };
        Self::without_execution(outcome, meter, deposit)
    }

    fn without_execution(outcome: Outcome, meter: Meter, refund: NearToken) -> Self {
        Self {
            request_id: None,
            outcome,
            used: Compute::new(meter, 0),
            fee: NearToken::from_yoctonear(0),
            held: NearToken::from_yoctonear(0),
            refund,
            digest: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_names_the_outcome() {
        let completed = Outcome::Completed { output: "hi".into() };
        assert_eq!(
            serde_json::to_string(&completed).unwrap(),
            r#"{"completed":{"output":"aGk="}}"#
        );
        let planned = Outcome::Planned { output: "hi".into(), plan: "plan".into() };
        assert_eq!(
            serde_json::to_string(&planned).unwrap(),
            r#"{"planned":{"output":"aGk=","plan":"cGxhbg=="}}"#
        );
        assert_eq!(serde_json::to_string(&Outcome::TimedOut).unwrap(), r#""timed_out""#);
        let exceeded = Outcome::LimitExceeded { which: Limit::MemoryBytes, limit: 5 };
        let json = r#"{"limit_exceeded":{"which":"memory_bytes","limit":5}}"#;
        assert_eq!(serde_json::from_str::<Outcome>(json).unwrap(), exceeded);
        assert!(json.contains(exceeded.name()));
    }
}

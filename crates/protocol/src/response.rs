//! What a worker submits.

use borsh::{BorshDeserialize, BorshSerialize};
use outlayer_codec::{Decode, Encode};
use outlayer_json::ToJson;
use serde::{Deserialize, Serialize};

use crate::{
    Bytes, Compute, Hash32, HttpLimits, JournalEntry, Limit, Meter, ReadEntry, RefusalCode,
    RequestId, ResourceLimits, Status,
    commitment::Salt,
    storage::{self, StorageError, journal_bytes},
};

/// The longest reason of a `Trapped` or `InvalidModule` status, bytes.
pub const MAX_REASON_BYTES: usize = 256;

/// The argument of `resolve_execution`, in borsh: a body, and what the worker says of it.
#[cfg_attr(feature = "abi", derive(borsh::BorshSchema))]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Encode, Decode)]
pub struct Answer {
    /// The body.
    pub response: ExecutionResponse,
    /// The digest of the record that the worker's own execution gave. The contract computes the
    /// digest itself and refuses a body that gives another one: then the worker was shown another
    /// request than the one that it answers.
    pub digest: Hash32,
    /// The salt of the worker's commitment, where its reveal is still missing: body and reveal come
    /// in one call then.
    pub salt: Option<Salt>,
}

/// A body: everything about the execution that the contract does not know itself.
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
pub struct ExecutionResponse {
    /// The id of the request that it answers.
    pub request_id: RequestId,
    /// How the execution ended.
    pub status: Status,
    /// The guest's output; empty unless the guest completed.
    pub output: Bytes,
    /// What the guest used, in the request's meter.
    pub used: Compute,
    /// What the guest read from storage, by ascending key.
    pub reads: Vec<ReadEntry>,
    /// What the guest wants to write, by ascending key; empty unless the guest completed.
    pub journal: Vec<JournalEntry>,
    /// SHA-256 of the guest's logs, which stay off chain.
    pub log_hash: Hash32,
    /// The encoding of the guest's [plan](crate::plan); empty where it planned nothing, and unless
    /// it completed. The contract does not decode it.
    pub plan: Bytes,
    /// The encoding of the guest's HTTP exchanges, the [`Transcript`](crate::http::Transcript),
    /// however it ended; empty where there was none. The contract does not decode it.
    pub transcript: Bytes,
}

/// Why a response cannot be the answer of an honest worker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// The response answers another request.
    #[error("the response is for request {found}, expected {expected}")]
    Request {
        /// The request that the response names.
        found: RequestId,
        /// The request that it was submitted to.
        expected: RequestId,
    },
    /// The response counts computation in the wrong meter.
    #[error("the response counts {found}, the request is billed in {expected}")]
    Meter {
        /// The meter of the response.
        found: Meter,
        /// The meter of the request.
        expected: Meter,
    },
    /// The response exceeds a limit of the request.
    #[error("the response has {which} of {found}, the request allows {limit}")]
    AboveLimit {
        /// The limit that is exceeded.
        which: Limit,
        /// What the response has.
        found: u64,
        /// What the request allows.
        limit: u64,
    },
    /// The status contradicts the rest of the response.
    #[error("status {status} does not go with {what}")]
    Inconsistent {
        /// The name of the status.
        status: &'static str,
        /// What contradicts it.
        what: &'static str,
    },
    /// The reason is longer than [`MAX_REASON_BYTES`].
    #[error("the reason has {found} bytes, expected at most {MAX_REASON_BYTES}")]
    ReasonBytes {
        /// Its length, bytes.
        found: usize,
    },
    /// The read set or the journal is malformed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ResponseError {
    /// The code with which the contract reports the error.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::Request { .. } => RefusalCode::WrongRequest,
            Self::Meter { .. } => RefusalCode::WrongMeter,
            Self::AboveLimit { .. } => RefusalCode::ResponseAboveLimit,
            Self::Inconsistent { .. } => RefusalCode::InconsistentStatus,
            Self::ReasonBytes { .. } => RefusalCode::ReasonTooLong,
            Self::Storage(error) => error.code(),
        }
    }
}

/// The most bytes of output, plan and transcript of a short response.
pub const SHORT_OUTPUT_BYTES: usize = 1_024;

impl ExecutionResponse {
    /// Whether the response is so short that the contract keeps it together with the request's
    /// record, because an entry of its own would cost more than its bytes: it reads and writes no
    /// storage, and its output, plan and transcript have at most [`SHORT_OUTPUT_BYTES`].
    pub fn is_short(&self) -> bool {
        let data = [self.output.len(), self.plan.len(), self.transcript.len()];
        data.into_iter().fold(0, usize::saturating_add) <= SHORT_OUTPUT_BYTES
            && self.reads.is_empty()
            && self.journal.is_empty()
    }

    /// SHA-256 of the encoded plan; `None` where the guest planned nothing.
    pub fn plan_hash(&self) -> Option<Hash32> {
        (!self.plan.is_empty()).then(|| Hash32::of(&self.plan))
    }

    /// SHA-256 of the encoded transcript; `None` where nothing was exchanged.
    pub fn transcript_hash(&self) -> Option<Hash32> {
        (!self.transcript.is_empty()).then(|| Hash32::of(&self.transcript))
    }

    /// Checks that an execution of request `request_id` within `limits` can give this response.
    /// `http` are the request's limits on HTTP.
    ///
    /// # Errors
    /// The first [`ResponseError`] found.
    pub fn validate(
        &self,
        request_id: RequestId,
        limits: &ResourceLimits,
        http: HttpLimits,
    ) -> Result<(), ResponseError> {
        if self.request_id != request_id {
            return Err(ResponseError::Request { found: self.request_id, expected: request_id });
        }
        if self.used.meter() != limits.compute.meter() {
            return Err(ResponseError::Meter {
                found: self.used.meter(),
                expected: limits.compute.meter(),
            });
        }
        let bounds = [
            (Limit::Compute, self.used.amount(), limits.compute.amount()),
            (Limit::OutputBytes, self.output.len() as u64, limits.output_bytes.into()),
            (Limit::StorageReads, self.reads.len() as u64, limits.storage_reads.into()),
            (Limit::StorageWrites, self.journal.len() as u64, limits.storage_writes.into()),
            (Limit::JournalBytes, journal_bytes(&self.journal), limits.journal_bytes.into()),
            (Limit::PlanBytes, self.plan.len() as u64, limits.plan_bytes.into()),
            (Limit::HttpBytes, self.transcript.len() as u64, http.bytes.into()),
        ];
        for (which, found, limit) in bounds {
            if found > limit {
                return Err(ResponseError::AboveLimit { which, found, limit });
            }
        }
        self.validate_status(limits)?;
        storage::check_read_set(&self.reads)?;
        storage::check_journal(&self.journal)?;
        Ok(())
    }

    fn validate_status(&self, limits: &ResourceLimits) -> Result<(), ResponseError> {
        let inconsistent =
            |what| Err(ResponseError::Inconsistent { status: self.status.name(), what });
        if self.status != Status::Completed {
            if !self.output.is_empty() {
                return inconsistent("an output");
            }
            if !self.journal.is_empty() {
                return inconsistent("a journal");
            }
            if !self.plan.is_empty() {
                return inconsistent("a plan");
            }
        }
        match &self.status {
            Status::Trapped { reason } | Status::InvalidModule { reason }
                if reason.len() > MAX_REASON_BYTES =>
            {
                Err(ResponseError::ReasonBytes { found: reason.len() })
            }
            Status::OutOfFuel if limits.compute.meter() != Meter::Fuel => {
                inconsistent("a request billed in gas")
            }
            Status::OutOfGas if limits.compute.meter() != Meter::Gas => {
                inconsistent("a request billed in fuel")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) fn sample(request_id: RequestId) -> ExecutionResponse {
    ExecutionResponse {
        request_id,
        status: Status::Completed,
        output: "output".into(),
        used: Compute::Fuel(1_000),
        reads: vec![ReadEntry { key: "k".into(), value_hash: None }],
        journal: vec![JournalEntry { key: "k".into(), value: Some("v".into()) }],
        log_hash: Hash32::of(b""),
        plan: Bytes::default(),
        transcript: Bytes::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut ExecutionResponse)) -> Result<(), ResponseError> {
        let mut response = sample(3);
        change(&mut response);
        let limits = ResourceLimits::default().with_storage(8, 4, 4 << 10);
        response.validate(3, &limits, HttpLimits { bytes: 4, ..HttpLimits::default() })
    }

    #[test]
    fn a_response_within_its_requests_limits_is_accepted() {
        assert_eq!(check(|_| ()), Ok(()));
    }

    #[test]
    fn a_plan_goes_with_a_guest_that_completed() {
        let limits = ResourceLimits::default().with_plan(4);
        let planned =
            ExecutionResponse { reads: vec![], journal: vec![], plan: "plan".into(), ..sample(3) };
        assert_eq!(planned.validate(3, &limits, HttpLimits::default()), Ok(()));
        let exited = ExecutionResponse {
            output: Bytes::default(),
            status: Status::Exited { code: 1 },
            ..planned
        };
        let refused = ResponseError::Inconsistent { status: "exited", what: "a plan" };
        assert_eq!(exited.validate(3, &limits, HttpLimits::default()), Err(refused));
    }

    #[test]
    fn what_no_honest_execution_gives_is_refused() {
        assert_eq!(
            check(|r| r.request_id = 4),
            Err(ResponseError::Request { found: 4, expected: 3 })
        );
        assert_eq!(
            check(|r| r.used = Compute::Gas(1)),
            Err(ResponseError::Meter { found: Meter::Gas, expected: Meter::Fuel })
        );
        assert_eq!(
            check(|r| r.used = Compute::Fuel(100_000_001)),
            Err(ResponseError::AboveLimit {
                which: Limit::Compute,
                found: 100_000_001,
                limit: 100_000_000
            })
        );
        assert_eq!(
            check(|r| r.output = vec![0; 1_025].into()),
            Err(ResponseError::AboveLimit {
                which: Limit::OutputBytes,
                found: 1_025,
                limit: 1_024
            })
        );
        assert_eq!(
            check(|r| r.plan = "p".into()),
            Err(ResponseError::AboveLimit { which: Limit::PlanBytes, found: 1, limit: 0 })
        );
        assert_eq!(check(|r| r.transcript = "four".into()), Ok(()));
        assert_eq!(
            check(|r| r.transcript = "fiver".into()),
            Err(ResponseError::AboveLimit { which: Limit::HttpBytes, found: 5, limit: 4 })
        );
        assert_eq!(
            check(|r| r.status = Status::OutOfFuel),
            Err(ResponseError::Inconsistent { status: "out_of_fuel", what: "an output" })
        );
        assert_eq!(
            check(|r| {
                r.output = Bytes::default();
                r.status = Status::Trapped { reason: "unreachable".to_owned() };
            }),
            Err(ResponseError::Inconsistent { status: "trapped", what: "a journal" })
        );
        assert_eq!(
            check(|r| {
                r.output = Bytes::default();
                r.journal.clear();
                r.status = Status::OutOfGas;
            }),
            Err(ResponseError::Inconsistent {
                status: "out_of_gas",
                what: "a request billed in fuel"
            })
        );
    }
}

//! The contract's NEP-297 events.

use near_account_id::AccountId;
use near_token::NearToken;
use serde::{Deserialize, Serialize};

use crate::{
    CodeRef, Compute, EngineVersion, ExecutionContext, GuestKind, Hash32, RequestId,
    ResourceLimits, live_request::LiveRequest,
};

/// The `standard` of every event.
pub const STANDARD: &str = "outlayer";
/// Its `version`.
pub const VERSION: &str = "1.0.0";

/// An event. In a log it stands as `EVENT_JSON:` and the JSON of [`Event::to_log`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub enum Event {
    /// A request was accepted.
    #[serde(with = "single")]
    ExecutionRequested(Box<ExecutionRequested>),
    /// A worker's answer was settled.
    #[serde(with = "single")]
    ExecutionCompleted(ExecutionCompleted),
    /// Nobody answered in time.
    #[serde(with = "single")]
    ExecutionTimedOut(ExecutionTimedOut),
    /// The requester took the request back.
    #[serde(with = "single")]
    ExecutionCancelled(ExecutionCancelled),
    /// A body was dropped that too few commitments supported.
    #[serde(with = "single")]
    ExecutionDisputed(ExecutionDisputed),
}

/// A request was accepted. The input is not repeated; its hash is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionRequested {
    /// The request.
    pub request_id: RequestId,
    /// What to run.
    pub code: CodeRef,
    /// The kind that is required.
    pub kind: Option<GuestKind>,
    /// SHA-256 of the input.
    pub input_hash: Hash32,
    /// Its length.
    pub input_bytes: u32,
    /// What the execution may use.
    pub limits: ResourceLimits,
    /// How many workers must agree.
    pub approvals: u8,
    /// What the guest is told.
    pub context: ExecutionContext,
    /// The engine.
    pub engine_version: EngineVersion,
    /// The last height at which an answer is accepted.
    pub deadline: u64,
    /// The most that it can cost.
    pub max_fee: NearToken,
    /// Held for its storage.
    pub storage_reserve: NearToken,
}

impl From<&LiveRequest> for ExecutionRequested {
    fn from(request: &LiveRequest) -> Self {
        Self {
            request_id: request.id(),
            code: request.code.clone(),
            kind: request.kind,
            input_hash: request.input_hash,
            input_bytes: request.input_bytes,
            limits: request.limits,
            approvals: request.approvals,
            context: request.context.clone(),
            engine_version: request.terms.engine_version,
            deadline: request.terms.deadline,
            max_fee: request.terms.max_fee,
            storage_reserve: request.terms.storage_reserve,
        }
    }
}

/// A worker's answer was settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionCompleted {
    /// The request.
    pub request_id: RequestId,
    /// The outcome's name.
    pub outcome: String,
    /// Digest of the record, computed by the contract.
    pub digest: Hash32,
    /// Who submitted the body.
    pub worker_id: AccountId,
    /// Who is paid.
    pub workers: Vec<AccountId>,
    /// SHA-256 of the output.
    pub output_hash: Hash32,
    /// Its length.
    pub output_bytes: u64,
    /// What was used.
    pub used: Compute,
    /// What it cost.
    pub fee: NearToken,
    /// What goes back to the payer.
    pub refund: NearToken,
}

/// Nobody answered in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionTimedOut {
    /// The request.
    pub request_id: RequestId,
    /// The last height at which an answer was accepted.
    pub deadline: u64,
    /// What goes back to the payer: everything.
    pub refund: NearToken,
}

/// The requester took the request back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionCancelled {
    /// The request.
    pub request_id: RequestId,
    /// What it cost.
    pub fee: NearToken,
    /// What goes back to the payer.
    pub refund: NearToken,
}

/// A body was dropped that too few commitments supported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionDisputed {
    /// The request.
    pub request_id: RequestId,
    /// Digest of the body's record.
    pub digest: Hash32,
    /// Who submitted it.
    pub worker_id: AccountId,
    /// Whose commitments match.
    pub supporters: Vec<AccountId>,
    /// Whose do not.
    pub opponents: Vec<AccountId>,
    /// How many matches are needed.
    pub approvals: u8,
}

const PREFIX: &str = "EVENT_JSON:";

#[derive(Serialize)]
struct Envelope<'a> {
    standard: &'a str,
    version: &'a str,
    #[serde(flatten)]
    event: &'a Event,
}

#[derive(Deserialize)]
struct Received {
    standard: String,
    #[serde(flatten)]
    event: Event,
}

impl Event {
    /// The log line, as NEP-297 asks.
    pub fn to_log(&self) -> String {
        let envelope = Envelope { standard: STANDARD, version: VERSION, event: self };
        // No type of this crate has a serialiser that fails or a map with keys that are no strings.
        let json = serde_json::to_string(&envelope).unwrap_or_default();
        format!("{PREFIX}{json}")
    }

    /// The event in a log line; `None` when the line is none of this contract's.
    pub fn from_log(line: &str) -> Option<Self> {
        let received: Received = serde_json::from_str(line.strip_prefix(PREFIX)?).ok()?;
        (received.standard == STANDARD).then_some(received.event)
    }
}

/// NEP-297's `data` is an array; ours always holds one element.
mod single {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        [value].serialize(serializer)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let [value] = <[T; 1]>::deserialize(deserializer)?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live_request;

    #[test]
    fn a_log_line_is_nep_297_and_reads_back() {
        let event = Event::ExecutionRequested(Box::new((&live_request::sample()).into()));
        let line = event.to_log();
        let json: serde_json::Value =
            serde_json::from_str(line.strip_prefix("EVENT_JSON:").unwrap()).unwrap();
        assert_eq!(json["standard"], "outlayer");
        assert_eq!(json["version"], "1.0.0");
        assert_eq!(json["event"], "execution_requested");
        assert_eq!(json["data"][0]["request_id"], 7);
        assert_eq!(json["data"][0]["deadline"], 1_200);
        assert_eq!(Event::from_log(&line), Some(event));
    }

    #[test]
    fn other_lines_are_no_events() {
        let line = Event::ExecutionTimedOut(ExecutionTimedOut {
            request_id: 1,
            deadline: 2,
            refund: NearToken::from_yoctonear(3),
        })
        .to_log();
        assert!(Event::from_log(&line).is_some());
        assert_eq!(Event::from_log("hello"), None);
        assert_eq!(Event::from_log(&line.replace("outlayer", "nep171")), None);
        assert_eq!(Event::from_log(&line[..line.len() - 1]), None);
    }
}

//! The contract's events, in the form of NEP-297: those of requests here, the others in
//! [`notices`].

pub mod notices;

use near_account_id::AccountId;
use near_token::NearToken;
use outlayer_json::{ToJson, Writer};
use serde::{Deserialize, Serialize};

use crate::{
    Agreement, CodeRef, Compute, EngineVersion, ExecutionContext, GuestKind, Hash32, RequestId,
    ResourceLimits, live_request::LiveRequest, outcome::Supported, views::NamedCodeView,
};

pub use notices::{
    CodePublished, CodeRetired, ConfigSet, OwnerChanged, OwnerProposed, PauseChanged,
    RefundBounced, UpgradeMade, UpgradeProposed, WorkerRegistered, WorkerRemoved, WorkerSuspended,
};

/// The `standard` that every event names.
pub const STANDARD: &str = "outlayer";
/// The `version` that every event names.
pub const VERSION: &str = "1.0.0";

/// An event. A log has it as `EVENT_JSON:` followed by JSON, see [`Event::to_log`].
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
    /// A request was cancelled.
    #[serde(with = "single")]
    ExecutionCancelled(ExecutionCancelled),
    /// Too many of the workers that had to agree disagreed or stayed away.
    #[serde(with = "single")]
    ExecutionDisputed(ExecutionDisputed),
    /// A worker says that it executes a request that takes long.
    #[serde(with = "single")]
    ClaimMade(ClaimNotice),
    /// A worker that had claimed a request did not answer it in time.
    #[serde(with = "single")]
    ClaimMissed(ClaimNotice),
    /// A worker has committed to a digest.
    #[serde(with = "single")]
    CommitmentMade(CommitmentMade),
    /// A worker has revealed the digest that it had committed to.
    #[serde(with = "single")]
    DigestRevealed(DigestRevealed),
    /// What the workers agreed on is outdated, and another round begins.
    #[serde(with = "single")]
    RoundVoided(RoundVoided),
    /// The shares that were open after a settlement are closed.
    #[serde(with = "single")]
    SharesClosed(SharesClosed),
    /// The owner has set the terms of later requests.
    #[serde(with = "single")]
    ConfigSet(Box<ConfigSet>),
    /// The ownership was offered, or the offer taken back.
    #[serde(with = "single")]
    OwnerProposed(OwnerProposed),
    /// The ownership has passed to another account.
    #[serde(with = "single")]
    OwnerChanged(OwnerChanged),
    /// The contract was paused or unpaused.
    #[serde(with = "single")]
    PauseChanged(PauseChanged),
    /// An upgrade was announced, or the announcement taken back.
    #[serde(with = "single")]
    UpgradeProposed(UpgradeProposed),
    /// An upgrade was made.
    #[serde(with = "single")]
    UpgradeMade(UpgradeMade),
    /// A worker was registered, or its metadata changed.
    #[serde(with = "single")]
    WorkerRegistered(WorkerRegistered),
    /// A worker was suspended, or may work again.
    #[serde(with = "single")]
    WorkerSuspended(WorkerSuspended),
    /// A worker was removed.
    #[serde(with = "single")]
    WorkerRemoved(WorkerRemoved),
    /// A payment came back.
    #[serde(with = "single")]
    RefundBounced(RefundBounced),
    /// Code is published in full, or another account has adopted it.
    #[serde(with = "single")]
    CodePublished(CodePublished),
    /// A new version of a name stands for code.
    #[serde(with = "single")]
    CodeNamed(NamedCodeView),
    /// Code, or a version of a name, is withdrawn from new requests.
    #[serde(with = "single")]
    CodeRetired(CodeRetired),
}

/// A request was accepted. The event has the hash of the input, not the input itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct ExecutionRequested {
    /// The id of the request.
    pub request_id: RequestId,
    /// The code to run.
    pub code: CodeRef,
    /// The full name with version of which the code is; absent when the request named the code by
    /// its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_name: Option<String>,
    /// The kind of guest that the code must be; `None` has the kind detected from its bytes.
    pub kind: Option<GuestKind>,
    /// SHA-256 of the input.
    pub input_hash: Hash32,
    /// Length of the input, bytes.
    pub input_bytes: u32,
    /// The most that the execution may use.
    pub limits: ResourceLimits,
    /// How several workers agree on the answer; `None` where one approval is enough.
    pub agreement: Option<Agreement>,
    /// What the guest is told about its block and caller.
    pub context: ExecutionContext,
    /// The version of the engine that must execute the request.
    pub engine_version: EngineVersion,
    /// The last height at which an answer is accepted.
    pub deadline: u64,
    /// The most that the execution can cost, yoctoNEAR.
    pub max_fee: NearToken,
    /// What is set aside for the request's storage, yoctoNEAR.
    pub storage_reserve: NearToken,
}

impl From<&LiveRequest> for ExecutionRequested {
    fn from(request: &LiveRequest) -> Self {
        Self {
            request_id: request.id(),
            code: request.code.clone(),
            code_name: request.code_name.clone(),
            kind: request.kind,
            input_hash: request.input_hash,
            input_bytes: request.input_bytes,
            limits: request.limits,
            agreement: request.agreement.clone(),
            context: request.context.clone(),
            engine_version: request.terms.engine_version,
            deadline: request.terms.deadline,
            max_fee: request.terms.max_fee,
            storage_reserve: request.terms.storage_reserve,
        }
    }
}

impl ExecutionRequested {
    /// Whether this is the event of `request`, however far that has come since: workers may have
    /// voted, in several rounds.
    pub fn is_of(&self, request: &LiveRequest) -> bool {
        let mut expected = Self::from(request);
        if let (Some(now), Some(first)) = (&mut expected.agreement, &self.agreement)
            && now.is_continuation_of(first)
        {
            *now = first.clone();
        }
        *self == expected
    }
}

/// A worker's answer was settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct ExecutionCompleted {
    /// The id of the request.
    pub request_id: RequestId,
    /// The name of the outcome, see [`Outcome::name`](crate::Outcome::name).
    pub outcome: String,
    /// Digest of the record, computed by the contract.
    pub digest: Hash32,
    /// The worker that submitted the body.
    pub worker_id: AccountId,
    /// The workers that are paid: those that have revealed the digest so far.
    pub workers: Vec<AccountId>,
    /// SHA-256 of the output.
    pub output_hash: Hash32,
    /// Length of the output, bytes.
    pub output_bytes: u64,
    /// SHA-256 of the encoded plan; `None` where the guest planned nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<Hash32>,
    /// What the guest used, in the request's meter.
    pub used: Compute,
    /// What the execution cost, yoctoNEAR.
    pub fee: NearToken,
    /// What is kept for shares that are open, yoctoNEAR.
    pub held: NearToken,
    /// What goes back to the payer, yoctoNEAR.
    pub refund: NearToken,
}

/// Nobody answered in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct ExecutionTimedOut {
    /// The id of the request.
    pub request_id: RequestId,
    /// The last height at which an answer was accepted.
    pub deadline: u64,
    /// What void rounds cost, yoctoNEAR; 0 if there were none.
    pub fee: NearToken,
    /// What goes back to the payer, yoctoNEAR.
    pub refund: NearToken,
}

/// A request was cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct ExecutionCancelled {
    /// The id of the request.
    pub request_id: RequestId,
    /// What the cancelled request cost, yoctoNEAR: 0 if no worker had committed or claimed.
    pub fee: NearToken,
    /// What goes back to the payer, yoctoNEAR.
    pub refund: NearToken,
}

/// Too many of the workers that had to agree disagreed or stayed away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct ExecutionDisputed {
    /// The id of the request.
    pub request_id: RequestId,
    /// The digests that were revealed, each with the workers that revealed it.
    pub digests: Vec<Supported>,
    /// How many workers had to agree.
    pub approvals: u8,
    /// What void rounds and closing the request cost, yoctoNEAR.
    pub fee: NearToken,
    /// What goes back to the payer, yoctoNEAR.
    pub refund: NearToken,
}

/// A worker's claim of a request that takes long: that it was made, or that its worker did not
/// answer while it stood, and did not answer later either.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct ClaimNotice {
    /// The id of the request.
    pub request_id: RequestId,
    /// The worker.
    pub worker_id: AccountId,
    /// The first height at which the claim no longer stands.
    pub until: u64,
}

/// A worker has committed to a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct CommitmentMade {
    /// The id of the request.
    pub request_id: RequestId,
    /// The worker.
    pub worker_id: AccountId,
    /// The round that it takes part in.
    pub round: u32,
}

/// A worker has revealed the digest that it had committed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct DigestRevealed {
    /// The id of the request.
    pub request_id: RequestId,
    /// The worker.
    pub worker_id: AccountId,
    /// The digest.
    pub digest: Hash32,
    /// The round that it takes part in.
    pub round: u32,
}

/// What the workers agreed on is outdated, because a key that the execution read has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct RoundVoided {
    /// The id of the request.
    pub request_id: RequestId,
    /// The round that begins.
    pub round: u32,
    /// In this round storage is read as it stood after the block of this height.
    pub snapshot_height: u64,
}

/// The shares that were open after a settlement are closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct SharesClosed {
    /// The id of the request.
    pub request_id: RequestId,
    /// What was left and goes back to the payer, yoctoNEAR.
    pub refund: NearToken,
}

const PREFIX: &str = "EVENT_JSON:";

#[derive(Deserialize)]
struct Received {
    standard: String,
    #[serde(flatten)]
    event: Event,
}

impl Event {
    /// The event as a log line, in the form of NEP-297.
    pub fn to_log(&self) -> String {
        let (name, data) = self.parts();
        let mut writer = Writer::default();
        writer.raw(PREFIX);
        writer.open(b'{');
        writer.field("standard", &STANDARD);
        writer.field("version", &VERSION);
        writer.field("event", &name);
        // NEP-297's `data` is an array.
        writer.name("data");
        writer.open(b'[');
        data.write(&mut writer);
        writer.raw("]}");
        writer.into_string()
    }

    /// The name that the JSON has for the event, and its data.
    fn parts(&self) -> (&'static str, &dyn ToJson) {
        match self {
            Self::ExecutionRequested(data) => ("execution_requested", data),
            Self::ExecutionCompleted(data) => ("execution_completed", data),
            Self::ExecutionTimedOut(data) => ("execution_timed_out", data),
            Self::ExecutionCancelled(data) => ("execution_cancelled", data),
            Self::ExecutionDisputed(data) => ("execution_disputed", data),
            Self::ClaimMade(data) => ("claim_made", data),
            Self::ClaimMissed(data) => ("claim_missed", data),
            Self::CommitmentMade(data) => ("commitment_made", data),
            Self::DigestRevealed(data) => ("digest_revealed", data),
            Self::RoundVoided(data) => ("round_voided", data),
            Self::SharesClosed(data) => ("shares_closed", data),
            Self::ConfigSet(data) => ("config_set", data),
            Self::OwnerProposed(data) => ("owner_proposed", data),
            Self::OwnerChanged(data) => ("owner_changed", data),
            Self::PauseChanged(data) => ("pause_changed", data),
            Self::UpgradeProposed(data) => ("upgrade_proposed", data),
            Self::UpgradeMade(data) => ("upgrade_made", data),
            Self::WorkerRegistered(data) => ("worker_registered", data),
            Self::WorkerSuspended(data) => ("worker_suspended", data),
            Self::WorkerRemoved(data) => ("worker_removed", data),
            Self::RefundBounced(data) => ("refund_bounced", data),
            Self::CodePublished(data) => ("code_published", data),
            Self::CodeNamed(data) => ("code_named", data),
            Self::CodeRetired(data) => ("code_retired", data),
        }
    }

    /// The event in a log line. `None` when the line is not an event of this contract.
    pub fn from_log(line: &str) -> Option<Self> {
        let received: Received = serde_json::from_str(line.strip_prefix(PREFIX)?).ok()?;
        (received.standard == STANDARD).then_some(received.event)
    }
}

/// NEP-297's `data` is an array. Ours always has one element.
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
            fee: NearToken::from_yoctonear(0),
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

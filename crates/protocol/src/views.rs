//! What the contract's views answer, beyond types used elsewhere.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use near_token::NearToken;
use serde::{Deserialize, Serialize};

use crate::{
    Bytes, Config, ExecutionRequest, Hash32, RequestId,
    live_request::{LiveRequest, Phase},
    pricing::Quote,
};

/// `get_request`: a live request with its input.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct RequestView {
    /// The request.
    pub request: LiveRequest,
    /// Its input.
    pub input: Bytes,
}

/// `list_pending`: one live request, enough to decide whether to serve it.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct PendingView {
    /// The request.
    pub request_id: RequestId,
    /// Where it stands.
    pub phase: String,
    /// The engine that it needs.
    pub engine_version: crate::EngineVersion,
    /// The block that took it.
    pub block_height: u64,
    /// The last height at which an answer is accepted.
    pub deadline: u64,
    /// How many workers must agree.
    pub approvals: u8,
    /// Who has committed.
    pub committed: Vec<AccountId>,
}

impl From<&LiveRequest> for PendingView {
    fn from(request: &LiveRequest) -> Self {
        Self {
            request_id: request.id(),
            phase: request.phase.name().to_owned(),
            engine_version: request.terms.engine_version,
            block_height: request.context.block_height,
            deadline: request.terms.deadline,
            approvals: request.approvals,
            committed: request.commitments.iter().map(|one| one.worker_id.clone()).collect(),
        }
    }
}

impl PendingView {
    /// Whether the request takes an answer at this height, as
    /// [`LiveRequest::is_open`] says of the request itself.
    pub fn is_open(&self, height: u64) -> bool {
        self.phase == Phase::Pending.name() && height <= self.deadline
    }
}

/// `get_config`: the configuration and who governs it.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ConfigView {
    /// The owner.
    pub owner_id: AccountId,
    /// Whether new requests are refused.
    pub paused: bool,
    /// The configuration.
    pub config: Config,
}

/// `estimate_cost`: what a request must attach, yoctoNEAR.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostView {
    /// The most that the execution can cost.
    pub max_fee: NearToken,
    /// Held for the request's storage while it lives; always returned.
    pub storage_reserve: NearToken,
    /// The least deposit.
    pub total: NearToken,
}

impl From<Quote> for CostView {
    fn from(quote: Quote) -> Self {
        Self { max_fee: quote.max_fee, storage_reserve: quote.storage_reserve, total: quote.total }
    }
}

/// Money that the contract holds by purpose, yoctoNEAR; what its balance has beyond the sum and its own
/// storage stake is surplus (donations, gas rewards).
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct FundsView {
    /// Deposits of live requests.
    pub deposits: NearToken,
    /// Workers' earnings, not yet withdrawn.
    pub earnings: NearToken,
    /// The protocol's share, not yet withdrawn.
    pub protocol: NearToken,
    /// Refunds that bounced.
    pub claimable: NearToken,
    /// Namespaces' storage deposits.
    pub storage: NearToken,
    /// Deposits for published code.
    pub code: NearToken,
}

/// `get_code_info`: published code, or a publisher's pieces of it.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeInfoView {
    /// Its SHA-256.
    pub hash: Hash32,
    /// Whose it is.
    pub publisher_id: AccountId,
    /// Its size, bytes.
    pub total_bytes: u32,
    /// Bytes published; the rest is to come.
    pub published_bytes: u32,
    /// Whether its publisher has withdrawn it from new requests.
    #[serde(default)]
    pub retired: bool,
}

/// `get_worker`: a registered worker.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct WorkerView {
    /// The account that submits.
    pub worker_id: AccountId,
    /// Earned and not yet withdrawn, yoctoNEAR.
    pub earnings: NearToken,
    /// Answers settled.
    pub settled: u64,
    /// Commitments to digests that lost.
    pub lost: u64,
    /// Whether the owner has suspended it.
    pub suspended: bool,
    /// What the worker publishes about itself.
    pub metadata: String,
}

/// The argument object of `request_execution` and `estimate_cost`: `{"request": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestArgs {
    /// The request.
    pub request: ExecutionRequest,
}

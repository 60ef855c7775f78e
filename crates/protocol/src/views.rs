//! What the contract's views answer, beyond types used elsewhere.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use near_token::NearToken;
use serde::{Deserialize, Serialize};

use crate::{
    Bytes, Config, ExecutionRequest, Hash32, RequestId, machine::LiveRequest, pricing::Quote,
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

/// A node's view of a live request that contradicts itself: the node is broken, or it lies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The request was made of another contract.
    #[error(
        "the view of the request contradicts itself: its contract is {found}, expected {expected}"
    )]
    Contract {
        /// The contract in the request's context.
        found: AccountId,
        /// The contract that was asked.
        expected: AccountId,
    },
    /// The input is not the one that the request names.
    #[error(
        "the view of the request contradicts itself: its input has the SHA-256 {found}, \
         expected {expected}"
    )]
    Input {
        /// The hash of the input in the view.
        found: Hash32,
        /// The hash that the request names.
        expected: Hash32,
    },
    /// The arguments and environment variables are not the ones that the request names.
    #[error(
        "the view of the request contradicts itself: its arguments and environment have the hash \
         {found}, expected {expected}"
    )]
    ArgsEnv {
        /// The hash of those in the view.
        found: Hash32,
        /// The hash that the request names.
        expected: Hash32,
    },
}

impl RequestView {
    /// Checks what can be checked without trusting the node that gave the view: that the request
    /// was made of `contract_id`, and that its hashes are those of what it carries.
    ///
    /// # Errors
    /// The first [`ViewError`] found.
    pub fn check(&self, contract_id: &AccountId) -> Result<(), ViewError> {
        let request = &self.request;
        if request.context.contract_id != *contract_id {
            let found = request.context.contract_id.clone();
            return Err(ViewError::Contract { found, expected: contract_id.clone() });
        }
        let found = Hash32::of(&self.input);
        if found != request.input_hash {
            return Err(ViewError::Input { found, expected: request.input_hash });
        }
        let found = Hash32::of_borsh(&(&request.args, &request.env));
        if found != request.args_env_hash {
            return Err(ViewError::ArgsEnv { found, expected: request.args_env_hash });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_that_contradicts_itself_fails_its_check() {
        let request = crate::machine::sample();
        let contract_id = request.context.contract_id.clone();
        let view = RequestView { request, input: crate::request::sample().input };
        assert_eq!(view.check(&contract_id), Ok(()));

        let other: AccountId = "mallory.near".parse().unwrap();
        assert!(matches!(view.check(&other), Err(ViewError::Contract { .. })));
        let input = RequestView { input: "another input".into(), ..view.clone() };
        assert!(matches!(input.check(&contract_id), Err(ViewError::Input { .. })));
        let mut args = view;
        args.request.args.push("another argument".to_owned());
        assert!(matches!(args.check(&contract_id), Err(ViewError::ArgsEnv { .. })));
    }
}

//! What the contract's views return, where no type of another module says it.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use near_token::NearToken;
use outlayer_json::ToJson;
use serde::{Deserialize, Serialize};

use crate::{
    Bytes, CodeRef, Config, ExecutionRequest, Hash32,
    live_request::LiveRequest,
    pricing::{Fee, Quote},
};

/// A live request with its input, see [`RequestState`].
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(
    Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, ToJson, Deserialize,
)]
pub struct RequestView {
    /// The record of the request.
    pub request: LiveRequest,
    /// What the guest reads from its standard input.
    pub input: Bytes,
}

/// The result of `get_request`. In JSON: `{"live": {…}}`, `"settled"` or `"never_made"`.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// The request is not settled yet.
    Live(Box<RequestView>),
    /// The request has ended. `get_result` has its result if it asked for that.
    Settled,
    /// There was no request with this id yet.
    NeverMade,
}

impl RequestState {
    /// The request, if it is live.
    pub fn live(self) -> Option<RequestView> {
        match self {
            Self::Live(view) => Some(*view),
            Self::Settled | Self::NeverMade => None,
        }
    }
}

/// The result of `get_config`: the configuration and who governs it.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(
    Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, ToJson, Deserialize,
)]
pub struct ConfigView {
    /// The account that governs the contract.
    pub owner_id: AccountId,
    /// Whether the contract is paused and takes no new requests.
    pub paused: bool,
    /// The terms of new requests.
    pub config: Config,
}

/// The result of `estimate_cost`: the deposit that a request needs, yoctoNEAR.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct CostView {
    /// The most that the worker is paid that sends the response: its gas, and the bytes of input,
    /// output and journal.
    pub submit: NearToken,
    /// The most that each worker is paid that executes: the code, the compute, and for several
    /// approvals the gas of committing and revealing.
    pub share: NearToken,
    /// How many such shares there are.
    pub shares: u8,
    /// The part of each share that pays for downloading and compiling the code, as long as the
    /// request declares it.
    pub module_fee: NearToken,
    /// The most that each worker is paid for void rounds; 0 for one approval, or without reads.
    pub voided: NearToken,
    /// What whoever closes the request is paid; 0 for one approval.
    pub close: NearToken,
    /// The most that the execution can cost: `submit + (share + voided) x shares + close`.
    pub max_fee: NearToken,
    /// What is set aside for the request's storage while it lives. It always comes back.
    pub storage_reserve: NearToken,
    /// The part of `storage_reserve` that comes back only when the kept result is removed; 0 when
    /// the request has none kept.
    pub result_reserve: NearToken,
    /// The least deposit: `max_fee` and `storage_reserve` together.
    pub total: NearToken,
}

impl From<Quote> for CostView {
    fn from(quote: Quote) -> Self {
        let Quote { fee, max_fee, module_fee, storage_reserve, result_reserve, total, .. } = quote;
        let Fee { submit, share, shares, voided, close } = fee;
        Self {
            submit,
            share,
            shares,
            module_fee,
            voided,
            close,
            max_fee,
            storage_reserve,
            result_reserve,
            total,
        }
    }
}

/// The result of `get_funds`: the money that the contract holds, by purpose, in yoctoNEAR. What the
/// contract's balance has beyond the sum and its own storage stake is a surplus (donations, gas
/// rewards).
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    ToJson,
    Deserialize,
)]
pub struct FundsView {
    /// Deposits of live requests.
    pub deposits: NearToken,
    /// Shares of settled requests that workers may still take.
    pub shares: NearToken,
    /// What workers have earned and not yet withdrawn.
    pub earnings: NearToken,
    /// The protocol's share of fees, not yet withdrawn.
    pub protocol: NearToken,
    /// Payments that bounced and that nobody has claimed yet.
    pub claimable: NearToken,
    /// Storage deposits of namespaces.
    pub storage: NearToken,
    /// Deposits for published code.
    pub code: NearToken,
    /// What is held for results that are kept.
    pub results: NearToken,
}

/// NEP-145's balance of an account, yoctoNEAR.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct StorageBalance {
    /// The whole storage deposit.
    pub total: NearToken,
    /// The part of it that no stored byte needs.
    pub available: NearToken,
}

/// The result of `get_code_info`: published code, or the parts that a publisher has sent so far.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct CodeInfoView {
    /// SHA-256 of the code.
    pub hash: Hash32,
    /// The account that publishes the code.
    pub publisher_id: AccountId,
    /// The size of the whole code, bytes.
    pub total_bytes: u32,
    /// How many of its bytes are published.
    pub published_bytes: u32,
    /// Whether the publisher has withdrawn the code from new requests.
    #[serde(default)]
    pub retired: bool,
}

/// The result of `recent_code`: the code that was published or named last, the oldest first.
/// Workers compile it, so that the first request finds it compiled.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct RecentCodeView {
    /// The number from which to ask the next time: how many publications there have been.
    pub next: u64,
    /// The code. It may have been retired or deleted since.
    pub code: Vec<CodeRef>,
}

/// The result of `get_named_code`, and an item of `list_named_code`: what one version of a name
/// stands for.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct NamedCodeView {
    /// The full name with version, `owner/name@version`.
    pub name: String,
    /// SHA-256 of the code that it stands for.
    pub hash: Hash32,
    /// The address of the code; absent when it is published in the contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether the owner has withdrawn the version from new requests.
    pub retired: bool,
}

/// The result of `get_worker`: a registered worker.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(
    Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, ToJson, Deserialize,
)]
pub struct WorkerView {
    /// The account with which the worker submits.
    pub worker_id: AccountId,
    /// What it has earned and not yet withdrawn, yoctoNEAR.
    pub earnings: NearToken,
    /// How many of its answers were settled.
    pub settled: u64,
    /// How many of its commitments were to digests that lost.
    pub lost: u64,
    /// How many of its claims it did not answer in time.
    #[serde(default)]
    pub missed: u64,
    /// Whether the owner has suspended it.
    pub suspended: bool,
    /// What the owner has noted about it.
    pub metadata: String,
}

/// The arguments of `request_execution` and `estimate_cost`, in JSON: `{"request": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct RequestArgs {
    /// The request to make, or to ask about.
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
        let request = crate::live_request::sample();
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

//! What the contract keeps of a live request.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use near_token::NearToken;
use serde::{Deserialize, Serialize};

use crate::{
    CodeRef, Config, EngineVersion, ExecutionContext, ExecutionRequest, GuestKind, Hash32,
    RequestId, ResourceLimits, ResponseFormat,
    commitment::{Commitment, commitment},
    config::Prices,
    pricing::{PricingError, Quote},
    upload::Upload,
};

/// The terms under which a request was accepted; later changes of the configuration do not touch them.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Terms {
    /// The engine that executes it.
    pub engine_version: EngineVersion,
    /// The protocol version whose fees the gas meter uses.
    pub near_config_version: u32,
    /// Prices.
    pub prices: Prices,
    /// The protocol's share of the fee, in basis points.
    pub protocol_share_bps: u16,
    /// The most that the execution can cost, yoctoNEAR.
    pub max_fee: NearToken,
    /// Held for the request's storage, yoctoNEAR.
    pub storage_reserve: NearToken,
    /// Who gets refunds.
    pub payer: AccountId,
    /// The last height at which an answer is accepted; the yield times out in the block after it.
    pub deadline: u64,
    /// The first height at which anyone may sweep the request.
    pub sweep_from: u64,
}

/// Where a live request stands.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It waits for an answer.
    Pending,
    /// A response is staged and the yield resumed; the callback settles it.
    Staged {
        /// Digest of its record, as computed by the contract.
        digest: Hash32,
        /// Who submitted it.
        worker_id: AccountId,
        /// Who is paid: the submitter alone, or all whose commitments match.
        winners: Vec<AccountId>,
        /// SHA-256 of its output.
        output_hash: Hash32,
    },
    /// It was cancelled and the yield resumed; the callback settles it.
    Cancelling,
}

impl Phase {
    /// The phase's name, as in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Staged { .. } => "staged",
            Self::Cancelling => "cancelling",
        }
    }
}

/// A request that has not been settled. The input and a staged response's body, or its parts, are kept apart from it, so that
/// a step loads only what it needs.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct LiveRequest {
    /// What to run.
    pub code: CodeRef,
    /// The kind it must be.
    pub kind: Option<GuestKind>,
    /// Arguments.
    pub args: Vec<String>,
    /// The request's own environment variables.
    pub env: Vec<(String, String)>,
    /// SHA-256 over the borsh of arguments and environment.
    pub args_env_hash: Hash32,
    /// SHA-256 of the input.
    pub input_hash: Hash32,
    /// Length of the input.
    pub input_bytes: u32,
    /// What the execution may use.
    pub limits: ResourceLimits,
    /// How many workers must agree.
    pub approvals: u8,
    /// How the settlement is encoded.
    pub response_format: ResponseFormat,
    /// What the guest is told; holds the request's id.
    pub context: ExecutionContext,
    /// The terms.
    pub terms: Terms,
    /// Identifies the yield.
    pub data_id: Hash32,
    /// Where it stands.
    pub phase: Phase,
    /// Commitments, in the order in which they came.
    pub commitments: Vec<Commitment>,
    /// Digests of bodies that were submitted and fell short of the approvals, each with a commitment behind it. Nobody
    /// may commit to one of them any more: that would be copying.
    pub public_digests: Vec<Hash32>,
    /// The body that comes in parts, or that has come so and is staged.
    pub upload: Option<Upload>,
    /// Who had a turn at sending parts and lost it, oldest first, at most
    /// [`MOST_FORMER`](crate::upload::MOST_FORMER).
    pub former_uploaders: Vec<AccountId>,
}

impl LiveRequest {
    /// The live request that `request` becomes when it is accepted.
    ///
    /// # Errors
    /// [`PricingError`] when the input's length does not fit into 32 bits (no valid request's does).
    pub fn accept(
        config: &Config,
        request: &ExecutionRequest,
        context: ExecutionContext,
        quote: Quote,
        data_id: Hash32,
    ) -> Result<Self, PricingError> {
        let deadline = context.block_height.saturating_add(config.yield_timeout_blocks);
        Ok(Self {
            code: request.code.clone(),
            kind: request.kind,
            args: request.args.clone(),
            env: request.env.clone(),
            args_env_hash: request.args_env_hash(),
            input_hash: Hash32::of(&request.input),
            input_bytes: u32::try_from(request.input.len())
                .map_err(|_| PricingError { what: "input's length" })?,
            limits: request.limits,
            approvals: request.approvals,
            response_format: request.response_format,
            terms: Terms {
                engine_version: config.engine_version,
                near_config_version: config.near_config_version,
                prices: config.prices,
                protocol_share_bps: config.protocol_share_bps,
                max_fee: quote.max_fee,
                storage_reserve: quote.storage_reserve,
                payer: request.payer(&context.predecessor_id).clone(),
                deadline,
                sweep_from: deadline.saturating_add(config.sweep_delay_blocks),
            },
            context,
            data_id,
            phase: Phase::Pending,
            commitments: Vec::new(),
            public_digests: Vec::new(),
            upload: None,
            former_uploaders: Vec::new(),
        })
    }

    /// The request's id.
    pub fn id(&self) -> RequestId {
        self.context.request_id
    }

    /// The account whose storage namespace the execution reads and writes: the requester.
    pub fn namespace(&self) -> &AccountId {
        &self.context.predecessor_id
    }

    /// The account that gets refunds, and that may cancel besides the requester.
    pub fn payer(&self) -> &AccountId {
        &self.terms.payer
    }

    /// The hash of the code, where the code is published in the contract.
    pub fn published_code(&self) -> Option<Hash32> {
        self.code.url.is_none().then_some(self.code.hash)
    }

    /// What was attached to the request, yoctoNEAR.
    pub fn deposit(&self) -> NearToken {
        self.context.attached_deposit
    }

    /// Whether the deadline has passed at this height. The deadline's own block is still in time.
    pub fn is_expired(&self, height: u64) -> bool {
        height > self.terms.deadline
    }

    /// Whether the request takes an answer at this height: nobody has answered or cancelled it, and
    /// its deadline has not passed.
    pub fn is_open(&self, height: u64) -> bool {
        self.phase == Phase::Pending && !self.is_expired(height)
    }

    /// The workers whose commitments match `digest`, in the order in which they committed.
    pub fn supporters(&self, digest: &Hash32) -> Vec<&AccountId> {
        let matching =
            self.commitments.iter().filter(|one| one.hash == commitment(digest, &one.worker_id));
        matching.map(|one| &one.worker_id).collect()
    }
}

#[cfg(test)]
pub(crate) fn sample() -> LiveRequest {
    let (config, request) = (crate::config::sample(), crate::request::sample());
    let quote = crate::pricing::quote(
        &config,
        &request,
        NearToken::from_yoctonear(10_000_000_000_000_000_000),
    )
    .unwrap();
    LiveRequest::accept(&config, &request, crate::context::sample(), quote, Hash32::of(b"data id"))
        .unwrap()
}

//! Live requests: what the contract keeps of a request until it is settled.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use near_token::NearToken;
use serde::{Deserialize, Serialize};

use crate::{
    CancelBy, CodeRef, Config, EngineVersion, ExecutionContext, ExecutionRequest, GuestKind,
    Hash32, RequestId, ResourceLimits, ResponseFormat,
    commitment::{Commitment, commitment},
    config::Prices,
    pricing::{PricingError, Quote},
    upload::Upload,
};

/// The terms on which a request was accepted. Later changes of the configuration do not affect
/// them.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Terms {
    /// The version of the engine that must execute the request.
    pub engine_version: EngineVersion,
    /// The NEAR protocol version whose fees the gas meter uses.
    pub near_config_version: u32,
    /// The prices in force when the request was accepted.
    pub prices: Prices,
    /// The protocol's share of the fee, in basis points (1/10,000).
    pub protocol_share_bps: u16,
    /// The most that the execution can cost, yoctoNEAR.
    pub max_fee: NearToken,
    /// The part of the deposit that is set aside for the request's storage, yoctoNEAR. It always
    /// comes back.
    pub storage_reserve: NearToken,
    /// The account that gets refunds.
    pub payer: AccountId,
    /// The last height at which an answer is accepted. The yield times out in the next block at the
    /// earliest.
    pub deadline: u64,
    /// The first height at which anyone may sweep the request.
    pub sweep_from: u64,
}

/// How far a live request has come.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The request waits for an answer.
    Pending,
    /// A response is staged and the yield resumed. The callback settles the request.
    Staged {
        /// Digest of the response's record, computed by the contract.
        digest: Hash32,
        /// The worker that submitted the response.
        worker_id: AccountId,
        /// The workers that are paid: the submitter alone, or all whose commitments match.
        winners: Vec<AccountId>,
        /// SHA-256 of the response's output.
        output_hash: Hash32,
    },
    /// The request was cancelled and the yield resumed. The callback settles the request.
    Cancelling,
}

impl Phase {
    /// The name of the phase, as in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Staged { .. } => "staged",
            Self::Cancelling => "cancelling",
        }
    }
}

/// A request that has not been settled. Its input, and the body of a staged response or the parts
/// of it, are kept apart from this record, so that a step loads only what it needs.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct LiveRequest {
    /// The code to run.
    pub code: CodeRef,
    /// The kind of guest that the code must be; `None` has the kind detected from its bytes.
    pub kind: Option<GuestKind>,
    /// The guest's arguments.
    pub args: Vec<String>,
    /// The request's own environment variables.
    pub env: Vec<(String, String)>,
    /// SHA-256 over the borsh of arguments and environment.
    pub args_env_hash: Hash32,
    /// SHA-256 of the input.
    pub input_hash: Hash32,
    /// Length of the input, bytes.
    pub input_bytes: u32,
    /// The most that the execution may use.
    pub limits: ResourceLimits,
    /// How many workers must agree.
    pub approvals: u8,
    /// How many more workers than that execute the request; 0 where one approval is enough.
    pub spares: u8,
    /// Who may cancel the request.
    pub cancel_by: CancelBy,
    /// How many blocks after its settlement the result is kept.
    pub keep_result_blocks: u32,
    /// How the settlement is encoded for the caller.
    pub response_format: ResponseFormat,
    /// What the guest is told about its block and caller. It contains the request's id.
    pub context: ExecutionContext,
    /// The terms on which the request was accepted.
    pub terms: Terms,
    /// The node's name for the yield.
    pub data_id: Hash32,
    /// How far the request has come.
    pub phase: Phase,
    /// The commitments to digests, in the order in which they came.
    pub commitments: Vec<Commitment>,
    /// Digests of bodies that are public and not settled, each with a commitment to it. No worker
    /// may commit to one of them any more, since it could be copying.
    pub public_digests: Vec<Hash32>,
    /// The body that is coming in parts, or that came in parts and is staged.
    pub upload: Option<Upload>,
    /// The locks that are closed to new readers because an answer to this request was told to wait,
    /// by the hashes under which the contract keeps them. At most as many as the request may write
    /// keys.
    pub closed_locks: Vec<Hash32>,
    /// Workers that had a turn at sending parts and lost it, oldest first, at most
    /// [`MOST_FORMER`](crate::upload::MOST_FORMER).
    pub former_uploaders: Vec<AccountId>,
}

impl LiveRequest {
    /// The live request that `request` becomes when the contract accepts it.
    ///
    /// # Errors
    /// [`PricingError`] when the length of the input does not fit into 32 bits, which a valid
    /// request's does.
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
            spares: request.seats().saturating_sub(request.approvals),
            cancel_by: request.cancel_by,
            keep_result_blocks: request.keep_result_blocks,
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
            closed_locks: Vec::new(),
            former_uploaders: Vec::new(),
        })
    }

    /// The id of the request.
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

    /// What the namespace's owner pays to change a key directly while this request is live,
    /// yoctoNEAR: the most that an answer costs, since the change may have a worker execute once
    /// more. A request that reads no storage is not affected by a change.
    pub fn change_fee(&self) -> NearToken {
        if self.limits.storage_reads == 0 {
            return NearToken::from_yoctonear(0);
        }
        self.terms.max_fee
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

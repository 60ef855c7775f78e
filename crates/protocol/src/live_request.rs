//! Live requests: what the contract keeps of a request until it is settled.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use near_token::NearToken;
use outlayer_codec::{Decode, Encode};
use outlayer_json::ToJson;
use serde::{Deserialize, Serialize};

use crate::{
    Agreement, CancelBy, Claims, CodeRef, Config, EngineVersion, ExecutionContext,
    ExecutionRequest, GuestKind, Hash32, HttpAccess, HttpLimits, RequestId, ResourceLimits,
    ResponseFormat,
    config::Prices,
    pricing::{PricingError, Quote},
    request::args_env_bytes,
    secrets::LiveSecrets,
    upload::Upload,
};

/// The terms on which a request was accepted. Later changes of the configuration do not affect
/// them.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
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
    /// The price of a byte of contract storage, yoctoNEAR.
    pub byte_cost: NearToken,
    /// The part of `storage_reserve` that is held after settlement for a result that is kept,
    /// yoctoNEAR.
    pub result_reserve: NearToken,
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
        /// SHA-256 of the response's output.
        output_hash: Hash32,
    },
    /// The request was cancelled and the yield resumed. The callback settles the request.
    Cancelling,
    /// The workers cannot agree any more and the yield was resumed. The callback settles the
    /// request.
    Disputing {
        /// The worker that is paid for having closed the request, if there is one.
        closer: Option<AccountId>,
    },
}

impl Phase {
    /// The name of the phase, as in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Staged { .. } => "staged",
            Self::Cancelling => "cancelling",
            Self::Disputing { .. } => "disputing",
        }
    }
}

/// A request that has not been settled. Its input, and the body of a staged response or the parts
/// of it, are kept apart from this record, so that a step loads only what it needs.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
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
pub struct LiveRequest {
    // What the index of live requests shows comes first, and what may be long behind it:
    // `PendingEntry::of_record` reads no further.
    /// What the guest is told about its block and caller. It contains the request's id.
    pub context: ExecutionContext,
    /// The terms on which the request was accepted.
    pub terms: Terms,
    /// The code to run.
    pub code: CodeRef,
    /// The kind of guest that the code must be; `None` has the kind detected from its bytes.
    pub kind: Option<GuestKind>,
    /// The most that the execution may use.
    pub limits: ResourceLimits,
    /// The secrets that the guest is given; `None` for none.
    pub secrets: Option<LiveSecrets>,
    /// How several workers agree on the answer; `None` where one approval is enough.
    pub agreement: Option<Agreement>,
    /// The workers that have claimed the request; `None` where it takes no claims, because several
    /// workers must agree or its execution is not long.
    pub claims: Option<Claims>,
    /// The full name with version, `owner/name@version`, of which the code is; `None` when the
    /// request named the code by its hash.
    pub code_name: Option<String>,
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
    /// What the guest may reach over HTTP; `None` for nothing.
    pub http: Option<HttpAccess>,
    /// Who may cancel the request.
    pub cancel_by: CancelBy,
    /// How many blocks after its settlement the result is kept.
    pub keep_result_blocks: u32,
    /// How the settlement is encoded for the caller.
    pub response_format: ResponseFormat,
    /// The node's name for the yield.
    pub data_id: Hash32,
    /// How far the request has come.
    pub phase: Phase,
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

/// What a request stands for when the contract accepts it, and for as long as it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The code.
    pub code: CodeRef,
    /// The full name with version of which the code is, where the request names it.
    pub code_name: Option<String>,
    /// The secrets, and who may be given them; `None` for none.
    pub secrets: Option<LiveSecrets>,
    /// The workers that were drawn for a request that asks for several approvals.
    pub drawn: Vec<AccountId>,
}

impl From<CodeRef> for Pinned {
    /// Code that the request names by its hash, without secrets, for one approval.
    fn from(code: CodeRef) -> Self {
        Self { code, code_name: None, secrets: None, drawn: Vec::new() }
    }
}

impl LiveRequest {
    /// The live request that `request` becomes when the contract accepts it, with what it stands
    /// for now.
    ///
    /// # Errors
    /// [`PricingError`] when the length of the input does not fit into 32 bits, which a valid
    /// request's does.
    pub fn accept(
        config: &Config,
        request: &ExecutionRequest,
        pinned: Pinned,
        context: ExecutionContext,
        quote: Quote,
        data_id: Hash32,
    ) -> Result<Self, PricingError> {
        let Pinned { code, code_name, secrets, drawn } = pinned;
        let agreement = (request.approvals > 1).then(|| {
            let (approvals, turn_blocks) =
                (request.approvals, config.turn_blocks(&request.limits, request.http_limits()));
            Agreement::new(approvals, request.seats(), turn_blocks, drawn, context.block_height)
        });
        let deadline = context.block_height.saturating_add(config.yield_timeout_blocks);
        Ok(Self {
            code,
            code_name,
            kind: request.kind,
            args: request.args.clone(),
            env: request.env.clone(),
            args_env_hash: request.args_env_hash(),
            input_hash: Hash32::of(&request.input),
            input_bytes: u32::try_from(request.input.len())
                .map_err(|_| PricingError::Overflow { what: "input's length" })?,
            limits: request.limits,
            http: request.http.clone(),
            secrets,
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
                byte_cost: quote.byte_cost,
                result_reserve: quote.result_reserve,
                payer: request.payer(&context.predecessor_id).clone(),
                deadline,
                sweep_from: deadline.saturating_add(config.sweep_delay_blocks),
            },
            context,
            data_id,
            phase: Phase::Pending,
            agreement,
            claims: config.claims(request),
            upload: None,
            closed_locks: Vec::new(),
            former_uploaders: Vec::new(),
        })
    }

    /// The id of the request.
    pub fn id(&self) -> RequestId {
        self.context.request_id
    }

    /// The numbers of what it says about HTTP.
    pub fn http_limits(&self) -> HttpLimits {
        self.http.as_ref().into()
    }

    /// Whether this account may answer, as far as secrets decide it: it is given all of them, or
    /// there are none.
    pub fn entitles(&self, worker_id: &AccountId) -> bool {
        self.secrets.as_ref().is_none_or(|secrets| secrets.recipients.contains(worker_id))
    }

    /// Whether nobody else can check what the guest saw: it reached the network, or was given
    /// secrets that may have been sealed differently to each worker.
    pub fn is_unprovable(&self) -> bool {
        self.http.is_some() || self.secrets.is_some()
    }

    /// The account whose storage namespace the execution reads and writes: the requester.
    pub fn namespace(&self) -> &AccountId {
        &self.context.predecessor_id
    }

    /// The account that gets refunds, and that may cancel where the request lets it.
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

    /// How many workers must agree.
    pub fn approvals(&self) -> u8 {
        self.agreement.as_ref().map_or(1, |agreement| agreement.approvals)
    }

    /// How many workers execute the request.
    pub fn seats(&self) -> u8 {
        self.agreement.as_ref().map_or(1, |agreement| agreement.seats)
    }

    /// Bytes of arguments, environment, URL, name, hosts and secrets.
    /// [`ExecutionRequest::text_bytes`] is no less.
    pub fn text_bytes(&self) -> u64 {
        let name = self.code_name.as_ref().map_or(0, |name| name.len() as u64);
        let hosts = self.http.as_ref().map_or(0, HttpAccess::text_bytes);
        let secrets = self.secrets.as_ref().map_or(0, LiveSecrets::record_bytes);
        args_env_bytes(&self.args, &self.env) + self.code.url_bytes() + name + hosts + secrets
    }
}

#[cfg(test)]
pub(crate) fn sample() -> LiveRequest {
    sample_of(1, Vec::new())
}

/// A request for this many approvals and one spare.
#[cfg(test)]
pub(crate) fn sample_of(approvals: u8, drawn: Vec<AccountId>) -> LiveRequest {
    sample_with(drawn, |request| request.approvals = approvals)
}

/// A request whose execution takes so long that it takes claims.
#[cfg(test)]
pub(crate) fn long_sample() -> LiveRequest {
    sample_with(Vec::new(), |request| request.limits.compute = crate::Compute::Fuel(3_000_000_000))
}

#[cfg(test)]
fn sample_with(drawn: Vec<AccountId>, change: impl FnOnce(&mut ExecutionRequest)) -> LiveRequest {
    let (config, mut request) = (crate::config::sample(), crate::request::sample());
    request.limits = request.limits.with_storage(8, 4, 4 << 10);
    change(&mut request);
    let byte_cost = NearToken::from_yoctonear(10_000_000_000_000_000_000);
    let quote = crate::pricing::quote(&config, &request, None, 100, byte_cost).unwrap();
    let code = CodeRef { hash: Hash32::of(b"code"), url: None };
    let pinned = Pinned { drawn, ..code.into() };
    let (context, data_id) = (crate::context::sample(), Hash32::of(b"data id"));
    LiveRequest::accept(&config, &request, pinned, context, quote, data_id).unwrap()
}

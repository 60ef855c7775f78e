//! Requests that were live in layout 2 when the code was upgraded. They end by the rules of this
//! code, and for the money that they were made for.
//!
//! Their records stay as they are until something happens to them: there may be more than one call
//! can rewrite. [`Former`] is read where this code finds no record of its own, and becomes a
//! [`LiveRequest`].

use near_sdk::{AccountId, NearToken, env};
use outlayer_codec::{Decode, Error};
use outlayer_protocol::{
    Agreement, CancelBy, CodeRef, EngineVersion, ExecutionContext, ExecutionResponse, GuestKind,
    Hash32, RequestId, ResponseFormat,
    agreement::Vote,
    config::Prices,
    machine::{LiveRequest, Phase, Terms},
    upload::Upload,
};

use super::{Limits2, Prices2};
use crate::store::{self, Prefix, position_bytes};

/// The most live requests whose index can be taken apart in one call.
pub(crate) const MOST_LISTED: u32 = 200;

/// Deletes the entries that the index of layout 2 has for its live requests. Gives the smallest id
/// among them.
pub(crate) fn take_index_apart(live_requests: u32) -> Option<RequestId> {
    let listed = (0..live_requests).filter_map(|position| {
        let slot = store::key(Prefix::FormerLiveSlot, &[&position_bytes(position)]);
        let id = env::storage_read(&slot)?;
        store::remove(&slot);
        store::remove(&store::key(Prefix::FormerLivePosition, &[&id]));
        Some(RequestId::from_be_bytes(id.try_into().ok()?))
    });
    listed.min()
}

/// The record of a live request in layout 2.
#[derive(Decode)]
#[cfg_attr(test, derive(outlayer_codec::Encode))]
pub(crate) struct Former {
    pub(crate) code: CodeRef,
    pub(crate) kind: Option<GuestKind>,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) args_env_hash: Hash32,
    pub(crate) input_hash: Hash32,
    pub(crate) input_bytes: u32,
    pub(crate) limits: Limits2,
    pub(crate) approvals: u8,
    pub(crate) response_format: ResponseFormat,
    pub(crate) context: ExecutionContext,
    pub(crate) terms: FormerTerms,
    pub(crate) data_id: Hash32,
    pub(crate) phase: FormerPhase,
    /// Each is a worker and a hash without a salt. They could be copied, so they count no more.
    #[cfg_attr(not(test), expect(dead_code, reason = "the encoding has it"))]
    pub(crate) commitments: Vec<(AccountId, Hash32)>,
    #[cfg_attr(not(test), expect(dead_code, reason = "the encoding has it"))]
    pub(crate) public_digests: Vec<Hash32>,
    pub(crate) upload: Option<Upload>,
    pub(crate) former_uploaders: Vec<AccountId>,
}

/// The terms of a request in layout 2.
#[derive(Decode)]
#[cfg_attr(test, derive(outlayer_codec::Encode))]
pub(crate) struct FormerTerms {
    pub(crate) engine_version: EngineVersion,
    pub(crate) near_config_version: u32,
    pub(crate) prices: Prices2,
    pub(crate) protocol_share_bps: u16,
    pub(crate) max_fee: NearToken,
    pub(crate) storage_reserve: NearToken,
    pub(crate) payer: AccountId,
    pub(crate) deadline: u64,
    pub(crate) sweep_from: u64,
}

/// These requests declared no code. They may have as much as the engine took then, at no price.
const FORMER_MODULE_BYTES: u32 = 4 << 20;

/// How far a request had come in layout 2.
#[derive(Decode)]
#[cfg_attr(test, derive(outlayer_codec::Encode))]
pub(crate) enum FormerPhase {
    Pending,
    Staged { digest: Hash32, worker_id: AccountId, winners: Vec<AccountId>, output_hash: Hash32 },
    Cancelling,
}

/// The response that is staged for a request, also in the form of layout 2, which had no plan and
/// no transcript: it ends where those of no bytes begin, so no response of this code is read in
/// that form.
///
/// # Errors
/// When it has neither form.
pub(crate) fn staged_body(body: &[u8]) -> Result<ExecutionResponse, Error> {
    match outlayer_codec::from_slice(body) {
        Err(Error::TooShort) => outlayer_codec::from_slice(&[body, &NOTHING_MORE].concat()),
        read => read,
    }
}

/// The encoding of a plan and a transcript of no bytes.
const NOTHING_MORE: [u8; 8] = [0; 8];

impl From<Former> for LiveRequest {
    fn from(old: Former) -> Self {
        let max_module_bytes = FORMER_MODULE_BYTES;
        let height = old.context.block_height;
        let (phase, agreed) = match old.phase {
            FormerPhase::Pending => (Phase::Pending, None),
            FormerPhase::Cancelling => (Phase::Cancelling, None),
            FormerPhase::Staged { digest, worker_id, winners, output_hash } => {
                (Phase::Staged { digest, worker_id, output_hash }, Some((digest, winners)))
            }
        };
        let paid = agreed.as_ref().map_or(1, |(_, winners)| winners.len().max(1));
        let agreement =
            (old.approvals > 1).then(|| agreement(old.approvals, height, agreed.as_ref()));
        let terms = old.terms;
        Self {
            code: old.code,
            code_name: None,
            kind: old.kind,
            args: old.args,
            env: old.env,
            args_env_hash: old.args_env_hash,
            input_hash: old.input_hash,
            input_bytes: old.input_bytes,
            limits: old.limits.with_module_and_plan_bytes(max_module_bytes, 0),
            http: None,
            secrets: None,
            cancel_by: CancelBy::Payer,
            keep_result_blocks: 0,
            response_format: old.response_format,
            context: old.context,
            terms: Terms {
                engine_version: terms.engine_version,
                near_config_version: terms.near_config_version,
                prices: prices(&terms.prices, paid, max_module_bytes),
                protocol_share_bps: terms.protocol_share_bps,
                max_fee: terms.max_fee,
                storage_reserve: terms.storage_reserve,
                result_reserve: NearToken::ZERO,
                byte_cost: NearToken::ZERO,
                payer: terms.payer,
                deadline: terms.deadline,
                sweep_from: terms.sweep_from,
            },
            data_id: old.data_id,
            phase,
            agreement,
            claims: None,
            upload: old.upload,
            former_uploaders: old.former_uploaders,
            closed_locks: Vec::new(),
        }
    }
}

/// The former fee in the form of today's: a base fee and a price of compute, both of which the
/// workers that are paid share, and a price of bytes. The base fee is the price of the code, which
/// had none.
fn prices(old: &Prices2, paid: usize, max_module_bytes: u32) -> Prices {
    let paid = u128::try_from(paid).unwrap_or(u128::MAX);
    let share = |price: NearToken| price.saturating_div(paid);
    Prices {
        gas_price: NearToken::ZERO,
        per_fuel: share(old.per_fuel),
        per_gas: share(old.per_gas),
        per_byte: old.per_byte,
        per_module_byte: share(old.base_fee).saturating_div(max_module_bytes.into()),
        per_exchange: NearToken::ZERO,
    }
}

/// An agreement that is over. With an answer that was agreed on, it is that of the workers that are
/// paid for it. Without one nobody has a seat, because the commitments of layout 2 could be copied:
/// anyone may close the request, and everything goes back.
fn agreement(approvals: u8, height: u64, agreed: Option<&(Hash32, Vec<AccountId>)>) -> Agreement {
    let winners = agreed.map_or(&[][..], |(_, winners)| winners);
    let seats = u8::try_from(winners.len()).unwrap_or(u8::MAX).max(1);
    let mut agreement = Agreement::new(approvals, seats, 1, winners.to_vec(), height);
    let vote = |drawn| Vote {
        drawn,
        commitment: Hash32::default(),
        digest: agreed.map(|(digest, _)| *digest),
    };
    agreement.votes = (0..seats).take(winners.len()).map(vote).collect();
    agreement.full_since = Some(height);
    agreement
}

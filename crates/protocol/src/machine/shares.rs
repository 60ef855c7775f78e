//! What stays of a settled request: shares of its fee that workers may still take by a reveal.
//!
//! An answer is settled as soon as enough workers have revealed it. The others have worked too, and
//! may reveal until their time is over. Until then their shares are kept.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use near_token::NearToken;
use outlayer_codec::{Decode, Encode};
use outlayer_json::ToJson;
use serde::{Deserialize, Serialize};

use super::{Effect, Purse, Reason, Refusal, settle::pay_worker};
use crate::{
    Agreement, Hash32, RequestId,
    agreement::Stage,
    commitment::Salt,
    events::{DigestRevealed, Event, SharesClosed},
};

const NOTHING: NearToken = NearToken::from_yoctonear(0);

/// The open shares of a settled request.
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
pub struct OpenShares {
    /// The id of the request. It comes first, so that the contract finds it without decoding the
    /// rest.
    pub request_id: RequestId,
    /// The account that gets what is left.
    pub payer: AccountId,
    /// The digest that was settled.
    pub digest: Hash32,
    /// The agreement, with the commitments that are not revealed yet.
    pub agreement: Agreement,
    /// Whether nobody can check what each worker saw, because the execution may have used HTTP or
    /// was given secrets. Then no worker loses by another digest.
    pub unprovable: bool,
    /// What a worker that reveals the digest is paid, yoctoNEAR, with the protocol's share.
    pub share: NearToken,
    /// The protocol's share, in basis points (1/10,000).
    pub protocol_share_bps: u16,
    /// What the worker is paid that closes the shares, by the last reveal or later, yoctoNEAR, with
    /// the protocol's share.
    pub close_fee: NearToken,
    /// All money that is kept, yoctoNEAR: the shares, the fee for closing, and what the storage of
    /// this entry costs.
    pub held: NearToken,
}

/// What becomes of open shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharesStep {
    /// There are still some.
    Open(Box<OpenShares>, Vec<Effect<'static>>),
    /// They are closed.
    Closed(Vec<Effect<'static>>),
}

/// Bytes of state of open shares besides their encoding: the rest of their entry in the list, and
/// the entry with their position there.
const ENTRY_BYTES: u64 = (40 + 1 + 4) + (40 + 1 + 8 + 4);

impl OpenShares {
    /// Bytes of contract state that this entry takes at the most.
    pub(super) fn stored_bytes(&self) -> u64 {
        ENTRY_BYTES
            + outlayer_codec::to_vec(self).len() as u64
            + 32 * self.agreement.votes.len() as u64
    }

    fn unrevealed(&self) -> impl Iterator<Item = &AccountId> {
        self.agreement.voters(|vote| vote.digest.is_none())
    }

    /// Takes a reveal, and pays a share for it if it is of the digest that was settled. The last
    /// one closes the shares, which costs its worker as much gas as closing them later, so it is
    /// paid for that, whatever it reveals.
    ///
    /// # Errors
    /// A [`Refusal`]; the caller keeps the state it had.
    pub fn reveal(
        mut self,
        worker_id: &AccountId,
        digest: Hash32,
        salt: &Salt,
        height: u64,
    ) -> Result<SharesStep, Refusal> {
        let request_id = self.request_id;
        let taken = self.agreement.reveal(worker_id, digest, salt, height);
        taken.map_err(|error| Refusal { request_id, reason: error.into() })?;
        let (round, worker) = (self.agreement.round, worker_id.clone());
        let event = DigestRevealed { request_id, worker_id: worker, digest, round };
        let mut effects = vec![Effect::Emit(Event::DigestRevealed(event))];
        let is_last = self.unrevealed().next().is_none();
        let mut due = if is_last { self.close_fee } else { NOTHING };
        if digest == self.digest {
            due = due.saturating_add(self.share);
            effects.push(Effect::CountSettled(worker_id.clone()));
        }
        if due > NOTHING {
            effects.extend(self.pay(worker_id, due));
        }
        if is_last {
            return Ok(self.closed(effects));
        }
        Ok(SharesStep::Open(Box::new(self), effects))
    }

    /// Closes the shares once no reveal is taken any more. `closer` is the worker that is paid for
    /// it, if it is one.
    ///
    /// # Errors
    /// A [`Refusal`]: it is too early.
    pub fn close(mut self, closer: Option<&AccountId>, height: u64) -> Result<SharesStep, Refusal> {
        if self.agreement.stage(height) != Stage::Over {
            let (request_id, until) = (self.request_id, self.agreement.reveal_until());
            return Err(Refusal { request_id, reason: Reason::SharesOpen { until, height } });
        }
        let effects = closer.map_or_else(Vec::new, |closer| self.pay(closer, self.close_fee));
        Ok(self.closed(effects))
    }

    /// Pays a worker out of what is held.
    fn pay(&mut self, worker_id: &AccountId, amount: NearToken) -> Vec<Effect<'static>> {
        let amount = amount.min(self.held);
        self.held = self.held.saturating_sub(amount);
        pay_worker(Purse::Shares, worker_id, amount, self.protocol_share_bps)
    }

    /// Returns what is left, and counts the seats that lost.
    fn closed(self, mut effects: Vec<Effect<'static>>) -> SharesStep {
        let lost = self.agreement.lost(self.digest, self.unprovable);
        effects.extend(lost.map(|worker_id| Effect::CountLoss(worker_id.clone())));
        effects.push(Effect::DropShares(self.request_id));
        if self.held > NOTHING {
            effects.push(Effect::Refund(Purse::Shares, self.payer.clone(), self.held));
        }
        let (request_id, refund) = (self.request_id, self.held);
        effects.push(Effect::Emit(Event::SharesClosed(SharesClosed { request_id, refund })));
        SharesStep::Closed(effects)
    }
}

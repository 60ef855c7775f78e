//! Where a request's deposit went.

use outlayer_protocol::{
    AccountId, NearToken, Settlement, events::RefundBounced, pricing::protocol_share,
};

use crate::{At, ChainError, Contract, RequestTrace, SettledTrace};

/// What became of a request's deposit, to the yocto.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// What was attached to the request.
    pub attached: NearToken,
    /// What the request cost.
    pub fee: NearToken,
    /// What went back at once.
    pub refund: NearToken,
    /// What is held for open shares, and for the bytes of a result that is kept.
    pub held: NearToken,
    /// The account that got the refund; `None` when the node does not show the request any more.
    pub payer: Option<AccountId>,
    /// The workers that were paid.
    pub workers: Vec<AccountId>,
    /// What the one worker was paid; `None` where several were, or the terms are not known.
    pub worker_paid: Option<NearToken>,
    /// The protocol's share of that.
    pub protocol: Option<NearToken>,
    /// Payments that came back.
    pub bounced: Vec<RefundBounced>,
}

impl Money {
    /// Whether every yocto of the deposit is accounted for.
    pub fn adds_up(&self) -> bool {
        let parts = [self.refund, self.held];
        let sum = parts.iter().try_fold(self.fee, |sum, part| sum.checked_add(*part));
        sum == Some(self.attached)
    }
}

/// Where the deposit of a settled request went. The payer and the terms are those that the request
/// had in the block before its callback.
///
/// # Errors
/// [`ChainError`], but not for a block that the node has deleted.
pub async fn money(
    contract: &Contract,
    request: &RequestTrace,
    settled: &SettledTrace,
) -> Result<Money, ChainError> {
    let request_id = request.requested.request_id;
    let view = async {
        let callback = contract.node().block(At::Hash(settled.block)).await?;
        contract.request(request_id, At::Hash(callback.prev_hash)).await
    };
    let view = match view.await {
        Err(ChainError::UnknownBlock { .. }) => None,
        found => found?,
    };
    let Settlement { fee, refund, held, .. } = settled.settlement.clone();
    let one = settled.workers.len() == 1 && request.requested.agreement.is_none();
    let bps = view.as_ref().filter(|_| one).map(|view| view.request.terms.protocol_share_bps);
    let protocol = bps.map(|bps| protocol_share(fee, bps));
    Ok(Money {
        attached: request.requested.context.attached_deposit,
        fee,
        refund,
        held,
        payer: view.map(|view| view.request.payer().clone()),
        workers: settled.workers.clone(),
        worker_paid: protocol.map(|share| fee.saturating_sub(share)),
        protocol,
        bounced: settled.bounced.clone(),
    })
}

//! Where a request's deposit went.

use outlayer_protocol::{
    AccountId, NearToken, Settlement,
    events::RefundBounced,
    machine::{OpenShares, Paid},
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
    /// The shares of workers that could still reveal after the settlement; `None` when there were
    /// none, or the node does not have that block any more.
    pub open_shares: Option<OpenShares>,
    /// The account that got the refund; `None` when the node does not show the request any more.
    pub payer: Option<AccountId>,
    /// How the fee was divided; `None` when the node does not show the request any more.
    pub paid: Option<Paid>,
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
    let looked = async {
        let callback = contract.node().block(At::Hash(settled.block)).await?;
        let view = contract.request(request_id, At::Hash(callback.prev_hash)).await?;
        let may_be_open = request.requested.agreement.is_some() && settled.completed.is_some();
        let open_shares = match may_be_open {
            true => contract.shares(request_id, At::Hash(settled.block)).await?,
            false => None,
        };
        Ok((view.map(|view| (view, callback.height)), open_shares))
    };
    let (view, open_shares) = match looked.await {
        Err(ChainError::UnknownBlock { .. }) => (None, None),
        found => found?,
    };
    let settlement = &settled.settlement;
    let Settlement { fee, refund, held, .. } = *settlement;
    let paid = view.as_ref().and_then(|(view, height)| {
        view.request.paid(settlement, settled.completed.as_ref(), *height)
    });
    Ok(Money {
        attached: request.requested.context.attached_deposit,
        fee,
        refund,
        held,
        open_shares,
        payer: view.map(|(view, _)| view.request.payer().clone()),
        paid,
        bounced: settled.bounced.clone(),
    })
}

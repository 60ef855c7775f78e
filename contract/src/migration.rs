//! Former layouts of the state, and how each becomes the one that the code reads.
//!
//! The number of the layout is raised when anything that is stored changes its form. What a live
//! request has stored (its record, a staged response, locks) is not migrated: it would have to be
//! found and rewritten within the gas of one call. Where that form has changed, the migration is
//! refused while any request lives. All requests have ended some time after the owner has paused
//! the contract.

use borsh::BorshDeserialize;
use near_sdk::{AccountId, env};
use outlayer_protocol::{Config, RequestId};

use crate::{Contract, ContractError, Funds, LAYOUT, state::Upgrade};

/// The contract's own state in layout 1.
#[derive(BorshDeserialize)]
struct Layout1 {
    _layout: u16,
    owner_id: AccountId,
    proposed_owner_id: Option<AccountId>,
    paused: bool,
    config: Config,
    next_request_id: RequestId,
    live_requests: u32,
    registered_workers: u32,
    tenant_bytes: u64,
    funds: Funds,
    upgrade: Option<Upgrade>,
}

/// Migrates layout 1. It differs in three things:
///
/// * It did not know how long requests live. None lives now, so the next announced upgrade need not
///   wait for any.
/// * Its locks had no readers. There are no locks without live requests.
/// * It did not count claimable payments among the bytes that a pot pays for. The ones that are
///   there stay uncounted, so the contract needs a little more money of its own than it should.
pub(crate) fn from_layout_1(state: &[u8]) -> Result<Contract, ContractError> {
    let Ok(old) = Layout1::try_from_slice(state) else {
        return Err(ContractError::Layout { found: Some(1) });
    };
    if old.live_requests > 0 {
        return Err(ContractError::LiveRequests { found: old.live_requests });
    }
    Ok(Contract {
        layout: LAYOUT,
        owner_id: old.owner_id,
        proposed_owner_id: old.proposed_owner_id,
        paused: old.paused,
        config: old.config,
        next_request_id: old.next_request_id,
        live_requests: 0,
        registered_workers: old.registered_workers,
        tenant_bytes: old.tenant_bytes,
        funds: old.funds,
        upgrade: old.upgrade,
        live_until: env::block_height(),
    })
}

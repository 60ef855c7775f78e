//! Former layouts of the state, and how each becomes the one that the code reads.
//!
//! The number of the layout is raised when anything that is stored changes its form. What a live
//! request has stored (its record, a staged response, locks) is not migrated: it would have to be
//! found and rewritten within the gas of one call. Where that form has changed, the migration is
//! refused while any request lives. All requests have ended some time after the owner has paused
//! the contract.

use borsh::BorshDeserialize;
use near_sdk::{AccountId, NearToken, env};
use outlayer_protocol::{
    Compute, Config, EngineVersion, RequestId, ResourceLimits,
    config::{Prices, RequestBounds},
};

use crate::{Contract, ContractError, Funds, LAYOUT, state::Upgrade};

/// The prices in layouts 1 and 2.
#[derive(BorshDeserialize)]
struct Prices2 {
    #[expect(dead_code, reason = "the price of gas has taken its place")]
    base_fee: NearToken,
    per_fuel: NearToken,
    per_gas: NearToken,
    per_byte: NearToken,
}

/// The largest limits in layouts 1 and 2.
#[derive(BorshDeserialize)]
struct Limits2 {
    compute: Compute,
    memory_bytes: u64,
    table_elements: u32,
    instances: u32,
    output_bytes: u32,
    log_bytes: u32,
    journal_bytes: u32,
    storage_reads: u32,
    storage_writes: u32,
    host_calls: u64,
}

/// The configuration in layouts 1 and 2.
#[derive(BorshDeserialize)]
struct Config2 {
    engine_version: EngineVersion,
    near_config_version: u32,
    prices: Prices2,
    protocol_share_bps: u16,
    max_fuel: u64,
    max_gas: u64,
    limits: Limits2,
    input_bytes: u32,
    args_env_bytes: u32,
    url_bytes: u32,
    approvals: u8,
    yield_timeout_blocks: u64,
    sweep_delay_blocks: u64,
}

/// The contract's own state in layout 1. Layout 2 has [`Contract::live_until`] after it.
#[derive(BorshDeserialize)]
struct Layout1 {
    layout: u16,
    owner_id: AccountId,
    proposed_owner_id: Option<AccountId>,
    paused: bool,
    config: Config2,
    next_request_id: RequestId,
    live_requests: u32,
    registered_workers: u32,
    tenant_bytes: u64,
    /// Layout 3 has the pot of kept results after these.
    funds: [NearToken; 6],
    upgrade: Option<Upgrade>,
}

/// Migrates layouts 1 and 2.
///
/// In layout 2 requests declared no length of their code, which had no price and no bound of the
/// owner's, and nothing bounded how long an execution may take. The owner's numbers stay as they
/// are, and the new ones are those of a new deployment.
///
/// Layout 1 differs from layout 2 in three things:
///
/// * It did not know how long requests live. None lives now, so the next announced upgrade need not
///   wait for any.
/// * Its locks had no readers. There are no locks without live requests.
/// * It did not count claimable payments among the bytes that a pot pays for. The ones that are
///   there stay uncounted, so the contract needs a little more money of its own than it should.
pub(crate) fn migrate(state: &[u8]) -> Result<Contract, ContractError> {
    let mut rest = state;
    let old = Layout1::deserialize(&mut rest);
    let live_until = match &old {
        Ok(Layout1 { layout: 2, .. }) => u64::deserialize(&mut rest),
        _ => Ok(env::block_height()),
    };
    let (Ok(old), Ok(live_until), []) = (old, live_until, rest) else {
        let found = state.first_chunk().map(|bytes| u16::from_le_bytes(*bytes));
        return Err(ContractError::Layout { found });
    };
    if old.live_requests > 0 {
        return Err(ContractError::LiveRequests { found: old.live_requests });
    }
    Ok(Contract {
        layout: LAYOUT,
        owner_id: old.owner_id,
        proposed_owner_id: old.proposed_owner_id,
        paused: old.paused,
        config: old.config.into(),
        next_request_id: old.next_request_id,
        live_requests: 0,
        registered_workers: old.registered_workers,
        tenant_bytes: old.tenant_bytes,
        funds: Funds::of_former_layout(old.funds),
        upgrade: old.upgrade,
        live_until,
    })
}

impl From<Config2> for Config {
    fn from(old: Config2) -> Self {
        let new = Self::new(old.engine_version, old.near_config_version);
        Self {
            prices: Prices {
                per_fuel: old.prices.per_fuel,
                per_gas: old.prices.per_gas,
                per_byte: old.prices.per_byte.max(new.prices.per_byte),
                ..new.prices
            },
            protocol_share_bps: old.protocol_share_bps,
            max_fuel: old.max_fuel,
            max_gas: old.max_gas,
            bounds: RequestBounds {
                limits: ResourceLimits {
                    compute: old.limits.compute,
                    memory_bytes: old.limits.memory_bytes,
                    table_elements: old.limits.table_elements,
                    instances: old.limits.instances,
                    output_bytes: old.limits.output_bytes,
                    log_bytes: old.limits.log_bytes,
                    journal_bytes: old.limits.journal_bytes,
                    storage_reads: old.limits.storage_reads,
                    storage_writes: old.limits.storage_writes,
                    host_calls: old.limits.host_calls,
                    ..new.bounds.limits
                },
                input_bytes: old.input_bytes,
                args_env_bytes: old.args_env_bytes,
                url_bytes: old.url_bytes,
                approvals: old.approvals,
            },
            yield_timeout_blocks: old.yield_timeout_blocks,
            sweep_delay_blocks: old.sweep_delay_blocks,
            ..new
        }
    }
}

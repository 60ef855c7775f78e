//! Former layouts of the state, and how each becomes the one that the code reads.
//!
//! The number of the layout is raised when anything that is stored changes its form. Entries that
//! there may be many of are not rewritten, because that would have to fit into the gas of one call:
//! the code reads their former form where it finds it ([`requests`], `store::or_default`).
//!
//! Layout 1 is too old for that. Its migration is refused while any request lives. All requests
//! have ended some time after the owner has paused the contract.

pub(crate) mod requests;

use near_sdk::{AccountId, NearToken, env};
use outlayer_codec::{Decode, Input};
use outlayer_protocol::{
    Compute, Config, EngineVersion, RequestId, ResourceLimits,
    config::{Prices, RequestBounds},
};

use crate::{
    Contract, ContractError, Funds, LAYOUT, live_ids::LiveIds, roster::Roster, state::Upgrade,
};

/// The prices in layouts 1 and 2.
#[derive(Decode)]
#[cfg_attr(test, derive(outlayer_codec::Encode))]
pub(crate) struct Prices2 {
    pub(crate) base_fee: NearToken,
    pub(crate) per_fuel: NearToken,
    pub(crate) per_gas: NearToken,
    pub(crate) per_byte: NearToken,
}

/// The limits in layouts 1 and 2.
#[derive(Decode)]
#[cfg_attr(test, derive(outlayer_codec::Encode))]
pub(crate) struct Limits2 {
    pub(crate) compute: Compute,
    pub(crate) memory_bytes: u64,
    pub(crate) table_elements: u32,
    pub(crate) instances: u32,
    pub(crate) output_bytes: u32,
    pub(crate) log_bytes: u32,
    pub(crate) journal_bytes: u32,
    pub(crate) storage_reads: u32,
    pub(crate) storage_writes: u32,
    pub(crate) host_calls: u64,
}

impl Limits2 {
    /// There were no plans, so requests allow none; the bound on them is that of a new deployment.
    fn with_module_and_plan_bytes(self, max_module_bytes: u32, plan_bytes: u32) -> ResourceLimits {
        ResourceLimits {
            compute: self.compute,
            memory_bytes: self.memory_bytes,
            table_elements: self.table_elements,
            instances: self.instances,
            output_bytes: self.output_bytes,
            log_bytes: self.log_bytes,
            journal_bytes: self.journal_bytes,
            storage_reads: self.storage_reads,
            storage_writes: self.storage_writes,
            host_calls: self.host_calls,
            max_module_bytes,
            plan_bytes,
        }
    }
}

/// The configuration in layouts 1 and 2.
#[derive(Decode)]
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
#[derive(Decode)]
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
/// The index of live requests had an entry for each, which is gone: see [`crate::live_ids`]. So
/// that taking it apart fits into the gas of one call, no more than [`requests::MOST_LISTED`] may
/// live.
///
/// The list of workers had no order. Putting it in one reads each worker.
///
/// Layout 1 differs from layout 2 in three things:
///
/// * It did not know how long requests live. None lives now, so the next announced upgrade need not
///   wait for any.
/// * Its locks had no readers. There are no locks without live requests.
/// * It did not count claimable payments among the bytes that a pot pays for. The ones that are
///   there stay uncounted, so the contract needs a little more money of its own than it should.
pub(crate) fn migrate(state: &[u8]) -> Result<Contract, ContractError> {
    let mut input = Input::new(state);
    let old = Layout1::decode(&mut input);
    let live_until = if old.layout == 2 { u64::decode(&mut input) } else { env::block_height() };
    if input.finish().is_err() {
        let found = state.first_chunk().map(|bytes| u16::from_le_bytes(*bytes));
        return Err(ContractError::Layout { found });
    }
    if old.layout < 2 && old.live_requests > 0 {
        return Err(ContractError::LiveRequests { found: old.live_requests });
    }
    if old.live_requests > requests::MOST_LISTED {
        return Err(ContractError::LiveRequests { found: old.live_requests });
    }
    let before = env::storage_usage();
    let first = requests::take_index_apart(old.live_requests).unwrap_or(old.next_request_id);
    let freed = before.saturating_sub(env::storage_usage());
    Ok(Contract {
        layout: LAYOUT,
        owner_id: old.owner_id,
        proposed_owner_id: old.proposed_owner_id,
        paused: old.paused,
        config: old.config.into(),
        next_request_id: old.next_request_id,
        live: LiveIds::new(first, old.next_request_id, old.live_requests),
        open_shares: 0,
        former_requests: old.next_request_id,
        roster: Roster::of_former_layout(old.registered_workers),
        tenant_bytes: old.tenant_bytes.saturating_sub(freed),
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
                limits: old.limits.with_module_and_plan_bytes(
                    new.bounds.limits.max_module_bytes,
                    new.bounds.limits.plan_bytes,
                ),
                input_bytes: old.input_bytes,
                args_env_bytes: old.args_env_bytes,
                url_bytes: old.url_bytes,
                approvals: old.approvals,
                ..new.bounds
            },
            yield_timeout_blocks: old.yield_timeout_blocks,
            sweep_delay_blocks: old.sweep_delay_blocks,
            ..new
        }
    }
}

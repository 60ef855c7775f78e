//! The owner's methods. Each wants one yoctoNEAR and says in an event what has changed. None of
//! them touches a live request: a request keeps the terms that it was accepted on, and pausing
//! stops only new ones.

use near_sdk::{AccountId, NearToken, env, near};
use outlayer_protocol::{
    Compute, Config, HttpLimits, Meter, ResourceLimits,
    capacity::MAX_OUTPUT_BYTES,
    events::{ConfigSet, Event, OwnerChanged, OwnerProposed, PauseChanged},
    http::MOST_HOSTS_BYTES,
    pricing::{Asked, LEAST_GAS_PRICE, answer_gas, max_fee, protocol_share},
};

use crate::{
    Contract, ContractError, ContractExt, Funds, LAYOUT, Pot,
    bounds::{
        MAX_APPROVALS, MAX_ARGS_ENV_BYTES, MAX_BLOCKS, MAX_GAS_PRICE, MAX_HTTP_BYTES,
        MAX_HTTP_EXCHANGES, MAX_INPUT_BYTES, MAX_JOURNAL_BYTES, MAX_KEYS, MAX_PLAN_BYTES,
        MAX_PROTOCOL_SHARE_BPS, MAX_URL_BYTES, MAX_WINDOW_SHARE_BPS, MIN_SWEEP_DELAY_BLOCKS,
    },
    effects::emit,
    live_ids::LiveIds,
    roster::Roster,
};

#[near]
impl Contract {
    /// Sets the contract up.
    ///
    /// # Errors
    /// [`ContractError::Config`].
    #[init]
    #[handle_result]
    pub fn new(owner_id: AccountId, config: Config) -> Result<Self, ContractError> {
        check_config(&config)?;
        Ok(Self {
            layout: LAYOUT,
            owner_id,
            proposed_owner_id: None,
            paused: false,
            config,
            next_request_id: 0,
            former_requests: 0,
            live: LiveIds::default(),
            open_shares: 0,
            roster: Roster::default(),
            tenant_bytes: 0,
            funds: Funds::default(),
            upgrade: None,
            live_until: 0,
        })
    }

    /// Sets the terms of later requests.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not the owner, or a number is out of bounds.
    #[payable]
    #[handle_result]
    pub fn set_config(&mut self, config: Config) -> Result<(), ContractError> {
        self.check_owner()?;
        check_config(&config)?;
        self.config = config;
        emit(&Event::ConfigSet(Box::new(ConfigSet { config })));
        Ok(())
    }

    /// Stops new requests. Live ones are settled, cancelled and swept, and money is paid out, as
    /// always.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not the owner, or not exactly one yoctoNEAR is attached.
    #[payable]
    #[handle_result]
    pub fn pause(&mut self) -> Result<(), ContractError> {
        self.check_owner()?;
        self.paused = true;
        emit(&Event::PauseChanged(PauseChanged { paused: true }));
        Ok(())
    }

    /// Takes new requests again after a pause.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not the owner, or not exactly one yoctoNEAR is attached.
    #[payable]
    #[handle_result]
    pub fn unpause(&mut self) -> Result<(), ContractError> {
        self.check_owner()?;
        self.paused = false;
        emit(&Event::PauseChanged(PauseChanged { paused: false }));
        Ok(())
    }

    /// Offers the ownership to an account, which must accept it. Offering it to the owner takes an
    /// earlier offer back.
    ///
    /// # Errors
    /// [`ContractError`]: the caller is not the owner, or not exactly one yoctoNEAR is attached.
    #[payable]
    #[handle_result]
    pub fn propose_owner(&mut self, account_id: AccountId) -> Result<(), ContractError> {
        self.check_owner()?;
        self.proposed_owner_id = (account_id != self.owner_id).then_some(account_id);
        let account_id = self.proposed_owner_id.clone();
        emit(&Event::OwnerProposed(OwnerProposed { account_id }));
        Ok(())
    }

    /// The account to which the ownership is offered becomes the owner.
    ///
    /// # Errors
    /// [`ContractError`]: the ownership is not offered to the caller, or not exactly one yoctoNEAR
    /// is attached.
    #[payable]
    #[handle_result]
    pub fn accept_owner(&mut self) -> Result<(), ContractError> {
        let found = env::predecessor_account_id();
        if self.proposed_owner_id.as_ref() != Some(&found) {
            return Err(ContractError::NotTheProposedOwner {
                found,
                expected: self.proposed_owner_id.clone(),
            });
        }
        self.take_yocto(Pot::Protocol)?;
        self.proposed_owner_id = None;
        let from = std::mem::replace(&mut self.owner_id, found.clone());
        emit(&Event::OwnerChanged(OwnerChanged { from, to: found }));
        Ok(())
    }
}

fn check(what: &'static str, found: u128, least: u128, most: u128) -> Result<(), ContractError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(ContractError::Config { what, found, least, most })
}

/// Checks that times can be computed, and that the largest code leaves time to run it.
fn check_window(config: &Config) -> Result<(), ContractError> {
    let window = &config.window;
    check("share_bps", window.share_bps.into(), 1, MAX_WINDOW_SHARE_BPS.into())?;
    check("block_nanos", window.block_nanos.into(), 1, u32::MAX.into())?;
    let mut least = 1;
    for row in window.speeds {
        check("memory_bytes of a speed", row.memory_bytes.into(), least, u64::MAX.into())?;
        least = u128::from(row.memory_bytes) + 1;
        check("nanos_per_kilofuel", row.nanos_per_kilofuel.into(), 1, u32::MAX.into())?;
        check("nanos_per_gigagas", row.nanos_per_gigagas.into(), 1, u32::MAX.into())?;
    }
    let bytes = config.bounds.limits.max_module_bytes;
    check("max_module_bytes", bytes.into(), 1, u32::MAX.into())?;
    let (time, most) = (window.module_nanos(Meter::Fuel, bytes), config.execution_nanos());
    check("the time for max_module_bytes, nanoseconds,", time.into(), 0, most.into())
}

/// Checks that every request within the configuration's bounds can be priced, kept and settled, and
/// pays for its workers' gas.
fn check_config(config: &Config) -> Result<(), ContractError> {
    let bounds = &config.bounds;
    let limits = &bounds.limits;
    let share = config.protocol_share_bps;
    check("protocol_share_bps", share.into(), 0, MAX_PROTOCOL_SHARE_BPS.into())?;
    // No answer may cost its workers more gas than it earns them.
    let (prices, least) = (&config.prices, LEAST_GAS_PRICE.as_yoctonear());
    let paid = |price: NearToken| price.saturating_sub(protocol_share(price, share)).as_yoctonear();
    let most = MAX_GAS_PRICE.as_yoctonear();
    check("gas_price less the protocol's share", paid(prices.gas_price), least, most)?;
    let least = least.saturating_mul(answer_gas::PER_BYTE.into());
    check("per_byte less the protocol's share", paid(prices.per_byte), least, u128::MAX)?;
    let (timeout, delay) = (config.yield_timeout_blocks, config.sweep_delay_blocks);
    check("yield_timeout_blocks", timeout.into(), 1, MAX_BLOCKS.into())?;
    check("sweep_delay_blocks", delay.into(), MIN_SWEEP_DELAY_BLOCKS.into(), MAX_BLOCKS.into())?;
    check("output_bytes", limits.output_bytes.into(), 0, MAX_OUTPUT_BYTES.into())?;
    check("journal_bytes", limits.journal_bytes.into(), 0, MAX_JOURNAL_BYTES.into())?;
    check("plan_bytes", limits.plan_bytes.into(), 0, MAX_PLAN_BYTES.into())?;
    check("storage_reads", limits.storage_reads.into(), 0, MAX_KEYS.into())?;
    check("storage_writes", limits.storage_writes.into(), 0, MAX_KEYS.into())?;
    check("input_bytes", bounds.input_bytes.into(), 0, MAX_INPUT_BYTES.into())?;
    check("args_env_bytes", bounds.args_env_bytes.into(), 0, MAX_ARGS_ENV_BYTES.into())?;
    check("url_bytes", bounds.url_bytes.into(), 0, MAX_URL_BYTES.into())?;
    check("approvals", bounds.approvals.into(), 1, MAX_APPROVALS.into())?;
    check("http_exchanges", bounds.http_exchanges.into(), 0, MAX_HTTP_EXCHANGES.into())?;
    check("http_bytes", bounds.http_bytes.into(), 0, MAX_HTTP_BYTES.into())?;
    check_window(config)?;
    for compute in [Compute::Fuel(config.max_fuel), Compute::Gas(config.max_gas)] {
        let asked = Asked {
            limits: ResourceLimits { compute, ..*limits },
            approvals: bounds.approvals,
            spares: u8::MAX,
            text_bytes: [bounds.args_env_bytes, bounds.url_bytes, MOST_HOSTS_BYTES]
                .into_iter()
                .fold(0, u32::saturating_add),
            input_bytes: bounds.input_bytes,
            http: HttpLimits {
                exchanges: bounds.http_exchanges,
                bytes: bounds.http_bytes,
                ms: bounds.http_ms,
            },
            new_payer: true,
            takes_claims: true,
        };
        max_fee(prices, &asked)?;
    }
    Ok(())
}

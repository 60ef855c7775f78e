//! What the contract's owner sets, and every request pins when it is accepted.

use borsh::{BorshDeserialize, BorshSerialize};
use near_token::NearToken;
use serde::{Deserialize, Serialize};

use crate::{EngineVersion, ResourceLimits, capacity::MAX_OUTPUT_BYTES};

/// Prices, in yoctoNEAR.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct Prices {
    /// Paid for every outcome that a worker resolves; above the worker's own gas.
    pub base_fee: NearToken,
    /// For one unit of fuel.
    pub per_fuel: NearToken,
    /// For one unit of gas burned by the guest.
    pub per_gas: NearToken,
    /// For one byte of input, output or journal.
    pub per_byte: NearToken,
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            // The contract refuses less than the dearest answer's gas costs its workers at 10^8 yoctoNEAR a gas.
            base_fee: NearToken::from_yoctonear(10_000_000_000_000_000_000_000),
            per_fuel: NearToken::from_yoctonear(1_000_000_000_000),
            per_gas: NearToken::from_yoctonear(1_000_000),
            // Submitting the largest outputs burns 135 Mgas for each of their bytes.
            per_byte: NearToken::from_yoctonear(20_000_000_000_000_000),
        }
    }
}

/// The most that a request may ask for. What is asked for together is bounded besides by what one receipt can carry, see
/// [`capacity`](crate::capacity).
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct RequestBounds {
    /// Bounds on each of a request's limits; for `compute` see [`Config::max_fuel`] and [`Config::max_gas`].
    pub limits: ResourceLimits,
    /// Input, bytes.
    pub input_bytes: u32,
    /// Arguments and environment, bytes.
    pub args_env_bytes: u32,
    /// The code's URL, bytes.
    pub url_bytes: u32,
    /// Approvals.
    pub approvals: u8,
}

impl Default for RequestBounds {
    fn default() -> Self {
        Self {
            limits: ResourceLimits {
                memory_bytes: 1 << 30,
                table_elements: 1_000_000,
                instances: 64,
                output_bytes: MAX_OUTPUT_BYTES,
                log_bytes: 4 << 20,
                journal_bytes: 64 << 10,
                storage_reads: 32,
                storage_writes: 32,
                host_calls: 100_000_000,
                ..ResourceLimits::default()
            },
            input_bytes: 256 << 10,
            args_env_bytes: 4 << 10,
            url_bytes: 1_024,
            approvals: 5,
        }
    }
}

/// The contract's configuration. A request keeps the terms under which it was accepted.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct Config {
    /// The engine that new requests are executed with.
    pub engine_version: EngineVersion,
    /// NEAR's protocol version whose fee table the gas meter uses.
    pub near_config_version: u32,
    /// Prices.
    pub prices: Prices,
    /// The protocol's share of each fee, in basis points (1/10,000).
    pub protocol_share_bps: u16,
    /// The most fuel a request may ask for.
    pub max_fuel: u64,
    /// The most gas a request may ask for.
    pub max_gas: u64,
    /// Bounds on everything else.
    pub bounds: RequestBounds,
    /// Blocks from a yield's creation to its timeout: `yield_timeout_length_in_blocks` of NEAR's runtime configuration.
    pub yield_timeout_blocks: u64,
    /// Blocks after the deadline from which anyone may sweep a request whose callback failed.
    pub sweep_delay_blocks: u64,
}

impl Config {
    /// The configuration of a new deployment for the engine named.
    pub fn new(engine_version: EngineVersion, near_config_version: u32) -> Self {
        Self {
            engine_version,
            near_config_version,
            prices: Prices::default(),
            protocol_share_bps: 1_000,
            max_fuel: 1_000_000_000_000,
            max_gas: 1_000_000_000_000_000_000,
            bounds: RequestBounds::default(),
            yield_timeout_blocks: 200,
            sweep_delay_blocks: 200,
        }
    }
}

#[cfg(test)]
pub(crate) fn sample() -> Config {
    Config::new(EngineVersion(1), 84)
}

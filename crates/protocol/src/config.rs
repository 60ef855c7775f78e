//! What the contract's owner sets, and what every request keeps as its terms when it is accepted.

use borsh::{BorshDeserialize, BorshSerialize};
use near_token::NearToken;
use outlayer_codec::{Decode, Encode};
use outlayer_json::ToJson;
use serde::Serialize;

use crate::{
    Claims, Compute, EngineVersion, ExecutionRequest, HttpLimits, Meter, ResourceLimits,
    agreement::{BODY_BLOCKS, LANDING_BLOCKS, REVEAL_BLOCKS},
    capacity::MAX_OUTPUT_BYTES,
    claims::LIGHT_BLOCKS,
    json,
    object::read_by_fields,
    window::Window,
};

/// Prices, yoctoNEAR.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Encode,
    Decode,
    Serialize,
    ToJson,
)]
pub struct Prices {
    /// What workers are paid for a unit of the gas that their own calls burn, as
    /// [`answer_gas`](crate::pricing::answer_gas) models them.
    pub gas_price: NearToken,
    /// Price of one unit of fuel.
    pub per_fuel: NearToken,
    /// Price of one unit of gas that the guest burns.
    pub per_gas: NearToken,
    /// Price of one byte of input, output, journal, plan or transcript.
    pub per_byte: NearToken,
    /// Price of one byte of code that a request declares with
    /// [`ResourceLimits::max_module_bytes`]. It covers the download and the compilation.
    pub per_module_byte: NearToken,
    /// Price of one HTTP exchange that a request declares with
    /// [`HttpAccess::max_exchanges`](crate::HttpAccess::max_exchanges), for each worker. It covers
    /// waiting for the server, and the guest's transform.
    pub per_exchange: NearToken,
}

read_by_fields! {
    Prices = Self::default(),
    only: false,
    required: {
        gas_price: Token,
        per_fuel: Token,
        per_gas: Token,
        per_byte: Token,
        per_module_byte: Token,
        per_exchange: Token,
    },
    optional: {}
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            // Twice NEAR's lowest price of gas, after a protocol's share of 10%.
            gas_price: NearToken::from_yoctonear(222_222_223),
            per_fuel: NearToken::from_yoctonear(1_000_000_000_000),
            per_gas: NearToken::from_yoctonear(1_000_000),
            // Submitting a byte burns up to 160 Mgas (`answer_gas::PER_BYTE`), at `gas_price`.
            per_byte: NearToken::from_yoctonear(36_000_000_000_000_000),
            // Compiling takes about 2,500 ns a byte and core, in which a guest uses fuel for 2.5 *
            // 10^15 yoctoNEAR. A worker compiles a module once and keeps it, so a request pays a
            // tenth of that. contract/README.md has the argument.
            per_module_byte: NearToken::from_yoctonear(250_000_000_000_000),
            // What 500 ms of a guest's computing cost at 1 ns a unit of fuel: as long as a server
            // may keep a worker waiting, who can do other work meanwhile.
            per_exchange: NearToken::from_yoctonear(500_000_000_000_000_000_000),
        }
    }
}

/// The most that a request may ask for. Besides, everything together must fit into what one receipt
/// can carry, see [`capacity`](crate::capacity).
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Encode,
    Decode,
    Serialize,
    ToJson,
)]
pub struct RequestBounds {
    /// The largest value of each limit; for `compute` see [`Config::max_fuel`] and
    /// [`Config::max_gas`].
    pub limits: ResourceLimits,
    /// The largest input, bytes.
    pub input_bytes: u32,
    /// The most bytes of arguments and environment together.
    pub args_env_bytes: u32,
    /// The longest URL of the code, bytes.
    pub url_bytes: u32,
    /// The most approvals.
    pub approvals: u8,
    /// The most HTTP exchanges.
    pub http_exchanges: u32,
    /// The most bytes of a transcript.
    pub http_bytes: u32,
    /// The most time for HTTP exchanges, milliseconds.
    pub http_ms: u32,
}

read_by_fields! {
    RequestBounds = Self::default(),
    only: false,
    required: {
        limits: Limits,
        input_bytes: U32,
        args_env_bytes: U32,
        url_bytes: U32,
        approvals: U8,
        http_exchanges: U32,
        http_bytes: U32,
        http_ms: U32,
    },
    optional: {}
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
                // What the engine takes at the most, see `MAX_MODULE_BYTES` in `outlayer-guest`.
                max_module_bytes: 32 << 20,
                plan_bytes: 16 << 10,
                ..ResourceLimits::default()
            },
            input_bytes: 256 << 10,
            args_env_bytes: 4 << 10,
            url_bytes: 1_024,
            approvals: 5,
            http_exchanges: 16,
            http_bytes: 64 << 10,
            http_ms: 30_000,
        }
    }
}

/// The contract's configuration. A request keeps the terms on which it was accepted.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Encode,
    Decode,
    Serialize,
    ToJson,
)]
pub struct Config {
    /// The version of the engine that new requests are executed with.
    pub engine_version: EngineVersion,
    /// The NEAR protocol version whose fees the gas meter uses.
    pub near_config_version: u32,
    /// The prices of new requests.
    pub prices: Prices,
    /// The protocol's share of each fee, in basis points (1/10,000).
    pub protocol_share_bps: u16,
    /// The most fuel that a request may ask for (a decimal string in JSON, like `max_gas`).
    #[serde(with = "json::u64_string")]
    #[cfg_attr(feature = "abi", schemars(with = "String"))]
    pub max_fuel: u64,
    /// The most gas that a request may ask for.
    #[serde(with = "json::u64_string")]
    #[cfg_attr(feature = "abi", schemars(with = "String"))]
    pub max_gas: u64,
    /// Bounds on everything else that a request asks for.
    pub bounds: RequestBounds,
    /// How long an execution may take, which bounds what a request asks for together.
    pub window: Window,
    /// Blocks between the creation of a yield and its timeout: `yield_timeout_length_in_blocks` in
    /// NEAR's runtime configuration.
    pub yield_timeout_blocks: u64,
    /// Blocks after the deadline before anyone may sweep a request whose callback failed.
    pub sweep_delay_blocks: u64,
}

read_by_fields! {
    Config = Self::new(EngineVersion(0), 0),
    only: false,
    required: {
        engine_version: Engine,
        near_config_version: U32,
        prices: Prices,
        protocol_share_bps: U16,
        max_fuel: Decimal,
        max_gas: Decimal,
        bounds: Bounds,
        window: Window,
        yield_timeout_blocks: U64,
        sweep_delay_blocks: U64,
    },
    optional: {}
}

impl Config {
    /// The configuration of a new deployment, for this engine.
    pub fn new(engine_version: EngineVersion, near_config_version: u32) -> Self {
        Self {
            engine_version,
            near_config_version,
            prices: Prices::default(),
            protocol_share_bps: 1_000,
            max_fuel: 1_000_000_000_000,
            max_gas: 1_000_000_000_000_000_000,
            bounds: RequestBounds::default(),
            window: Window::default(),
            yield_timeout_blocks: 200,
            sweep_delay_blocks: 200,
        }
    }

    /// The most compute that a request may ask for in `meter`, whatever else it asks for.
    pub fn max_compute(&self, meter: Meter) -> Compute {
        match meter {
            Meter::Fuel => Compute::Fuel(self.max_fuel),
            Meter::Gas => Compute::Gas(self.max_gas),
        }
    }

    /// The most compute that a request may ask for in the meter of `limits`, so that it ends in
    /// time with the memory and the code that `limits` declare, and the time for exchanges that
    /// `http` does.
    pub fn most_compute(&self, limits: &ResourceLimits, http: HttpLimits) -> Compute {
        let max = self.max_compute(limits.compute.meter());
        let in_time = self.window.most_compute(self.yield_timeout_blocks, limits, http);
        Compute::new(max.meter(), max.amount().min(in_time))
    }

    /// How many blocks a worker has to use its seat, where several have to agree, and how many a
    /// claim stands: as many as an execution within `limits` takes at the most, and some for the
    /// commitment or the answer to land.
    pub fn turn_blocks(&self, limits: &ResourceLimits, http: HttpLimits) -> u64 {
        self.window.blocks(self.window.nanos(limits, http)).saturating_add(LANDING_BLOCKS)
    }

    /// Whether a request takes claims: one worker answers it, and its compute may take long.
    pub fn takes_claims(&self, request: &ExecutionRequest) -> bool {
        let blocks = self.window.blocks(self.window.compute_nanos(&request.limits));
        request.approvals < 2 && blocks > LIGHT_BLOCKS
    }

    /// The claims of a new request; `None` where it takes none.
    pub fn claims(&self, request: &ExecutionRequest) -> Option<Claims> {
        let turn_blocks = self.turn_blocks(&request.limits, request.http_limits());
        self.takes_claims(request).then_some(Claims { turn_blocks, made: Vec::new() })
    }

    /// How many blocks it takes at the most that several workers agree on an execution within
    /// `limits` and `http`: two turns, the reveals, and the body.
    pub fn agreement_blocks(&self, limits: &ResourceLimits, http: HttpLimits) -> u64 {
        let turns = self.turn_blocks(limits, http).saturating_mul(2);
        turns.saturating_add(REVEAL_BLOCKS).saturating_add(BODY_BLOCKS)
    }

    /// How long an execution may take, nanoseconds.
    pub fn execution_nanos(&self) -> u64 {
        self.window.execution_nanos(self.yield_timeout_blocks)
    }
}

#[cfg(test)]
pub(crate) fn sample() -> Config {
    Config::new(EngineVersion(1), 84)
}

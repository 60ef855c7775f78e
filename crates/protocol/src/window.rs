//! How long an execution may take, and how long it is expected to take at the most.
//!
//! A request's yield times out after a fixed number of blocks, and an answer that comes later is
//! worth nothing. So the contract refuses a request whose execution is not expected to end in time:
//! the time to download the code that it declares, to compile it, and to use up all of its compute,
//! each as slow as any useful program on the reference machine, must fit into a share of the
//! yield's window. What is left of the window is for everything else: finding the request, reading
//! storage, waiting for a place among other executions, agreeing, and submitting.
//!
//! Times only decide which requests are taken. They never end an execution and are never billed.

use borsh::{BorshDeserialize, BorshSerialize};
use outlayer_codec::{Decode, Encode};
use outlayer_json::ToJson;
use serde::Serialize;

use crate::{HttpLimits, Meter, ResourceLimits, http::TRANSFORM_FUEL, object::read_by_fields};

/// How many rows the table of speeds has.
pub const SPEEDS: usize = 6;

/// Blocks until a block is final: two that build on it, and one that may be missing.
const FINAL_BLOCKS: u64 = 3;
/// Units of fuel that [`Speed::nanos_per_kilofuel`] is the time of.
const KILOFUEL: u128 = 1_000;
/// What reducing an answer takes at the most, in the same unit.
const TRANSFORM_KILOFUEL: u64 = TRANSFORM_FUEL / 1_000;
/// Units of gas that [`Speed::nanos_per_gigagas`] is the time of.
const GIGAGAS: u128 = 1_000_000_000;
const WHOLE_BPS: u128 = 10_000;

/// How long computation is expected to take at the most, for executions that declare up to so much
/// memory. A larger memory is slower, because fewer of its loads are answered by a cache.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Default,
    BorshSerialize,
    BorshDeserialize,
    Encode,
    Decode,
    Serialize,
    ToJson,
)]
pub struct Speed {
    /// The most memory that this row is for, bytes. The last row is also for all that is larger.
    pub memory_bytes: u64,
    /// Nanoseconds that 1,000 units of fuel take at the most.
    pub nanos_per_kilofuel: u32,
    /// Nanoseconds that 10^9 units of gas take at the most.
    pub nanos_per_gigagas: u32,
}

/// The time that an execution may take, and what its parts take at the most.
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
pub struct Window {
    /// The share of the time until the yield times out that an execution may take, in basis points
    /// (1/10,000).
    pub share_bps: u16,
    /// The time between two blocks, nanoseconds.
    pub block_nanos: u32,
    /// Nanoseconds that downloading one byte of code takes at the most.
    pub download_nanos_per_byte: u32,
    /// Nanoseconds that compiling one byte of code takes at the most, on two cores, for a request
    /// that is billed in fuel.
    pub compile_nanos_per_byte: u32,
    /// The same for a request that is billed in gas.
    pub gas_compile_nanos_per_byte: u32,
    /// How long computation takes at the most, by the memory that a request declares, ascending.
    pub speeds: [Speed; SPEEDS],
}

read_by_fields! {
    Speed = Self { memory_bytes: 0, nanos_per_kilofuel: 0, nanos_per_gigagas: 0 },
    only: false,
    required: { memory_bytes: U64, nanos_per_kilofuel: U32, nanos_per_gigagas: U32, },
    optional: {}
}

read_by_fields! {
    Window = Self::default(),
    only: false,
    required: {
        share_bps: U16,
        block_nanos: U32,
        download_nanos_per_byte: U32,
        compile_nanos_per_byte: U32,
        gas_compile_nanos_per_byte: U32,
        speeds: Speeds,
    },
    optional: {}
}

impl Default for Window {
    fn default() -> Self {
        Self {
            share_bps: 6_000,
            // Mainnet and testnet produce a block in about this time.
            block_nanos: 600_000_000,
            // 4 MB a second.
            download_nanos_per_byte: 250,
            // Half of what one core takes, because the functions of a module are compiled side by
            // side (`contract/README.md` has the measurements).
            compile_nanos_per_byte: 1_500,
            gas_compile_nanos_per_byte: 3_500,
            speeds: DEFAULT_SPEEDS,
        }
    }
}

/// The speeds of a new deployment.
///
/// A row is a sixteenth of what the slowest guest known takes, a chain of loads that all miss the
/// caches (`crates/calibrate/README.md` has the measurements), and at least 6 ns. Programs take a
/// tenth of that and less. So an execution in which fewer than one operator in sixteen waits for
/// memory ends in time. Rows of the slowest guest itself would leave 10^9 units in 16 MiB, and so
/// refuse most programs for the sake of one that nobody needs; what that one costs is a worker's
/// time until its deadline, and the requester's deposit for as long.
///
/// The times of gas are derived from those of fuel, at 822,756 gas an operator
/// (`wasm_regular_op_cost`).
const DEFAULT_SPEEDS: [Speed; SPEEDS] = [
    Speed::of_nanos_per_fuel(1 << 20, 6),
    Speed::of_nanos_per_fuel(4 << 20, 6),
    Speed::of_nanos_per_fuel(16 << 20, 6),
    Speed::of_nanos_per_fuel(64 << 20, 10),
    Speed::of_nanos_per_fuel(256 << 20, 12),
    Speed::of_nanos_per_fuel(1 << 30, 16),
];

impl Speed {
    /// A row for operators that take this long, at one unit of fuel each.
    const fn of_nanos_per_fuel(memory_bytes: u64, nanos: u32) -> Self {
        /// 10^9 gas in operators, rounded up.
        const OPERATORS_PER_GIGAGAS: u32 = 1_000_000_000u32.div_ceil(822_756);
        Self {
            memory_bytes,
            nanos_per_kilofuel: nanos * 1_000,
            nanos_per_gigagas: nanos * OPERATORS_PER_GIGAGAS,
        }
    }
}

impl Window {
    /// How long downloading and compiling this much code takes at the most, nanoseconds, for a
    /// request that is billed in `meter`.
    pub fn module_nanos(&self, meter: Meter, bytes: u32) -> u64 {
        let compile = match meter {
            Meter::Fuel => self.compile_nanos_per_byte,
            Meter::Gas => self.gas_compile_nanos_per_byte,
        };
        let per_byte = u64::from(self.download_nanos_per_byte) + u64::from(compile);
        per_byte.saturating_mul(bytes.into())
    }

    fn module_nanos_of(&self, limits: &ResourceLimits) -> u64 {
        self.module_nanos(limits.compute.meter(), limits.max_module_bytes)
    }

    /// How long an execution may take, nanoseconds, where the yield times out after this many
    /// blocks.
    pub fn execution_nanos(&self, yield_timeout_blocks: u64) -> u64 {
        let whole = u128::from(yield_timeout_blocks) * u128::from(self.block_nanos);
        let share = whole * u128::from(self.share_bps) / WHOLE_BPS;
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// The row of the table for an execution that declares this much memory.
    pub fn speed(&self, memory_bytes: u64) -> Speed {
        let [.., last] = self.speeds;
        self.speeds.into_iter().find(|row| memory_bytes <= row.memory_bytes).unwrap_or(last)
    }

    fn speed_of(&self, limits: &ResourceLimits) -> (u128, u32) {
        let speed = self.speed(limits.memory_bytes);
        match limits.compute.meter() {
            Meter::Fuel => (KILOFUEL, speed.nanos_per_kilofuel),
            Meter::Gas => (GIGAGAS, speed.nanos_per_gigagas),
        }
    }

    /// How long it takes at the most to use up all compute that `limits` allow, nanoseconds.
    pub fn compute_nanos(&self, limits: &ResourceLimits) -> u64 {
        let (units, nanos) = self.speed_of(limits);
        let compute = u128::from(limits.compute.amount()) * u128::from(nanos) / units;
        u64::try_from(compute).unwrap_or(u64::MAX)
    }

    /// How long the exchanges that `http` allows take at the most, nanoseconds: until the request
    /// stands in a final block, for the answers, and for reducing each of them.
    fn http_nanos(&self, limits: &ResourceLimits, http: HttpLimits) -> u64 {
        if http.exchanges == 0 {
            return 0;
        }
        let reducing =
            TRANSFORM_KILOFUEL * u64::from(self.speed(limits.memory_bytes).nanos_per_kilofuel);
        let final_block = FINAL_BLOCKS * u64::from(self.block_nanos);
        u64::from(http.exchanges)
            .saturating_mul(reducing)
            .saturating_add(http.nanos())
            .saturating_add(final_block)
    }

    /// How long an execution that uses all that `limits` and `http` allow takes at the most,
    /// nanoseconds.
    pub fn nanos(&self, limits: &ResourceLimits, http: HttpLimits) -> u64 {
        let nanos = self.compute_nanos(limits).saturating_add(self.module_nanos_of(limits));
        nanos.saturating_add(self.http_nanos(limits, http))
    }

    /// How many blocks this time is, rounded up.
    pub fn blocks(&self, nanos: u64) -> u64 {
        nanos.div_ceil(u64::from(self.block_nanos).max(1))
    }

    /// The most compute, in the meter of `limits`, that ends in time with the memory and the code
    /// that `limits` declare, and the time for exchanges that `http` does.
    pub fn most_compute(
        &self,
        yield_timeout_blocks: u64,
        limits: &ResourceLimits,
        http: HttpLimits,
    ) -> u64 {
        let (units, nanos) = self.speed_of(limits);
        let other = self.module_nanos_of(limits).saturating_add(self.http_nanos(limits, http));
        let left = self.execution_nanos(yield_timeout_blocks).saturating_sub(other);
        let most = u128::from(left) * units / u128::from(nanos.max(1));
        u64::try_from(most).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Compute;

    const BLOCKS: u64 = 200;

    fn limits(compute: Compute, memory_bytes: u64, max_module_bytes: u32) -> ResourceLimits {
        ResourceLimits { compute, memory_bytes, max_module_bytes, ..ResourceLimits::default() }
    }

    #[test]
    fn a_row_is_for_all_memory_up_to_its_own_and_the_last_one_for_more() {
        let window = Window::default();
        for (index, row) in window.speeds.into_iter().enumerate() {
            assert_eq!(window.speed(row.memory_bytes), row);
            let next = window.speeds.get(index + 1).copied().unwrap_or(row);
            assert_eq!(window.speed(row.memory_bytes + 1), next);
        }
        assert_eq!(window.speed(0), window.speeds[0]);
        assert_eq!(window.speed(u64::MAX), window.speeds[SPEEDS - 1]);
    }

    #[test]
    fn compute_gets_what_download_and_compilation_leave_of_the_share() {
        let window = Window {
            share_bps: 5_000,
            block_nanos: 1_000,
            download_nanos_per_byte: 3,
            compile_nanos_per_byte: 7,
            gas_compile_nanos_per_byte: 17,
            speeds: [Speed { memory_bytes: 1, nanos_per_kilofuel: 500, nanos_per_gigagas: 4_000 };
                SPEEDS],
        };
        assert_eq!(window.execution_nanos(BLOCKS), 100_000);
        assert_eq!(
            [Meter::Fuel, Meter::Gas].map(|meter| window.module_nanos(meter, 100)),
            [1_000, 2_000]
        );
        let none = HttpLimits::default();
        let most = |compute, module| window.most_compute(BLOCKS, &limits(compute, 1, module), none);
        assert_eq!(most(Compute::Fuel(1), 100), 99_000 * 1_000 / 500);
        assert_eq!(most(Compute::Gas(1), 100), 98_000 / 4 * 1_000_000);
        let http = HttpLimits { exchanges: 2, ms: 1, bytes: 1 };
        let slow = Window { block_nanos: 1_000_000, ..window };
        assert_eq!(
            slow.most_compute(BLOCKS, &limits(Compute::Fuel(1), 1, 100), http),
            (100_000_000 - 1_000 - 1_000_000 - 3_000_000 - 2 * 25_000_000) * 1_000 / 500
        );
        assert_eq!(most(Compute::Fuel(1), 10_000), 0);
        assert_eq!(most(Compute::Fuel(1), u32::MAX), 0);
    }

    #[test]
    fn numbers_at_their_ends_neither_wrap_nor_divide_by_zero() {
        let slow = Speed { memory_bytes: 0, nanos_per_kilofuel: 0, nanos_per_gigagas: 0 };
        let window = Window {
            share_bps: u16::MAX,
            block_nanos: u32::MAX,
            download_nanos_per_byte: u32::MAX,
            compile_nanos_per_byte: u32::MAX,
            gas_compile_nanos_per_byte: u32::MAX,
            speeds: [slow; SPEEDS],
        };
        assert_eq!(window.execution_nanos(u64::MAX), u64::MAX);
        assert_eq!(window.module_nanos(Meter::Gas, u32::MAX), u64::MAX);
        assert_eq!(
            window.most_compute(u64::MAX, &limits(Compute::Gas(1), 0, 1), HttpLimits::default()),
            u64::MAX
        );
    }

    proptest! {
        /// What is accepted ends in time, and one unit more would not have been accepted.
        #[test]
        fn the_most_compute_is_the_most_that_ends_in_time(
            memory_bytes in 1u64..2 << 30,
            module in 1u32..64 << 20,
            gas in any::<bool>(),
        ) {
            let window = Window::default();
            let asked = if gas { Compute::Gas(1) } else { Compute::Fuel(1) };
            let limits = limits(asked, memory_bytes, module);
            let most = u128::from(window.most_compute(BLOCKS, &limits, HttpLimits::default()));
            let speed = window.speed(memory_bytes);
            let (units, nanos) = match gas {
                true => (GIGAGAS, u128::from(speed.nanos_per_gigagas)),
                false => (KILOFUEL, u128::from(speed.nanos_per_kilofuel)),
            };
            let left = u128::from(window.execution_nanos(BLOCKS))
                .checked_sub(window.module_nanos(asked.meter(), module).into());
            prop_assert!(left.is_none_or(|left| most * nanos <= left * units));
            prop_assert!(left.is_none_or(|left| (most + 1) * nanos > left * units));
            prop_assert!(left.is_some() || most == 0);
        }
    }
}

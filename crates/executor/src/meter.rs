//! One execution's supply of fuel or gas, and what was used of it.

use outlayer_guest::{Fault, Stop, fuel};
use outlayer_protocol::{Compute, Status};
use wasmtime::{Error, Instance, Store, Trap};

use crate::{
    charge::{gas_left, supply_gas},
    gas::{GAS_EXPORT, fees::Fees},
    state::{Counter, State},
};

/// How a core module's computation is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CoreMeter {
    /// By wasmtime.
    Fuel {
        /// The request's limit.
        limit: u64,
    },
    /// By the module itself.
    Gas {
        /// The request's limit.
        limit: u64,
        /// The fee for loading the module.
        loading: u64,
    },
}

impl CoreMeter {
    /// The meter for a module whose code has `bytes` bytes.
    pub(crate) fn new(limit: Compute, bytes: u64) -> Self {
        match limit {
            Compute::Fuel(limit) => Self::Fuel { limit },
            Compute::Gas(limit) => Self::Gas { limit, loading: Fees::get().loading.of(bytes) },
        }
    }

    /// What host functions charge, before the module is instantiated.
    pub(crate) fn counter(self) -> Counter {
        match self {
            Self::Fuel { .. } => Counter::Fuel,
            Self::Gas { .. } => Counter::Gas(None),
        }
    }

    /// wasmtime stops a guest when nothing is left. So it gets one unit more than the limit: the
    /// guest may use exactly the limit, and nothing left means that it wanted more.
    fn supply(limit: u64) -> u64 {
        limit.saturating_add(1)
    }

    /// Gives the store its supply, before anything runs. Returns false when loading the module
    /// costs more than the limit.
    pub(crate) fn begin(self, store: &mut Store<State>) -> Result<bool, Fault> {
        match self {
            Self::Fuel { limit } => {
                store.set_fuel(Self::supply(limit)).map_err(Fault::engine)?;
                store
                    .fuel_async_yield_interval(Some(fuel::ACCOUNTING_INTERVAL))
                    .map_err(Fault::engine)?;
                Ok(true)
            }
            Self::Gas { limit, loading } => Ok(loading <= limit),
        }
    }

    /// Gives an instance its supply, before any of its functions runs.
    pub(crate) fn instantiated(
        self,
        store: &mut Store<State>,
        instance: Instance,
    ) -> Result<(), Stop> {
        let Self::Gas { limit, loading } = self else {
            return Ok(());
        };
        let global = instance
            .get_global(&mut *store, GAS_EXPORT)
            .ok_or_else(|| Fault::engine("no gas counter"))?;
        store.data_mut().counter = Counter::Gas(Some(global));
        supply_gas(store, global, limit.saturating_sub(loading))
    }

    /// What has been used, and whether the guest wanted more than there was.
    pub(crate) fn used(self, store: &mut Store<State>) -> Result<(Compute, bool), Fault> {
        match self {
            Self::Fuel { limit } => {
                let left = store.get_fuel().map_err(Fault::engine)?;
                let state = store.data();
                let counted = Self::supply(limit).saturating_sub(left).saturating_add(state.owed);
                // A stretch of straight code is counted only after it has run.
                let exhausted = left == 0 || counted > limit;
                let uncounted = if state.cut_short { fuel::ACCOUNTING_INTERVAL } else { 0 };
                let used = counted.saturating_add(uncounted).min(limit);
                Ok((Compute::Fuel(used), exhausted))
            }
            Self::Gas { limit, loading } => {
                let left = match store.data().counter {
                    Counter::Gas(Some(global)) => gas_left(store, global),
                    _ => i128::from(limit) - i128::from(loading),
                };
                // What a module wants is taken before it is looked at. So a trap may come after
                // more than the limit was wanted.
                let used = limit.saturating_sub(u64::try_from(left).unwrap_or(0));
                Ok((Compute::Gas(used), left < 0))
            }
        }
    }

    /// How often a guest gives way before the host looks at its clock. Fuel has it give way every
    /// few microseconds, and gas every few milliseconds.
    pub(crate) fn patience(self) -> u32 {
        match self {
            Self::Fuel { .. } => 64,
            Self::Gas { .. } => 1,
        }
    }

    /// The status of an execution that wanted more than its limit.
    pub(crate) fn exhausted(self) -> Status {
        match self {
            Self::Fuel { .. } => Status::OutOfFuel,
            Self::Gas { .. } => Status::OutOfGas,
        }
    }
}

/// Whether `error` ended a guest in the middle of compiled code. wasmtime keeps the fuel that a
/// function uses in a register, and writes it down before calls, where a function returns or
/// reaches an `unreachable`, and every [`fuel::ACCOUNTING_INTERVAL`] units.
pub(crate) fn ends_uncounted(error: &Error) -> bool {
    matches!(
        error.downcast_ref::<Trap>(),
        Some(
            Trap::MemoryOutOfBounds
                | Trap::TableOutOfBounds
                | Trap::IntegerOverflow
                | Trap::IntegerDivisionByZero
                | Trap::BadConversionToInteger
        )
    )
}

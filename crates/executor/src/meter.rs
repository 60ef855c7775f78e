//! One execution's supply of fuel or gas, and what was used of it.

use outlayer_guest::{Fault, Stop, fuel, prepare::meter::FUEL_EXPORT};
use outlayer_protocol::{Compute, Meter, Status};
use wasmtime::{Error, Instance, Store, Trap};

use crate::{
    account::Account,
    charge::{left, supply},
    gas::{GAS_EXPORT, fees::Fees},
    state::{Counter, State},
};

/// How an execution is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counting {
    /// By the core module itself.
    Module {
        /// The request's limit.
        limit: Compute,
        /// The fee for loading the module.
        loading: u64,
    },
    /// By the modules of a component together, in fuel, and by the host beside them.
    Component {
        /// The request's limit.
        limit: u64,
    },
    /// By wasmtime's store, in fuel.
    Store {
        /// The request's limit.
        limit: u64,
    },
}

impl Counting {
    /// For a core module whose code has `bytes` bytes. The module's counter is signed: a limit that
    /// needs 64 bits counts as the highest that does not.
    pub(crate) fn module(limit: Compute, bytes: u64) -> Self {
        let limit = Compute::new(limit.meter(), limit.amount().min(i64::MAX as u64));
        let loading = match limit.meter() {
            Meter::Fuel => 0,
            Meter::Gas => Fees::get().loading.of(bytes),
        };
        Self::Module { limit, loading }
    }

    /// For a component that contains no other.
    pub(crate) fn component(limit: Compute) -> Self {
        Self::Component { limit: limit.amount() }
    }

    /// For a composition.
    pub(crate) fn composition(limit: Compute) -> Self {
        Self::Store { limit: limit.amount() }
    }

    /// What host functions charge, before the module is instantiated.
    pub(crate) fn counter(self) -> Counter {
        match self {
            Self::Module { limit, .. } => Counter::Module { meter: limit.meter(), global: None },
            Self::Component { limit } => Counter::Component(Account::new(limit)),
            Self::Store { .. } => Counter::Store,
        }
    }

    /// wasmtime stops a guest when nothing is left. So it gets one unit more than the limit: the
    /// guest may use exactly the limit, and nothing left means that it wanted more.
    fn store_supply(limit: u64) -> u64 {
        limit.saturating_add(1)
    }

    /// What a module is given to count down.
    fn module_supply(limit: Compute, loading: u64) -> i64 {
        i64::try_from(limit.amount().saturating_sub(loading)).unwrap_or(i64::MAX)
    }

    /// Gives the store its supply, before anything runs. Returns false when loading the module
    /// costs more than the limit.
    pub(crate) fn begin(self, store: &mut Store<State>) -> Result<bool, Fault> {
        match self {
            Self::Module { limit, loading } => Ok(loading <= limit.amount()),
            Self::Component { .. } => Ok(true),
            Self::Store { limit } => {
                store.set_fuel(Self::store_supply(limit)).map_err(Fault::engine)?;
                store
                    .fuel_async_yield_interval(Some(fuel::ACCOUNTING_INTERVAL))
                    .map_err(Fault::engine)?;
                Ok(true)
            }
        }
    }

    /// Gives an instance its supply, before any of its functions runs.
    pub(crate) fn instantiated(
        self,
        store: &mut Store<State>,
        instance: Instance,
    ) -> Result<(), Stop> {
        let Self::Module { limit, loading } = self else {
            return Ok(());
        };
        let export = match limit.meter() {
            Meter::Fuel => FUEL_EXPORT,
            Meter::Gas => GAS_EXPORT,
        };
        let global = instance
            .get_global(&mut *store, export)
            .ok_or_else(|| Fault::engine(format!("a module without its counter {export}")))?;
        store.data_mut().counter = Counter::Module { meter: limit.meter(), global: Some(global) };
        Ok(supply(store, global, Self::module_supply(limit, loading))?)
    }

    /// What has been used, and whether the guest wanted more than there was.
    pub(crate) fn used(self, store: &mut Store<State>) -> Result<(Compute, bool), Fault> {
        match self {
            Self::Module { limit, loading } => {
                let given = Self::module_supply(limit, loading);
                let left = match store.data().counter {
                    Counter::Module { global: Some(global), .. } => left(store, global)?,
                    _ => given,
                };
                // What a module wants is taken before it is looked at. So a trap may come after
                // more than the limit was wanted.
                let used = if left < 0 {
                    limit.amount()
                } else {
                    loading.saturating_add(given.abs_diff(left)).min(limit.amount())
                };
                Ok((Compute::new(limit.meter(), used), left < 0))
            }
            Self::Component { .. } => match store.data().counter {
                Counter::Component(account) => {
                    let (used, exhausted) = account.used();
                    Ok((Compute::Fuel(used), exhausted))
                }
                _ => Err(Fault::engine("a component without its account")),
            },
            Self::Store { limit } => {
                let left = store.get_fuel().map_err(Fault::engine)?;
                let state = store.data();
                let counted = Self::store_supply(limit).saturating_sub(left);
                let counted = counted.saturating_add(state.owed);
                // A stretch of straight code is counted only after it has run.
                let exhausted = left == 0 || counted > limit;
                let uncounted = if state.cut_short { fuel::ACCOUNTING_INTERVAL } else { 0 };
                let used = counted.saturating_add(uncounted).min(limit);
                Ok((Compute::Fuel(used), exhausted))
            }
        }
    }

    /// The status of an execution that wanted more than its limit.
    pub(crate) fn exhausted(self) -> Status {
        match self {
            Self::Module { limit: Compute::Gas(_), .. } => Status::OutOfGas,
            Self::Module { limit: Compute::Fuel(_), .. }
            | Self::Component { .. }
            | Self::Store { .. } => Status::OutOfFuel,
        }
    }
}

/// Whether `error` ended a composition in the middle of compiled code. wasmtime keeps the fuel that
/// a function uses in a register, and writes it down before calls, where a function returns or
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

//! One execution's supply of fuel or gas, and what was used of it.

use outlayer_protocol::{Compute, Status};
use wasmtime::{Instance, Store};

use crate::{
    fault::Fault,
    fuel,
    gas::{GAS_EXPORT, fees::Fees},
    host::{Counter, State, gas_left, set_gas},
    verdict::Stop,
};

/// How a core module's computation is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CoreMeter {
    /// By the engine.
    Fuel {
        /// The request's limit.
        limit: u64,
    },
    /// By the module itself.
    Gas {
        /// The request's limit.
        limit: u64,
        /// What loading the module costs.
        loading: u64,
    },
}

fn failed(error: wasmtime::Error) -> Fault {
    Fault::Engine(format!("{error:#}"))
}

impl CoreMeter {
    /// The meter for a module of `bytes` bytes.
    pub(crate) fn new(limit: Compute, bytes: u64) -> Self {
        match limit {
            Compute::Fuel(limit) => Self::Fuel { limit },
            Compute::Gas(limit) => Self::Gas { limit, loading: Fees::get().loading.of(bytes) },
        }
    }

    /// What the host functions charge.
    pub(crate) fn counter(self) -> Counter {
        match self {
            Self::Fuel { .. } => Counter::Fuel,
            Self::Gas { .. } => Counter::Gas(None),
        }
    }

    /// The engine stops a guest when nothing is left. With one unit more than the limit a guest may use exactly the limit, and
    /// nothing left means that it wanted more.
    fn supply(limit: u64) -> u64 {
        limit.saturating_add(1)
    }

    /// Gives the store its supply, before anything runs. False when loading the module costs more than the limit.
    pub(crate) fn begin(self, store: &mut Store<State>) -> Result<bool, Fault> {
        match self {
            Self::Fuel { limit } => {
                store.set_fuel(Self::supply(limit)).map_err(failed)?;
                store.fuel_async_yield_interval(Some(fuel::ACCOUNTING_INTERVAL)).map_err(failed)?;
                Ok(true)
            }
            Self::Gas { limit, loading } => {
                store.set_epoch_deadline(1);
                store.epoch_deadline_async_yield_and_update(1);
                Ok(loading <= limit)
            }
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
            .ok_or_else(|| Stop::Fault(Fault::Engine("no gas counter".to_owned())))?;
        set_gas(&mut *store, global, limit.saturating_sub(loading))?;
        store.data_mut().counter = Counter::Gas(Some(global));
        Ok(())
    }

    /// What has been used, and whether more was wanted than there was.
    pub(crate) fn used(self, store: &mut Store<State>) -> Result<(Compute, bool), Fault> {
        match self {
            Self::Fuel { limit } => {
                let left = store.get_fuel().map_err(failed)?;
                let used = Self::supply(limit).saturating_sub(left).min(limit);
                // The last stretch of straight code is counted only when it has run.
                Ok((Compute::Fuel(used), left == 0))
            }
            Self::Gas { limit, loading } => {
                let used = match store.data().counter {
                    Counter::Gas(Some(global)) => {
                        limit.saturating_sub(gas_left(&mut *store, global))
                    }
                    _ => loading.min(limit),
                };
                Ok((Compute::Gas(used), loading > limit))
            }
        }
    }

    /// The status of an execution that wanted more.
    pub(crate) fn exhausted(self) -> Status {
        match self {
            Self::Fuel { .. } => Status::OutOfFuel,
            Self::Gas { .. } => Status::OutOfGas,
        }
    }
}

//! Takes fuel or gas from a guest for what host functions do.

use outlayer_guest::{Fault, Stop, Work, fuel};
use wasmtime::{AsContextMut, Global, StoreContextMut, Val};

use crate::{
    gas::fees::Fees,
    state::{Counter, State},
};

/// Takes what `work` costs from what the guest has left.
pub(crate) fn charge(store: &mut impl AsContextMut<Data = State>, work: Work) -> Result<(), Stop> {
    let mut store = store.as_context_mut();
    match store.data().counter {
        Counter::Fuel => match fuel::cost(work) {
            0 => Ok(()),
            units => spend_fuel(store, units),
        },
        Counter::Gas(Some(global)) => {
            match gas_left(&mut store, global).checked_sub(Fees::get().cost(work)) {
                Some(left) => set_gas(&mut store, global, left),
                None => Err(exhaust_gas(&mut store)),
            }
        }
        Counter::Gas(None) => {
            Err(Fault::engine("a host call before the gas counter is known").into())
        }
    }
}

fn spend_fuel(mut store: StoreContextMut<'_, State>, units: u64) -> Result<(), Stop> {
    let left = store.get_fuel().map_err(Fault::engine)?;
    let units = units.saturating_add(std::mem::take(&mut store.data_mut().owed));
    // The store has one unit more than the limit, see `meter`: a guest may use the limit, and no
    // more.
    if units >= left {
        store.set_fuel(0).map_err(Fault::engine)?;
        return Err(Stop::OutOfCompute);
    }
    Ok(store.set_fuel(left - units).map_err(Fault::engine)?)
}

/// Uses up what is left of the gas.
pub(crate) fn exhaust_gas(store: &mut impl AsContextMut<Data = State>) -> Stop {
    if let Counter::Gas(Some(global)) = store.as_context().data().counter
        && let Err(stop) = set_gas(store.as_context_mut(), global, 0)
    {
        return stop;
    }
    Stop::OutOfCompute
}

/// The gas that is left, from the global of an instrumented module.
pub(crate) fn gas_left(store: impl AsContextMut, global: Global) -> u64 {
    match global.get(store) {
        Val::I64(left) => left.cast_unsigned(),
        _ => 0,
    }
}

/// Sets the gas that is left.
pub(crate) fn set_gas(store: impl AsContextMut, global: Global, left: u64) -> Result<(), Stop> {
    Ok(global.set(store, Val::I64(left.cast_signed())).map_err(Fault::engine)?)
}

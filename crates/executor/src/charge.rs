//! Takes fuel or gas from a guest for what host functions do.

use outlayer_guest::{Fault, Stop, Work, fuel};
use wasmtime::{AsContext, AsContextMut, Global, StoreContextMut, Val};

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
            let cost = Fees::get().cost(work);
            match u64::try_from(gas_left(&mut store, global) - i128::from(cost)) {
                Ok(left) => supply_gas(&mut store, global, left),
                Err(_) => Err(exhaust_gas(&mut store)),
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

/// The most gas that a module's counter is given at once. A guest gives way to the host when the
/// counter is used up, so this is about 20 million operators, or 10 ms.
const SLICE: u64 = 1 << 44;

/// Uses up what is left of the gas.
pub(crate) fn exhaust_gas(store: &mut impl AsContextMut<Data = State>) -> Stop {
    if let Counter::Gas(Some(global)) = store.as_context().data().counter
        && let Err(stop) = supply_gas(store, global, 0)
    {
        return stop;
    }
    Stop::OutOfCompute
}

/// Gives the counter more, when it is used up and the limit is not.
pub(crate) fn refill_gas(store: &mut impl AsContextMut<Data = State>) -> Result<(), Stop> {
    let Counter::Gas(Some(global)) = store.as_context().data().counter else {
        return Err(Fault::engine("a module without a gas counter asks for gas").into());
    };
    match u64::try_from(gas_left(store, global)) {
        Ok(left) => supply_gas(store, global, left),
        Err(_) => Err(exhaust_gas(store)),
    }
}

/// The gas that is left: what is in the module's counter, and what the counter has not been given
/// yet. Below zero, the guest has wanted more than its limit.
pub(crate) fn gas_left(store: &mut impl AsContextMut<Data = State>, global: Global) -> i128 {
    let counted = match global.get(&mut *store) {
        Val::I64(left) => left,
        _ => 0,
    };
    i128::from(counted) + i128::from(store.as_context().data().reserve)
}

/// Makes `left` what is left.
pub(crate) fn supply_gas(
    store: &mut impl AsContextMut<Data = State>,
    global: Global,
    left: u64,
) -> Result<(), Stop> {
    let slice = left.min(SLICE);
    store.as_context_mut().data_mut().reserve = left - slice;
    Ok(global.set(store, Val::I64(slice.cast_signed())).map_err(Fault::engine)?)
}

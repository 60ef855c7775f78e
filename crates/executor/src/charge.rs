//! Takes fuel or gas from a guest for what host functions do.

use outlayer_guest::{Fault, Stop, Work, fuel};
use outlayer_protocol::Meter;
use wasmtime::{AsContext, AsContextMut, Global, StoreContextMut, Val};

use crate::{
    gas::fees::Fees,
    state::{Counter, State},
};

/// Takes what `work` costs from what the guest has left.
pub(crate) fn charge(store: &mut impl AsContextMut<Data = State>, work: Work) -> Result<(), Stop> {
    let mut store = store.as_context_mut();
    match store.data().counter {
        Counter::Store => match fuel::cost(work) {
            0 => Ok(()),
            units => spend(store, units),
        },
        Counter::Module { meter, global: Some(global) } => {
            let cost = match meter {
                Meter::Fuel => fuel::cost(work),
                Meter::Gas => Fees::get().cost(work),
            };
            let left = i128::from(left(&mut store, global)?) - i128::from(cost);
            match i64::try_from(left) {
                Ok(left @ 0..) => Ok(supply(&mut store, global, left)?),
                _ => Err(exhaust(&mut store, global)),
            }
        }
        Counter::Module { global: None, .. } => {
            Err(Fault::engine("a host call before the counter is known").into())
        }
        Counter::Component(mut account) => {
            let charged = account.charge(fuel::cost(work));
            store.data_mut().counter = Counter::Component(account);
            charged
        }
    }
}

fn spend(mut store: StoreContextMut<'_, State>, units: u64) -> Result<(), Stop> {
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

/// Nothing is left, and more was wanted.
fn exhaust(store: &mut impl AsContextMut<Data = State>, global: Global) -> Stop {
    match supply(store, global, -1) {
        Ok(()) => Stop::OutOfCompute,
        Err(fault) => fault.into(),
    }
}

/// Has the module's counter tell that more was wanted than there was.
pub(crate) fn exhaust_module(store: &mut impl AsContextMut<Data = State>) -> Stop {
    match store.as_context().data().counter {
        Counter::Module { global: Some(global), .. } => exhaust(store, global),
        _ => Fault::engine("no module counts here").into(),
    }
}

/// What is left in a module's counter. Below zero, the guest has wanted more than its limit.
pub(crate) fn left(
    store: &mut impl AsContextMut<Data = State>,
    global: Global,
) -> Result<i64, Fault> {
    match global.get(store) {
        Val::I64(left) => Ok(left),
        other => Err(Fault::engine(format!("a counter that is {other:?}"))),
    }
}

/// Makes `amount` what is left in a module's counter.
pub(crate) fn supply(
    store: &mut impl AsContextMut<Data = State>,
    global: Global,
    amount: i64,
) -> Result<(), Fault> {
    global.set(store, Val::I64(amount)).map_err(Fault::engine)
}

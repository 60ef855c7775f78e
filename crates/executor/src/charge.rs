//! Takes fuel or gas from a guest for what host functions do.

use outlayer_guest::{Fault, HostCall, Stop, Work, fuel, host::Host};
use outlayer_protocol::Meter;
use wasmtime::{AsContext, AsContextMut, CallHook, Global, StoreContextMut, Val};

use crate::{
    gas::fees::Fees,
    state::{Counter, State},
};

/// Takes what `work` costs from what the guest has left.
pub(crate) fn charge(store: &mut impl AsContextMut<Data = State>, work: Work) -> Result<(), Stop> {
    let mut store = store.as_context_mut();
    match store.data().counter {
        Counter::Store | Counter::Component(_) => store.data_mut().charge(work),
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
    }
}

/// What a composition has left while the host works for it. Bindings hand the store's data to a
/// host function, and not the store, where the fuel is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Purse {
    /// What the store had when the guest called.
    left: u64,
    /// What has been charged since then, at most `left`.
    spent: u64,
}

/// A call by a component.
impl HostCall for State {
    fn host(&mut self) -> &mut Host {
        &mut self.host
    }

    fn charge(&mut self, work: Work) -> Result<(), Stop> {
        let cost = fuel::cost(work);
        if let Counter::Component(account) = &mut self.counter {
            return account.charge(cost);
        }
        let units = match cost {
            0 => return Ok(()),
            units => units.saturating_add(std::mem::take(&mut self.owed)),
        };
        let spent = self.purse.spent.saturating_add(units);
        // The store has one unit more than the limit, see `meter`: a guest may use the limit, and
        // no more.
        if spent >= self.purse.left {
            self.purse.spent = self.purse.left;
            return Err(Stop::OutOfCompute);
        }
        self.purse.spent = spent;
        Ok(())
    }
}

/// Fills the purse of a composition's store when the guest calls the host, and takes from the store
/// what was spent before the guest goes on.
pub(crate) fn carry_purse(
    mut store: StoreContextMut<'_, State>,
    hook: CallHook,
) -> wasmtime::Result<()> {
    match hook {
        CallHook::CallingHost | CallHook::ReturningFromWasm => {
            let left = store.get_fuel()?;
            store.data_mut().purse = Purse { left, spent: 0 };
        }
        CallHook::CallingWasm | CallHook::ReturningFromHost => {
            let spent = std::mem::take(&mut store.data_mut().purse).spent;
            if spent > 0 {
                let left = store.get_fuel()?;
                store.set_fuel(left.saturating_sub(spent))?;
            }
        }
    }
    Ok(())
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

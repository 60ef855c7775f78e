//! `wasi:clocks`: the virtual clock.

use outlayer_guest::{HostCall, host::CLOCK_STEP_NANOS};
use wasmtime::{
    Result,
    component::{ComponentType, Lift, Linker, Lower},
};

use super::{
    poll::Pollable,
    resources::{Store, interface},
};
use crate::{call::ComponentCall, state::State};

const NANOS: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

impl Datetime {
    fn from_nanos(nanos: u64) -> Self {
        Self {
            seconds: nanos / NANOS,
            nanoseconds: u32::try_from(nanos % NANOS).unwrap_or_default(),
        }
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let mut monotonic = interface(linker, "clocks/monotonic-clock")?;
    monotonic.func_wrap("now", |store: Store<'_>, (): ()| {
        let mut call = ComponentCall(store);
        call.enter()?;
        Ok((call.host().clock.read_monotonic(),))
    })?;
    monotonic.func_wrap("resolution", |store: Store<'_>, (): ()| {
        ComponentCall(store).enter()?;
        Ok((CLOCK_STEP_NANOS,))
    })?;
    monotonic.func_wrap("subscribe-instant", |store: Store<'_>, (when,): (u64,)| {
        let mut call = ComponentCall(store);
        call.enter()?;
        Ok((call.push(Pollable::Until(when))?,))
    })?;
    monotonic.func_wrap("subscribe-duration", |store: Store<'_>, (duration,): (u64,)| {
        let mut call = ComponentCall(store);
        call.enter()?;
        let now = call.host().clock.monotonic();
        Ok((call.push(Pollable::Until(now.saturating_add(duration)))?,))
    })?;

    let mut wall = interface(linker, "clocks/wall-clock")?;
    wall.func_wrap("now", |store: Store<'_>, (): ()| {
        let mut call = ComponentCall(store);
        call.enter()?;
        Ok((Datetime::from_nanos(call.host().clock.read_realtime()),))
    })?;
    wall.func_wrap("resolution", |store: Store<'_>, (): ()| {
        ComponentCall(store).enter()?;
        Ok((Datetime::from_nanos(CLOCK_STEP_NANOS),))
    })?;
    Ok(())
}

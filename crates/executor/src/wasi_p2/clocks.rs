//! `wasi:clocks`: the virtual clock.

use wasmtime::{
    Result,
    component::{ComponentType, Lift, Linker, Lower},
};

use super::{Store, handle, interface, poll::Pollable, state, table};
use crate::host::{State, clock::CLOCK_STEP_NANOS, enter};

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
    monotonic.func_wrap("now", |mut store: Store<'_>, (): ()| {
        enter(&mut store)?;
        Ok((state(&mut store).clock.read_monotonic(),))
    })?;
    monotonic.func_wrap("resolution", |mut store: Store<'_>, (): ()| {
        enter(&mut store)?;
        Ok((CLOCK_STEP_NANOS,))
    })?;
    monotonic.func_wrap("subscribe-instant", |mut store: Store<'_>, (when,): (u64,)| {
        enter(&mut store)?;
        let pollable = Pollable::Until(when);
        Ok((table(&mut store).push(pollable).map_err(handle)?,))
    })?;
    monotonic.func_wrap("subscribe-duration", |mut store: Store<'_>, (duration,): (u64,)| {
        enter(&mut store)?;
        let now = state(&mut store).clock.monotonic();
        let pollable = Pollable::Until(now.saturating_add(duration));
        Ok((table(&mut store).push(pollable).map_err(handle)?,))
    })?;

    let mut wall = interface(linker, "clocks/wall-clock")?;
    wall.func_wrap("now", |mut store: Store<'_>, (): ()| {
        enter(&mut store)?;
        let now = state(&mut store).clock.read_realtime();
        Ok((Datetime::from_nanos(now),))
    })?;
    wall.func_wrap("resolution", |mut store: Store<'_>, (): ()| {
        enter(&mut store)?;
        Ok((Datetime::from_nanos(CLOCK_STEP_NANOS),))
    })?;
    Ok(())
}

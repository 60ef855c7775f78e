//! `wasi:io/poll` over the virtual clock.

use wasmtime::{
    Result,
    component::{Linker, Resource, ResourceType},
};

use super::{Store, destroy, handle, interface, state, table};
use crate::{
    host::{State, Work, charge, enter},
    verdict::Stop,
};

/// What a guest can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pollable {
    /// A stream, which is always ready.
    Ready,
    /// Monotonic time.
    Until(u64),
}

impl Pollable {
    fn is_ready(self, now: u64) -> bool {
        match self {
            Self::Ready => true,
            Self::Until(deadline) => deadline <= now,
        }
    }
}

/// Bytes of a handle, and of an index in the answer.
const HANDLE_BYTES: u64 = 4;

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let mut poll = interface(linker, "io/poll")?;
    poll.resource("pollable", ResourceType::host::<Pollable>(), destroy::<Pollable>)?;
    poll.func_wrap(
        "[method]pollable.ready",
        |mut store: Store<'_>, (pollable,): (Resource<Pollable>,)| {
            enter(&mut store)?;
            let pollable = *table(&mut store).get(&pollable).map_err(handle)?;
            Ok((pollable.is_ready(state(&mut store).clock.monotonic()),))
        },
    )?;
    poll.func_wrap(
        "[method]pollable.block",
        |mut store: Store<'_>, (pollable,): (Resource<Pollable>,)| {
            enter(&mut store)?;
            if let Pollable::Until(deadline) = *table(&mut store).get(&pollable).map_err(handle)? {
                state(&mut store).clock.sleep_until(deadline);
            }
            Ok(())
        },
    )?;
    poll.func_wrap("poll", |mut store: Store<'_>, (pollables,): (Vec<Resource<Pollable>>,)| {
        enter(&mut store)?;
        let bytes = (pollables.len() as u64).saturating_mul(HANDLE_BYTES);
        charge(&mut store, Work::Read(bytes))?;
        charge(&mut store, Work::Write(bytes))?;
        Ok((ready(&mut store, &pollables)?,))
    })?;
    Ok(())
}

/// The indices of those that are ready, in order. With none, the clock moves to the earliest deadline, at once.
fn ready(store: &mut Store<'_>, pollables: &[Resource<Pollable>]) -> Result<Vec<u32>, Stop> {
    if pollables.is_empty() {
        return Err(Stop::Trap("poll of an empty list"));
    }
    let waits = pollables
        .iter()
        .map(|pollable| table(store).get(pollable).copied().map_err(handle))
        .collect::<Result<Vec<_>, _>>()?;
    let clock = &mut state(store).clock;
    if !waits.iter().any(|wait| wait.is_ready(clock.monotonic())) {
        let deadlines = waits.iter().filter_map(|wait| match wait {
            Pollable::Until(deadline) => Some(*deadline),
            Pollable::Ready => None,
        });
        clock.sleep_until(deadlines.min().unwrap_or_default());
    }
    let now = clock.monotonic();
    Ok((0u32..).zip(waits).filter(|(_, wait)| wait.is_ready(now)).map(|(index, _)| index).collect())
}

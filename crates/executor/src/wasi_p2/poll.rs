//! `wasi:io/poll` over the virtual clock.

use outlayer_guest::{HostCall, Stop, Work, verdict::reason::EMPTY_POLL};
use wasmtime::{
    Result,
    component::{Linker, Resource, ResourceType},
};

use super::resources::{Store, destroy, interface};
use crate::{call::ComponentCall, state::State};

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

/// How many bytes a handle has in the guest's memory, and an index in the answer.
const HANDLE_BYTES: u64 = 4;

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let mut poll = interface(linker, "io/poll")?;
    poll.resource("pollable", ResourceType::host::<Pollable>(), destroy::<Pollable>)?;
    poll.func_wrap(
        "[method]pollable.ready",
        |store: Store<'_>, (pollable,): (Resource<Pollable>,)| {
            let mut call = ComponentCall(store);
            call.enter()?;
            let pollable = call.get(&pollable)?;
            Ok((pollable.is_ready(call.host().clock.monotonic()),))
        },
    )?;
    poll.func_wrap(
        "[method]pollable.block",
        |store: Store<'_>, (pollable,): (Resource<Pollable>,)| {
            let mut call = ComponentCall(store);
            call.enter()?;
            if let Pollable::Until(deadline) = call.get(&pollable)? {
                call.host().clock.sleep_until(deadline);
            }
            Ok(())
        },
    )?;
    poll.func_wrap("poll", |store: Store<'_>, (pollables,): (Vec<Resource<Pollable>>,)| {
        let mut call = ComponentCall(store);
        call.enter()?;
        let bytes = (pollables.len() as u64).saturating_mul(HANDLE_BYTES);
        call.charge(Work::Read(bytes))?;
        call.charge(Work::Write(bytes))?;
        Ok((ready(&mut call, &pollables)?,))
    })?;
    Ok(())
}

/// The indices of the pollables that are ready, in order. When none is, the clock moves to the
/// earliest deadline, at once.
fn ready(call: &mut ComponentCall<'_>, pollables: &[Resource<Pollable>]) -> Result<Vec<u32>, Stop> {
    if pollables.is_empty() {
        return Err(Stop::Trap(EMPTY_POLL));
    }
    let waits =
        pollables.iter().map(|pollable| call.get(pollable)).collect::<Result<Vec<_>, _>>()?;
    let clock = &mut call.host().clock;
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

//! `wasi:io/poll`, over the virtual clock and without a runtime.
//!
//! `wasmtime-wasi-io` makes a future of what is polled. When it has to wait, one of two things ends
//! the wait, for there are no threads and no events:
//!
//! * the clock moves at once to the earliest deadline that something in it waits for, or
//! * an exchange is made: that of the first request whose answer it waits for, and whose body the
//!   guest has not finished ([`http`](super::http)). An exchange takes a time of its own on the
//!   clock, so a deadline that comes before its end goes first.
//!
//! Where there is neither, it would wait for ever, and traps.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use outlayer_guest::{
    HostCall, Stop, Work,
    host::Clock,
    verdict::reason::{EMPTY_POLL, ENDLESS_WAIT},
};
use outlayer_protocol::http::EXCHANGE_NANOS;
use wasmtime::{
    Result, StoreContextMut,
    component::{Linker, Resource},
};
use wasmtime_wasi::p2::{DynPollable, bindings::sync::io::poll};
use wasmtime_wasi_io::bindings::wasi::io::poll as futures;

use super::{clocks::Timers, http};
use crate::state::State;

/// How many bytes a handle has in the guest's memory, and an index in the answer.
const HANDLE_BYTES: u64 = 4;

type Store<'a> = StoreContextMut<'a, State>;

/// Links what may wait for an exchange: these functions are asynchronous here, and not in the
/// bindings.
pub(super) fn add_to_linker(linker: &mut Linker<State>, version: &str) -> Result<()> {
    linker.allow_shadowing(true);
    let mut interface = linker.instance(&format!("wasi:io/poll@{version}"))?;
    interface.func_wrap_async(
        "poll",
        |mut store: Store<'_>, (pollables,): (Vec<Resource<DynPollable>>,)| {
            Box::new(async move { Ok((poll(&mut store, &pollables).await?,)) })
        },
    )?;
    interface.func_wrap_async(
        "[method]pollable.block",
        |mut store: Store<'_>, (pollable,): (Resource<DynPollable>,)| {
            Box::new(async move { block(&mut store, &pollable).await })
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The indices of the pollables that are ready, in order.
async fn poll(store: &mut Store<'_>, pollables: &[Resource<DynPollable>]) -> Result<Vec<u32>> {
    let state = store.data_mut();
    state.enter()?;
    let bytes = (pollables.len() as u64).saturating_mul(HANDLE_BYTES);
    state.charge(Work::Read(bytes))?;
    state.charge(Work::Write(bytes))?;
    // Each is asked.
    for _ in 1..pollables.len() {
        state.charge(Work::Call)?;
    }
    if pollables.is_empty() {
        return Err(Stop::Trap(EMPTY_POLL).into());
    }
    loop {
        let state = store.data_mut();
        let asked = pollables.iter().map(borrowed).collect();
        let polled = futures::Host::poll(&mut state.resources, asked);
        match wait(&mut state.host.clock, state.timers.get_or_insert_default(), polled)? {
            Waited::Ready(ready) => {
                let mut ready = ready?;
                // They come in the order of the table.
                ready.sort_unstable();
                return Ok(ready);
            }
            Waited::Unsent(request) => http::send_unfinished(store, request).await?,
        }
    }
}

async fn block(store: &mut Store<'_>, pollable: &Resource<DynPollable>) -> Result<()> {
    store.data_mut().enter()?;
    loop {
        let state = store.data_mut();
        let blocked = futures::HostPollable::block(&mut state.resources, borrowed(pollable));
        match wait(&mut state.host.clock, state.timers.get_or_insert_default(), blocked)? {
            Waited::Ready(done) => return done,
            Waited::Unsent(request) => http::send_unfinished(store, request).await?,
        }
    }
}

fn borrowed(pollable: &Resource<DynPollable>) -> Resource<DynPollable> {
    Resource::new_borrow(pollable.rep())
}

fn unlinked() -> wasmtime::Error {
    outlayer_guest::Fault::engine("a guest waits in a function that cannot wait").into()
}

impl poll::Host for State {
    /// Not linked: [`poll`] waits.
    fn poll(&mut self, _: Vec<Resource<DynPollable>>) -> Result<Vec<u32>> {
        Err(unlinked())
    }
}

impl poll::HostPollable for State {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> Result<bool> {
        self.enter()?;
        let timers = self.timers.get_or_insert_default();
        timers.begin(self.host.clock.monotonic());
        let mut asked = pin!(futures::HostPollable::ready(&mut self.resources, pollable));
        match asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(is_ready) => is_ready,
            Poll::Pending => Ok(false),
        }
    }

    /// Not linked: [`block`] waits.
    fn block(&mut self, _: Resource<DynPollable>) -> Result<()> {
        Err(unlinked())
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        futures::HostPollable::drop(&mut self.resources, pollable)
    }
}

/// What a wait has come to.
#[derive(Debug, PartialEq, Eq)]
enum Waited<T> {
    Ready(T),
    /// It goes on once this request is sent, whose body is open.
    Unsent(u64),
}

/// Polls `future` to its end, or until a request must be sent. The clock moves to one deadline
/// after the other.
fn wait<F: Future>(
    clock: &mut Clock,
    timers: &Timers,
    future: F,
) -> Result<Waited<F::Output>, Stop> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        timers.begin(clock.monotonic());
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(Waited::Ready(output));
        }
        let answered = clock.monotonic().saturating_add(EXCHANGE_NANOS);
        match (timers.earliest(), timers.awaited()) {
            (Some(deadline), None) => clock.sleep_until(deadline),
            (Some(deadline), Some(_)) if deadline <= answered => clock.sleep_until(deadline),
            (_, Some(request)) => return Ok(Waited::Unsent(request)),
            (None, None) => return Err(Stop::Trap(ENDLESS_WAIT)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_nothing_ends_traps() {
        let ended = wait(&mut Clock::new(0), &Timers::default(), std::future::pending::<()>());
        assert_eq!(ended, Err(Stop::Trap(ENDLESS_WAIT)));
    }
}

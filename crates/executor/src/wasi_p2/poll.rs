//! `wasi:io/poll`, over the virtual clock and without a runtime.
//!
//! `wasmtime-wasi-io` makes a future of what is polled. When it has to wait, the clock moves at
//! once to the earliest deadline that something in it waits for. Nothing else can make it ready:
//! there are no threads and no events. So without a deadline it would wait for ever, and traps.

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
use wasmtime::{Result, component::Resource};
use wasmtime_wasi::p2::{DynPollable, bindings::sync::io::poll};
use wasmtime_wasi_io::bindings::wasi::io::poll as futures;

use super::clocks::Timers;
use crate::state::State;

/// How many bytes a handle has in the guest's memory, and an index in the answer.
const HANDLE_BYTES: u64 = 4;

impl poll::Host for State {
    /// The indices of the pollables that are ready, in order.
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> Result<Vec<u32>> {
        self.enter()?;
        let bytes = (pollables.len() as u64).saturating_mul(HANDLE_BYTES);
        self.charge(Work::Read(bytes))?;
        self.charge(Work::Write(bytes))?;
        // Each is asked.
        for _ in 1..pollables.len() {
            self.charge(Work::Call)?;
        }
        if pollables.is_empty() {
            return Err(Stop::Trap(EMPTY_POLL).into());
        }
        let polled = futures::Host::poll(&mut self.resources, pollables);
        let mut ready = wait(&mut self.host.clock, self.timers.get_or_insert_default(), polled)??;
        // They come in the order of the table.
        ready.sort_unstable();
        Ok(ready)
    }
}

impl poll::HostPollable for State {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> Result<bool> {
        self.enter()?;
        let asked = futures::HostPollable::ready(&mut self.resources, pollable);
        wait(&mut self.host.clock, self.timers.get_or_insert_default(), asked)?
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        self.enter()?;
        let blocked = futures::HostPollable::block(&mut self.resources, pollable);
        wait(&mut self.host.clock, self.timers.get_or_insert_default(), blocked)?
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        futures::HostPollable::drop(&mut self.resources, pollable)
    }
}

/// Polls `future` to its end. Each time that it has to wait, the clock moves to the earliest
/// deadline.
fn wait<F: Future>(clock: &mut Clock, timers: &Timers, future: F) -> Result<F::Output, Stop> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        timers.begin(clock.monotonic());
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
        clock.sleep_until(timers.earliest().ok_or(Stop::Trap(ENDLESS_WAIT))?);
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

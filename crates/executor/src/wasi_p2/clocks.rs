//! `wasi:clocks`: the virtual clock, and what waits for it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use outlayer_guest::{HostCall, host::CLOCK_STEP_NANOS};
use wasmtime::{Result, component::Resource};
use wasmtime_wasi::{
    async_trait,
    p2::{
        DynPollable, Pollable,
        bindings::clocks::{
            monotonic_clock,
            wall_clock::{self, Datetime},
        },
    },
};

use crate::state::State;

const NANOS: u64 = 1_000_000_000;

impl monotonic_clock::Host for State {
    fn now(&mut self) -> Result<u64> {
        self.enter()?;
        Ok(self.host.clock.read_monotonic())
    }

    fn resolution(&mut self) -> Result<u64> {
        self.enter()?;
        Ok(CLOCK_STEP_NANOS)
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        self.enter()?;
        let timers = self.timers.get_or_insert_default().clone();
        self.subscribe_to(Deadline { when, timers })
    }

    fn subscribe_duration(&mut self, duration: u64) -> Result<Resource<DynPollable>> {
        self.enter()?;
        let when = self.host.clock.monotonic().saturating_add(duration);
        let timers = self.timers.get_or_insert_default().clone();
        self.subscribe_to(Deadline { when, timers })
    }
}

impl wall_clock::Host for State {
    fn now(&mut self) -> Result<Datetime> {
        self.enter()?;
        Ok(datetime(self.host.clock.read_realtime()))
    }

    fn resolution(&mut self) -> Result<Datetime> {
        self.enter()?;
        Ok(datetime(CLOCK_STEP_NANOS))
    }
}

fn datetime(nanos: u64) -> Datetime {
    Datetime {
        seconds: nanos / NANOS,
        nanoseconds: u32::try_from(nanos % NANOS).unwrap_or_default(),
    }
}

/// What the pollables of one execution see of its clock while they are polled, and what they tell
/// about it. A pollable cannot reach the clock itself, which is in the store.
#[derive(Clone, Default)]
pub(crate) struct Timers(Arc<Mutex<Moment>>);

/// Times are monotonic, in nanoseconds.
#[derive(Default)]
struct Moment {
    now: u64,
    /// The earliest deadline that a pollable has waited for at this time.
    earliest: Option<u64>,
    /// The first of the requests with open bodies whose answers a pollable has waited for.
    awaited: Option<u64>,
}

impl Timers {
    /// Begins a round of polling, at this time.
    pub(super) fn begin(&self, now: u64) {
        *self.moment() = Moment { now, earliest: None, awaited: None };
    }

    /// The earliest deadline that was waited for since the round began.
    pub(super) fn earliest(&self) -> Option<u64> {
        self.moment().earliest
    }

    /// The first request whose answer was waited for since the round began, though its body is
    /// open: its number among those that were handed over.
    pub(super) fn awaited(&self) -> Option<u64> {
        self.moment().awaited
    }

    /// A pollable waits for the answer to this request, whose body is open.
    pub(super) fn awaits(&self, request: u64) {
        let mut moment = self.moment();
        moment.awaited = Some(moment.awaited.map_or(request, |first| first.min(request)));
    }

    fn poll(&self, deadline: u64) -> Poll<()> {
        let mut moment = self.moment();
        if deadline <= moment.now {
            return Poll::Ready(());
        }
        let earliest = moment.earliest.map_or(deadline, |earliest| earliest.min(deadline));
        moment.earliest = Some(earliest);
        Poll::Pending
    }

    fn moment(&self) -> MutexGuard<'_, Moment> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Monotonic time reaches `when`.
struct Deadline {
    when: u64,
    timers: Timers,
}

#[async_trait]
impl Pollable for Deadline {
    async fn ready(&mut self) {
        std::future::poll_fn(|_| self.timers.poll(self.when)).await;
    }
}

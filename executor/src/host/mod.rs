//! What guests of every kind share: clock, randomness, storage, streams, and the bounds on all of them.

mod bounds;
pub(crate) mod clock;
pub(crate) mod memory;
mod random;
mod storage;
mod streams;

use std::sync::Arc;

use outlayer_protocol::Limit;
use wasmtime::{Caller, Memory};

use crate::{fault::Fault, fuel, job::Job, verdict::Stop};

pub(crate) use bounds::Bounds;
pub(crate) use clock::Clock;
pub(crate) use random::RandomStream;
pub(crate) use storage::{Mailbox, Storage, check_key};
pub(crate) use streams::Sink;

use crate::wasi_p1::Wasi;

/// What the host keeps for one execution.
pub(crate) struct State {
    pub(crate) bounds: Bounds,
    pub(crate) clock: Clock,
    pub(crate) random: RandomStream,
    pub(crate) storage: Storage,
    pub(crate) output: Sink,
    pub(crate) logs: Sink,
    /// Borsh of the context.
    pub(crate) context: Vec<u8>,
    pub(crate) wasi: Wasi,
    /// The guest's memory, once it is instantiated.
    pub(crate) memory: Option<Memory>,
    host_calls: u64,
    host_calls_left: u64,
}

impl State {
    pub(crate) fn new(job: &Job<'_>, mailbox: Arc<Mailbox>) -> Result<Self, Fault> {
        let limits = job.limits;
        Ok(Self {
            bounds: Bounds::new(limits),
            clock: Clock::new(job.context.block_timestamp),
            random: RandomStream::new(job.context.random_seed),
            storage: Storage::new(limits, mailbox),
            output: Sink::new(Limit::OutputBytes, limits.output_bytes),
            logs: Sink::new(Limit::LogBytes, limits.log_bytes),
            context: borsh::to_vec(job.context)
                .map_err(|error| Fault::Engine(error.to_string()))?,
            wasi: Wasi::new(job),
            memory: None,
            host_calls: limits.host_calls,
            host_calls_left: limits.host_calls,
        })
    }
}

/// Opens a host call: counts it, and charges for it and for the `bytes` that it touches.
pub(crate) fn enter(caller: &mut Caller<'_, State>, bytes: u64) -> Result<(), Stop> {
    let state = caller.data_mut();
    match state.host_calls_left.checked_sub(1) {
        Some(left) => state.host_calls_left = left,
        None => return Err(Stop::limit(Limit::HostCalls, state.host_calls)),
    }
    charge(
        caller,
        fuel::HOST_CALL.saturating_add(bytes.saturating_mul(fuel::HOST_BYTE)),
    )
}

/// Takes `units` from the guest's fuel.
pub(crate) fn charge(caller: &mut Caller<'_, State>, units: u64) -> Result<(), Stop> {
    let engine = |error: wasmtime::Error| Stop::Fault(Fault::Engine(error.to_string()));
    let left = caller.get_fuel().map_err(engine)?;
    // The store has one unit more than the limit, see `run`: a guest may use the limit, and not more.
    if units >= left {
        caller.set_fuel(0).map_err(engine)?;
        return Err(Stop::OutOfFuel);
    }
    caller.set_fuel(left - units).map_err(engine)
}

//! What guests of every kind share: clock, randomness, storage, streams, and the bounds on all of them.

mod bounds;
pub(crate) mod clock;
pub(crate) mod memory;
mod random;
mod storage;
mod streams;
mod work;

use std::sync::Arc;

use outlayer_protocol::Limit;
use wasmtime::{AsContextMut, Caller, Global, Memory, Val};

use crate::{fault::Fault, job::Job, verdict::Stop};

pub(crate) use bounds::Bounds;
pub(crate) use clock::Clock;
pub(crate) use random::RandomStream;
pub(crate) use storage::{Mailbox, Storage, check_key};
pub(crate) use streams::Sink;
pub(crate) use work::Work;

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
    pub(crate) counter: Counter,
    pub(crate) mailbox: Arc<Mailbox>,
    host_calls: u64,
    host_calls_left: u64,
}

/// What counts the guest's computation.
#[derive(Clone, Copy)]
pub(crate) enum Counter {
    /// The store's fuel.
    Fuel,
    /// The instance's own global, which holds what is left; none before the module is instantiated.
    Gas(Option<Global>),
}

impl State {
    pub(crate) fn new(
        job: &Job<'_>,
        mailbox: Arc<Mailbox>,
        counter: Counter,
    ) -> Result<Self, Fault> {
        let limits = job.limits;
        Ok(Self {
            bounds: Bounds::new(limits),
            clock: Clock::new(job.context.block_timestamp),
            random: RandomStream::new(job.context.random_seed),
            storage: Storage::new(limits),
            output: Sink::new(Limit::OutputBytes, limits.output_bytes),
            logs: Sink::new(Limit::LogBytes, limits.log_bytes),
            context: borsh::to_vec(job.context)
                .map_err(|error| Fault::Engine(error.to_string()))?,
            wasi: Wasi::new(job),
            memory: None,
            counter,
            mailbox,
            host_calls: limits.host_calls,
            host_calls_left: limits.host_calls,
        })
    }
}

/// Opens a host call: counts it, and charges for it.
pub(crate) fn enter(caller: &mut Caller<'_, State>) -> Result<(), Stop> {
    let state = caller.data_mut();
    match state.host_calls_left.checked_sub(1) {
        Some(left) => state.host_calls_left = left,
        None => return Err(Stop::limit(Limit::HostCalls, state.host_calls)),
    }
    charge(caller, Work::Call)
}

/// Takes what `work` costs from what the guest has left.
pub(crate) fn charge(caller: &mut Caller<'_, State>, work: Work) -> Result<(), Stop> {
    match caller.data().counter {
        Counter::Fuel => match work.fuel() {
            0 => Ok(()),
            units => spend_fuel(caller, units),
        },
        Counter::Gas(Some(global)) => spend_gas(caller, global, work.gas()),
        Counter::Gas(None) => Err(Stop::Fault(Fault::Engine(
            "a host call before the gas counter is known".to_owned(),
        ))),
    }
}

fn spend_fuel(caller: &mut Caller<'_, State>, units: u64) -> Result<(), Stop> {
    let engine = |error: wasmtime::Error| Stop::Fault(Fault::Engine(error.to_string()));
    let left = caller.get_fuel().map_err(engine)?;
    // The store has one unit more than the limit, see `meter`: a guest may use the limit, and not more.
    if units >= left {
        caller.set_fuel(0).map_err(engine)?;
        return Err(Stop::OutOfCompute);
    }
    caller.set_fuel(left - units).map_err(engine)
}

fn spend_gas(caller: &mut Caller<'_, State>, global: Global, units: u64) -> Result<(), Stop> {
    let left = gas_left(&mut *caller, global);
    match left.checked_sub(units) {
        Some(left) => set_gas(caller, global, left),
        None => Err(exhaust_gas(caller)),
    }
}

/// Uses up what is left of the gas.
pub(crate) fn exhaust_gas(caller: &mut Caller<'_, State>) -> Stop {
    if let Counter::Gas(Some(global)) = caller.data().counter
        && let Err(stop) = set_gas(caller, global, 0)
    {
        return stop;
    }
    Stop::OutOfCompute
}

/// The gas that is left, in the global of an instrumented module.
pub(crate) fn gas_left(store: impl AsContextMut, global: Global) -> u64 {
    match global.get(store) {
        Val::I64(left) => left.cast_unsigned(),
        _ => 0,
    }
}

/// Sets the gas that is left.
pub(crate) fn set_gas(store: impl AsContextMut, global: Global, left: u64) -> Result<(), Stop> {
    global
        .set(store, Val::I64(left.cast_signed()))
        .map_err(|error| Stop::Fault(Fault::Engine(error.to_string())))
}

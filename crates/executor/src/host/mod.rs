//! What guests of every kind share: clock, randomness, storage, streams, and the bounds on all of them.

mod bounds;
pub(crate) mod clock;
pub(crate) mod memory;
pub(crate) mod namespace;
mod random;
mod storage;
mod streams;
mod work;

use std::sync::Arc;

use outlayer_protocol::{ExecutionContext, Limit};
use wasmtime::{AsContextMut, Global, Memory, StoreContextMut, Val};

use crate::{fault::Fault, job::Job, verdict::Stop};

pub(crate) use bounds::Bounds;
pub(crate) use clock::Clock;
pub(crate) use random::RandomStream;
pub(crate) use storage::{Mailbox, Storage, check_key};
pub(crate) use streams::Sink;
pub(crate) use work::Work;

use crate::{wasi_p1::Wasi, wasi_p2::World};

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
    /// The context itself.
    pub(crate) told: ExecutionContext,
    pub(crate) wasi: Wasi,
    pub(crate) p2: World,
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
            told: job.context.clone(),
            wasi: Wasi::new(job),
            p2: World::new(job),
            memory: None,
            counter,
            mailbox,
            host_calls: limits.host_calls,
            host_calls_left: limits.host_calls,
        })
    }
}

/// Opens a host call: counts it, and charges for it.
pub(crate) fn enter(store: &mut impl AsContextMut<Data = State>) -> Result<(), Stop> {
    let mut store = store.as_context_mut();
    let state = store.data_mut();
    match state.host_calls_left.checked_sub(1) {
        Some(left) => state.host_calls_left = left,
        None => return Err(Stop::limit(Limit::HostCalls, state.host_calls)),
    }
    charge(&mut store, Work::Call)
}

/// Takes what `work` costs from what the guest has left.
pub(crate) fn charge(store: &mut impl AsContextMut<Data = State>, work: Work) -> Result<(), Stop> {
    let mut store = store.as_context_mut();
    match store.data().counter {
        Counter::Fuel => match work.fuel() {
            0 => Ok(()),
            units => spend_fuel(store, units),
        },
        Counter::Gas(Some(global)) => match gas_left(&mut store, global).checked_sub(work.gas()) {
            Some(left) => set_gas(&mut store, global, left),
            None => Err(exhaust_gas(&mut store)),
        },
        Counter::Gas(None) => Err(Stop::Fault(Fault::Engine(
            "a host call before the gas counter is known".to_owned(),
        ))),
    }
}

fn spend_fuel(mut store: StoreContextMut<'_, State>, units: u64) -> Result<(), Stop> {
    let engine = |error: wasmtime::Error| Stop::Fault(Fault::Engine(error.to_string()));
    let left = store.get_fuel().map_err(engine)?;
    // The store has one unit more than the limit, see `meter`: a guest may use the limit, and not more.
    if units >= left {
        store.set_fuel(0).map_err(engine)?;
        return Err(Stop::OutOfCompute);
    }
    store.set_fuel(left - units).map_err(engine)
}

/// Uses up what is left of the gas.
pub(crate) fn exhaust_gas(store: &mut impl AsContextMut<Data = State>) -> Stop {
    if let Counter::Gas(Some(global)) = store.as_context().data().counter
        && let Err(stop) = set_gas(store.as_context_mut(), global, 0)
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

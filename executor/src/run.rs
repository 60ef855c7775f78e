//! One execution, from instantiation to its verdict.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use outlayer_protocol::{Compute, Status};
use wasmtime::{Engine, Extern, Instance, Store, Val};

use crate::{
    Execution, Job, Snapshot,
    engine::CompiledModule,
    fault::Fault,
    fuel,
    host::{Mailbox, State},
    prepare::stack::{STACK_EXPORT, START_EXPORT},
    verdict,
};

/// Runs a compiled module. The host gives it no more time than `deadline`.
pub(crate) fn run(
    engine: &Engine,
    module: &CompiledModule,
    job: &Job<'_>,
    snapshot: &mut dyn Snapshot,
    deadline: Duration,
) -> Result<Execution, Fault> {
    let mailbox = Arc::new(Mailbox::default());
    let mut store = Store::new(engine, State::new(job, Arc::clone(&mailbox))?);
    store.limiter(|state| &mut state.bounds);
    let limit = job.limits.compute.amount();
    // The engine stops a guest when nothing is left. With one unit more than the limit a guest may use
    // exactly the limit, and nothing left means that it wanted more.
    let supply = limit.saturating_add(1);
    let engine_failed = |error: wasmtime::Error| Fault::Engine(format!("{error:#}"));
    store.set_fuel(supply).map_err(engine_failed)?;
    store
        .fuel_async_yield_interval(Some(fuel::ACCOUNTING_INTERVAL))
        .map_err(engine_failed)?;

    let mut instance = None;
    let ended = drive(
        guest(&mut store, module, &mut instance),
        &mailbox,
        snapshot,
        deadline,
    )?;
    let left = store.get_fuel().map_err(engine_failed)?;
    let status = match ended {
        Ok(()) => Status::Completed,
        Err(error) => verdict::of_error(
            &error,
            || stack_overflowed(&mut store, instance),
            Status::OutOfFuel,
        )?,
    };
    // What ran out is said first: the last stretch of straight code is counted only when it has run.
    let status = if left == 0 { Status::OutOfFuel } else { status };
    let used = supply.saturating_sub(left).min(limit);
    Ok(execution(store.into_data(), status, Compute::Fuel(used)))
}

async fn guest(
    store: &mut Store<State>,
    module: &CompiledModule,
    found: &mut Option<Instance>,
) -> wasmtime::Result<()> {
    let instance = module.pre.instantiate_async(&mut *store).await?;
    *found = Some(instance);
    store.data_mut().memory = instance.get_memory(&mut *store, "memory");
    if module.has_start {
        let start = instance.get_typed_func::<(), ()>(&mut *store, START_EXPORT)?;
        start.call_async(&mut *store, ()).await?;
    }
    let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
    start.call_async(&mut *store, ()).await
}

/// Polls the guest to its end, and answers from the snapshot what it asks for. A guest gives way when it asks, and
/// each time that its fuel is counted; only then is the deadline looked at.
fn drive(
    guest: impl Future<Output = wasmtime::Result<()>>,
    mailbox: &Mailbox,
    snapshot: &mut dyn Snapshot,
    deadline: Duration,
) -> Result<wasmtime::Result<()>, Fault> {
    let began = Instant::now();
    let mut guest = pin!(guest);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(ended) = guest.as_mut().poll(&mut context) {
            return Ok(ended);
        }
        if let Some(key) = mailbox.asked() {
            mailbox.answer(snapshot.read(&key)?);
        }
        if began.elapsed() > deadline {
            return Err(Fault::Deadline(deadline));
        }
    }
}

/// Whether the accounting of the stack stopped the guest.
fn stack_overflowed(store: &mut Store<State>, instance: Option<Instance>) -> bool {
    let Some(Extern::Global(left)) =
        instance.and_then(|instance| instance.get_export(&mut *store, STACK_EXPORT))
    else {
        return false;
    };
    matches!(left.get(store), Val::I32(-1))
}

fn execution(state: State, status: Status, used: Compute) -> Execution {
    let completed = status == Status::Completed;
    let (reads, journal) = state.storage.into_entries();
    Execution {
        status,
        output: if completed {
            state.output.into_bytes()
        } else {
            Vec::new()
        },
        used,
        reads,
        journal: if completed { journal } else { Vec::new() },
        logs: state.logs.into_bytes(),
    }
}

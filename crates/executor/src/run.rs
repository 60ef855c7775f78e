//! One execution, from instantiation to its verdict.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use outlayer_guest::{Execution, Fault, Job, Snapshot, prepare::stack::STACK_EXPORT};
use outlayer_protocol::{Limit, Status};
use wasmtime::{Engine, Extern, Instance, Store, Val};

use crate::{
    backend::{CompiledComponent, CompiledModule},
    mailbox::Mailbox,
    meter::{self, CoreMeter},
    state::State,
    verdict,
};

/// Runs a compiled module. The host gives it no more time than `deadline`.
pub(crate) fn run_module(
    engine: &Engine,
    module: &CompiledModule,
    job: &Job<'_>,
    snapshot: &mut dyn Snapshot,
    deadline: Duration,
) -> Result<Execution, Fault> {
    let meter = CoreMeter::new(job.limits.compute, module.bytes);
    let mut instance = None;
    execute(engine, meter, job, |store, mailbox| {
        let guest = start(store, module, meter, &mut instance);
        match drive(guest, mailbox, snapshot, deadline, meter.patience())? {
            Ok(()) => Ok(Status::Completed),
            Err(error) => {
                store.data_mut().cut_short |= meter::ends_uncounted(&error);
                verdict::of_error(error, || stack_overflowed(store, instance), meter.exhausted())
            }
        }
    })
}

/// Runs a compiled component. The host gives it no more time than `deadline`.
pub(crate) fn run_component(
    engine: &Engine,
    component: &CompiledComponent,
    job: &Job<'_>,
    snapshot: &mut dyn Snapshot,
    deadline: Duration,
) -> Result<Execution, Fault> {
    let meter = CoreMeter::new(job.limits.compute, 0);
    execute(engine, meter, job, |store, mailbox| {
        // What one call hands to the host fits into the guest's memory, but a list of handles takes
        // several times as much room here.
        let most = job.limits.memory_bytes.saturating_mul(2);
        store.set_hostcall_fuel(usize::try_from(most).unwrap_or(usize::MAX));
        store.data_mut().started = true;
        let command = command(store, component);
        match drive(command, mailbox, snapshot, deadline, meter.patience())? {
            Ok(Ok(())) => Ok(Status::Completed),
            Ok(Err(())) => Ok(Status::Exited { code: 1 }),
            Err(error) if is_instance_limit(&error) => Ok(Status::LimitExceeded {
                which: Limit::Instances,
                limit: job.limits.instances.into(),
            }),
            Err(error) => {
                store.data_mut().cut_short |= meter::ends_uncounted(&error);
                verdict::of_error(error, || false, meter.exhausted())
            }
        }
    })
}

/// Whether wasmtime did not make an instance because the limiter allows no more of them. Only the
/// text of the error says so.
fn is_instance_limit(error: &wasmtime::Error) -> bool {
    error.to_string().starts_with("resource limit exceeded: instance count")
}

/// Sets up a store, lets `guest` run in it and say how it ended, and computes what was used.
fn execute(
    engine: &Engine,
    meter: CoreMeter,
    job: &Job<'_>,
    guest: impl FnOnce(&mut Store<State>, &Mailbox) -> Result<Status, Fault>,
) -> Result<Execution, Fault> {
    let mailbox = Arc::new(Mailbox::default());
    let state = State::new(job, Arc::clone(&mailbox), meter.counter())?;
    let mut store = Store::new(engine, state);
    store.limiter(|state| state);
    let status =
        if meter.begin(&mut store)? { guest(&mut store, &mailbox)? } else { meter.exhausted() };
    let (used, exhausted) = meter.used(&mut store)?;
    // Exhaustion takes precedence over any other status.
    let status = if exhausted { meter.exhausted() } else { status };
    Ok(store.into_data().host.into_execution(status, used))
}

/// Instantiates a module and runs it. `found` receives the instance as soon as there is one.
async fn start(
    store: &mut Store<State>,
    module: &CompiledModule,
    meter: CoreMeter,
    found: &mut Option<Instance>,
) -> wasmtime::Result<()> {
    let instance = module.pre.instantiate_async(&mut *store).await?;
    *found = Some(instance);
    store.data_mut().started = true;
    store.data_mut().memory = instance.get_memory(&mut *store, "memory");
    meter.instantiated(store, instance)?;
    for export in module.start.into_iter().chain([module.entry]) {
        let function = instance.get_typed_func::<(), ()>(&mut *store, export)?;
        function.call_async(&mut *store, ()).await?;
    }
    Ok(())
}

/// Instantiates a component and runs its command. The inner result is the command's own.
async fn command(
    store: &mut Store<State>,
    component: &CompiledComponent,
) -> wasmtime::Result<Result<(), ()>> {
    let instance = component.pre.instantiate_async(&mut *store).await?;
    let run = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut *store, &component.run)?;
    let (ended,) = run.call_async(&mut *store, ()).await?;
    Ok(ended)
}

/// Polls the guest to its end, and answers from the snapshot what it asks for. A guest gives way
/// when it asks, and whenever its meter has it do so. The deadline is looked at when it asks, and
/// each time that it has given way for another reason `patience` times.
fn drive<T>(
    guest: impl Future<Output = wasmtime::Result<T>>,
    mailbox: &Mailbox,
    snapshot: &mut dyn Snapshot,
    deadline: Duration,
    patience: u32,
) -> Result<wasmtime::Result<T>, Fault> {
    let mut unseen = 0;
    let mut began = Instant::now();
    let mut guest = pin!(guest);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(ended) = guest.as_mut().poll(&mut context) {
            return Ok(ended);
        }
        if let Some(key) = mailbox.asked() {
            let asked = Instant::now();
            mailbox.answer(snapshot.read(&key)?);
            // What the snapshot takes is not the guest's time.
            began += asked.elapsed();
        } else {
            unseen += 1;
            if unseen < patience {
                continue;
            }
        }
        unseen = 0;
        if began.elapsed() > deadline {
            return Err(Fault::Deadline(deadline));
        }
    }
}

/// Whether stack metering stopped the guest.
fn stack_overflowed(store: &mut Store<State>, instance: Option<Instance>) -> bool {
    let Some(Extern::Global(left)) =
        instance.and_then(|instance| instance.get_export(&mut *store, STACK_EXPORT))
    else {
        return false;
    };
    matches!(left.get(store), Val::I32(-1))
}

//! One execution, from instantiation to its verdict.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use outlayer_guest::{
    EmptySnapshot, Execution, Fault, FetchError, Fetched, Job, Outgoing, Snapshot, Stop,
    http::kept, prepare::meter::STACK_EXPORT,
};
use outlayer_protocol::{Limit, RequestId, Status, http::HttpRequest};
use wasmtime::{Engine, Extern, Instance, Store, UpdateDeadline, Val};

use crate::{
    backend::{CompiledComponent, CompiledModule, ComponentBackend},
    backtrace::Trace,
    charge::carry_purse,
    counters::Left,
    deadline::Deadline,
    mailbox::{Answer, Mailbox, Question},
    meter::{self, Counting},
    state::{Counter, State},
    transform::Transform,
    verdict,
};

/// How a host runs a guest, beside what its job says.
#[derive(Clone, Copy)]
pub(crate) struct Conditions {
    /// The host gives it no more time than this.
    pub(crate) deadline: Duration,
    /// Whether it has the environment variables of its context.
    pub(crate) has_context_variables: bool,
}

/// Runs a compiled module. When it has ended, `seen` may look at its instance.
pub(crate) fn run_module(
    engine: &Engine,
    module: &CompiledModule,
    job: &Job<'_>,
    snapshot: &mut dyn Snapshot,
    conditions: Conditions,
    seen: impl FnOnce(&mut Store<State>, Instance),
) -> Result<Execution, Fault> {
    let counting = Counting::module(job.limits.compute, module.bytes);
    let transform = Transform::of_module(engine, module, job, conditions);
    let mut outside = Outside::new(job, snapshot, transform);
    let mut instance = None;
    execute(engine, counting, job, conditions, |store, mailbox, deadline| {
        store.data_mut().host.exchanges.set_transforms(transform.is_some());
        let guest = start(store, module, counting, &mut instance);
        let ended = drive(guest, mailbox, &mut outside, deadline)?;
        if let Some(instance) = instance {
            seen(store, instance);
        }
        match ended {
            Ok(()) => Ok(Status::Completed.into()),
            Err(error) => {
                let trace = Trace::of_module(&error);
                let overflowed = || stack_overflowed(store, instance);
                let status = verdict::of_error(error, overflowed, counting.exhausted())?;
                Ok(Ended { status, trace })
            }
        }
    })
}

/// Runs a compiled component, or a composition, as `counting` tells.
pub(crate) fn run_component(
    backend: &ComponentBackend,
    component: &CompiledComponent,
    counting: Counting,
    job: &Job<'_>,
    snapshot: &mut dyn Snapshot,
    conditions: Conditions,
) -> Result<Execution, Fault> {
    let transform = Transform::of_component(backend, component, counting, job, conditions);
    let mut outside = Outside::new(job, snapshot, transform);
    execute(&backend.engine, counting, job, conditions, |store, mailbox, deadline| {
        store.data_mut().host.exchanges.set_transforms(transform.is_some());
        set_up(store, counting, job);
        let ended = drive(command(store, component), mailbox, &mut outside, deadline)?;
        let mut overflowed = false;
        if ended.is_err()
            && let Some(reader) = backend.reader()?
        {
            let left = drive(reader.read(store), mailbox, &mut outside, deadline)?;
            overflowed = note(store, left.map_err(Fault::engine)?);
        }
        match ended {
            Ok(Ok(())) => Ok(Status::Completed.into()),
            Ok(Err(())) => Ok(Status::Exited { code: 1 }.into()),
            Err(error) if is_instance_limit(&error) => Ok(Status::LimitExceeded {
                which: Limit::Instances,
                limit: job.limits.instances.into(),
            }
            .into()),
            Err(error) => {
                store.data_mut().cut_short |= meter::ends_uncounted(&error);
                let trace = Trace::of_component(&error);
                let status = verdict::of_error(error, || overflowed, counting.exhausted())?;
                Ok(Ended { status, trace })
            }
        }
    })
}

/// Prepares a store for a component.
fn set_up(store: &mut Store<State>, counting: Counting, job: &Job<'_>) {
    // What one call hands to the host fits into the guest's memory, but a list of handles takes
    // several times as much room here.
    let most = job.limits.memory_bytes.saturating_mul(2);
    store.set_hostcall_fuel(usize::try_from(most).unwrap_or(usize::MAX));
    if matches!(counting, Counting::Store { .. }) {
        store.call_hook(carry_purse);
    }
}

/// Makes an instance of a module and runs `function` in it, without input and without a host.
pub(crate) fn run_in_module(
    engine: &Engine,
    module: &CompiledModule,
    job: &Job<'_>,
    conditions: Conditions,
    function: impl AsyncFnOnce(&mut Store<State>, Instance) -> wasmtime::Result<()>,
) -> Result<Execution, Fault> {
    let counting = Counting::module(job.limits.compute, 0);
    execute(engine, counting, job, conditions, |store, mailbox, deadline| {
        let mut found = None;
        let guest = async {
            let instance = instantiate(store, module, counting, &mut found).await?;
            if let Some(start) = module.start {
                call(store, instance, start).await?;
            }
            function(store, instance).await
        };
        let mut snapshot = EmptySnapshot;
        let mut outside = Outside::new(job, &mut snapshot, None);
        let ended = drive(guest, mailbox, &mut outside, deadline)?;
        ended_alone(ended, || stack_overflowed(store, found), counting)
    })
}

/// Makes an instance of a component and runs `function` in it, without input and without a host.
pub(crate) fn run_in_component(
    backend: &ComponentBackend,
    component: &CompiledComponent,
    counting: Counting,
    job: &Job<'_>,
    conditions: Conditions,
    function: impl AsyncFnOnce(
        &mut Store<State>,
        &wasmtime::component::Instance,
    ) -> wasmtime::Result<()>,
) -> Result<Execution, Fault> {
    execute(&backend.engine, counting, job, conditions, |store, mailbox, deadline| {
        set_up(store, counting, job);
        let guest = async {
            let instance = component.pre.instantiate_async(&mut *store).await?;
            store.data_mut().host.bounds.run();
            function(store, &instance).await?;
            count_left(store, component, &instance).await
        };
        let mut snapshot = EmptySnapshot;
        let mut outside = Outside::new(job, &mut snapshot, None);
        let ended = drive(guest, mailbox, &mut outside, deadline)?;
        if ended.as_ref().is_err_and(is_instance_limit) {
            let (which, limit) = (Limit::Instances, job.limits.instances.into());
            return Ok(Status::LimitExceeded { which, limit }.into());
        }
        // Nobody asks whether a stack overflow or something else ended it.
        ended_alone(ended, || false, counting)
    })
}

/// How a function that was run without a host ended.
fn ended_alone(
    ended: wasmtime::Result<()>,
    overflowed: impl FnOnce() -> bool,
    counting: Counting,
) -> Result<Ended, Fault> {
    Ok(match ended {
        Ok(()) => Status::Completed.into(),
        Err(error) => verdict::of_error(error, overflowed, counting.exhausted())?.into(),
    })
}

/// Notes what the modules of a component have left, if they came to count. Returns whether their
/// stack has overflowed.
fn note(store: &mut Store<State>, left: Option<Left>) -> bool {
    let Some(Left { fuel, stack }) = left else { return false };
    if let Counter::Component(account) = &mut store.data_mut().counter {
        account.note(fuel);
    }
    stack == STACK_OVERFLOW
}

/// How a guest ended, and where.
struct Ended {
    status: Status,
    trace: Trace,
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        Self { status, trace: Trace::default() }
    }
}

/// Whether wasmtime did not make an instance because the limiter allows no more of them. Only the
/// text of the error says so.
fn is_instance_limit(error: &wasmtime::Error) -> bool {
    error.to_string().starts_with("resource limit exceeded: instance count")
}

/// Sets up a store, lets `guest` run in it and say how it ended, and computes what was used.
fn execute(
    engine: &Engine,
    counting: Counting,
    job: &Job<'_>,
    conditions: Conditions,
    guest: impl FnOnce(&mut Store<State>, &Mailbox, &Deadline) -> Result<Ended, Fault>,
) -> Result<Execution, Fault> {
    let mailbox = Arc::new(Mailbox::default());
    let deadline = Arc::new(Deadline::new(conditions.deadline));
    let mut state =
        State::new(job, Arc::clone(&mailbox), Arc::clone(&deadline), counting.counter())?;
    if !conditions.has_context_variables {
        state.host.program.leave_out_context();
    }
    let mut store = Store::new(engine, state);
    store.limiter(|state| state);
    // Where the engine has epochs, the host looks at its clock in each.
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| {
        store.data().deadline.check().map_err(Stop::from)?;
        Ok(UpdateDeadline::Continue(1))
    });
    let Ended { status, trace } = if counting.begin(&mut store)? {
        guest(&mut store, &mailbox, &deadline)?
    } else {
        counting.exhausted().into()
    };
    let (used, exhausted) = counting.used(&mut store)?;
    // Exhaustion takes precedence over any other status.
    let status = if exhausted { counting.exhausted() } else { status };
    let mut execution = store.into_data().host.into_execution(status, used);
    if matches!(execution.status, Status::Trapped { .. } | Status::StackOverflow) {
        execution.backtrace = trace.named(job.code.bytes());
    }
    Ok(execution)
}

/// Instantiates a module and runs it. `found` receives the instance as soon as there is one.
async fn start(
    store: &mut Store<State>,
    module: &CompiledModule,
    counting: Counting,
    found: &mut Option<Instance>,
) -> wasmtime::Result<()> {
    let instance = instantiate(store, module, counting, found).await?;
    for export in module.start.into_iter().chain([module.entry]) {
        call(store, instance, export).await?;
    }
    Ok(())
}

async fn instantiate(
    store: &mut Store<State>,
    module: &CompiledModule,
    counting: Counting,
    found: &mut Option<Instance>,
) -> wasmtime::Result<Instance> {
    let instance = module.pre.instantiate_async(&mut *store).await?;
    store.data_mut().host.bounds.run();
    *found = Some(instance);
    store.data_mut().memory = instance.get_memory(&mut *store, "memory");
    counting.instantiated(store, instance)?;
    Ok(instance)
}

/// Calls a function without parameters and results.
async fn call(store: &mut Store<State>, instance: Instance, export: &str) -> wasmtime::Result<()> {
    let function = instance.get_typed_func::<(), ()>(&mut *store, export)?;
    function.call_async(&mut *store, ()).await
}

/// Instantiates a component and runs its command. The inner result is the command's own.
async fn command(
    store: &mut Store<State>,
    component: &CompiledComponent,
) -> wasmtime::Result<Result<(), ()>> {
    let instance = component.pre.instantiate_async(&mut *store).await?;
    store.data_mut().host.bounds.run();
    let run = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut *store, &component.run)?;
    let (ended,) = run.call_async(&mut *store, ()).await?;
    count_left(store, component, &instance).await?;
    Ok(ended)
}

/// Asks a component that has returned for what is left of its fuel.
async fn count_left(
    store: &mut Store<State>,
    component: &CompiledComponent,
    instance: &wasmtime::component::Instance,
) -> wasmtime::Result<()> {
    if let Some(left) = &component.left {
        let left = instance.get_typed_func::<(), (i64,)>(&mut *store, left)?;
        let (fuel,) = left.call_async(&mut *store, ()).await?;
        note(store, Some(Left { fuel, stack: 0 }));
    }
    Ok(())
}

/// What is outside of an execution.
struct Outside<'a> {
    request_id: RequestId,
    snapshot: &'a mut dyn Snapshot,
    /// What reduces answers from the network.
    transform: Option<Transform<'a>>,
}

impl<'a> Outside<'a> {
    fn new(
        job: &Job<'_>,
        snapshot: &'a mut dyn Snapshot,
        transform: Option<Transform<'a>>,
    ) -> Self {
        Self { request_id: job.context.request_id, snapshot, transform }
    }

    /// Answers what a guest asks for.
    fn answer(&mut self, question: Question) -> Result<Answer, Fault> {
        Ok(match question {
            Question::Value(key) => Answer::Value(self.snapshot.read(&key)?),
            Question::Exchange(number, request) => Answer::Fetched(self.fetch(number, &request)?),
        })
    }

    fn fetch(&mut self, number: u32, request: &HttpRequest) -> Result<Fetched, Fault> {
        let network = self.snapshot.network().ok_or(FetchError::None)?;
        let outgoing = Outgoing { request_id: self.request_id, number, request };
        match (network.fetch(&outgoing)?, self.transform) {
            (Fetched::Fresh(Ok(response)), Some(transform)) => {
                Ok(Fetched::Fresh(match kept(response) {
                    Ok(response) => transform.reduce(request, response)?,
                    Err(error) => Err(error),
                }))
            }
            (fetched, _) => Ok(fetched),
        }
    }
}

/// How often a composition gives way before the host looks at its clock. It does so every few
/// microseconds.
const PATIENCE: u32 = 64;

/// Polls the guest to its end, and answers from outside what it asks for. The deadline is
/// looked at when it asks, and each time that it has given way [`PATIENCE`] times.
fn drive<T>(
    guest: impl Future<Output = wasmtime::Result<T>>,
    mailbox: &Mailbox,
    outside: &mut Outside<'_>,
    deadline: &Deadline,
) -> Result<wasmtime::Result<T>, Fault> {
    let mut unseen = 0;
    let mut guest = pin!(guest);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(ended) = guest.as_mut().poll(&mut context) {
            return Ok(ended);
        }
        if let Some(question) = mailbox.asked() {
            let asked = Instant::now();
            mailbox.answer(outside.answer(question)?);
            deadline.waited_since(asked);
        } else {
            unseen += 1;
            if unseen < PATIENCE {
                continue;
            }
        }
        unseen = 0;
        deadline.check()?;
    }
}

/// What stack metering leaves of the stack when it does not suffice.
const STACK_OVERFLOW: i64 = -1;

/// Whether stack metering stopped the guest.
fn stack_overflowed(store: &mut Store<State>, instance: Option<Instance>) -> bool {
    let Some(Extern::Global(left)) =
        instance.and_then(|instance| instance.get_export(&mut *store, STACK_EXPORT))
    else {
        return false;
    };
    matches!(left.get(store), Val::I64(STACK_OVERFLOW))
}

//! A guest's transform: what reduces an answer before it enters the transcript.
//!
//! Each answer is reduced in an instance of its own, which may use [`TRANSFORM_FUEL`] and call
//! nothing of the host. What it was given is not in the transcript. So nothing of it may reach the
//! execution: neither its fuel, which is not in what the execution used, nor its memory.

use outlayer_guest::{Execution, Fault, Job, http::is_kept, outlayer::module};
use outlayer_protocol::{
    Compute, Meter, ResourceLimits, Status,
    http::{
        ExchangeError, HttpRequest, HttpResponse, MAX_FETCHED_BYTES, MAX_HEADER_BYTES, MAX_HEADERS,
        TRANSFORM_FUEL,
    },
};
use wasmtime::{Engine, Instance, Store, component::ComponentExportIndex};

use crate::{
    backend::{CompiledComponent, CompiledModule, ComponentBackend},
    gas::fees::Fees,
    meter::Counting,
    outlayer::http::{Request, Response},
    run::{self, Conditions},
    state::State,
};

/// The interface that a component exports.
pub(crate) const INTERFACE: &str = "outlayer:host/transform@0.1.0";
/// Its function.
pub(crate) const FUNCTION: &str = "transform";

/// The exports of a module that is compiled to count under a meter.
#[derive(Clone, Copy)]
pub(crate) struct Exports {
    transform: &'static str,
    alloc: &'static str,
}

impl Exports {
    /// What they are called under this meter: NEAR's preparation puts a NUL before names.
    pub(crate) const fn under(meter: Meter) -> Self {
        match meter {
            Meter::Fuel => Self { transform: module::TRANSFORM, alloc: module::ALLOC },
            Meter::Gas => Self { transform: "\0outlayer_transform", alloc: "\0outlayer_alloc" },
        }
    }

    /// Whether a module has the transform.
    pub(crate) fn are_of(self, module: &wasmtime::Module) -> bool {
        module.get_export(self.transform).is_some()
    }
}

/// More than the borsh encoding of any answer that is kept has, bytes.
const MOST_BYTES: usize = MAX_FETCHED_BYTES as usize + MAX_HEADER_BYTES + 8 * MAX_HEADERS + 16;

/// The guest whose transform it is, as it was compiled.
#[derive(Clone, Copy)]
enum Guest<'a> {
    Module(&'a Engine, &'a CompiledModule, Exports),
    Component(&'a ComponentBackend, &'a CompiledComponent, ComponentExportIndex, bool),
}

/// A transform.
#[derive(Clone, Copy)]
pub(crate) struct Transform<'a> {
    guest: Guest<'a>,
    job: &'a Job<'a>,
    conditions: Conditions,
}

impl<'a> Transform<'a> {
    /// That of a module, if it has one and may exchange anything.
    pub(crate) fn of_module(
        engine: &'a Engine,
        module: &'a CompiledModule,
        job: &'a Job<'a>,
        conditions: Conditions,
    ) -> Option<Self> {
        let exports = module.transform.filter(|_| job.http.is_some())?;
        Some(Self { guest: Guest::Module(engine, module, exports), job, conditions })
    }

    /// That of a component, if it has one and may exchange anything.
    pub(crate) fn of_component(
        backend: &'a ComponentBackend,
        component: &'a CompiledComponent,
        counting: Counting,
        job: &'a Job<'a>,
        conditions: Conditions,
    ) -> Option<Self> {
        let function = component.transform.filter(|_| job.http.is_some())?;
        let is_composition = matches!(counting, Counting::Store { .. });
        let guest = Guest::Component(backend, component, function, is_composition);
        Some(Self { guest, job, conditions })
    }

    /// Reduces an answer.
    ///
    /// # Errors
    /// A [`Fault`] when nothing can be said about the guest.
    pub(crate) fn reduce(
        &self,
        request: &HttpRequest,
        response: HttpResponse,
    ) -> Result<Result<HttpResponse, ExchangeError>, Fault> {
        let limits = ResourceLimits {
            compute: compute(self.job.limits.compute.meter()),
            host_calls: 0,
            ..*self.job.limits
        };
        let job = Job {
            limits: &limits,
            args: &[],
            env: &[],
            secrets: &[],
            input: &[],
            http: None,
            ..*self.job
        };
        let mut answer = None;
        let execution = match self.guest {
            Guest::Module(engine, module, exports) => {
                let given = borsh::to_vec(&(request, response)).map_err(Fault::engine)?;
                let transform = async |store: &mut Store<State>, instance: Instance| {
                    let said = of_module(store, instance, exports, &given).await?;
                    answer = said.and_then(|said| borsh::from_slice(&said).ok());
                    Ok(())
                };
                run::run_in_module(engine, module, &job, self.conditions, transform)?
            }
            Guest::Component(backend, component, function, is_composition) => {
                let counting = if is_composition {
                    Counting::composition(limits.compute)
                } else {
                    Counting::component(limits.compute)
                };
                let given = (Request::from(request.clone()), Response::from(response));
                let transform =
                    async |store: &mut Store<State>, instance: &wasmtime::component::Instance| {
                        let Ok(function) = instance.get_typed_func(&mut *store, function) else {
                            return Ok(());
                        };
                        let (said,): (Result<Response, ()>,) =
                            function.call_async(&mut *store, given).await?;
                        answer = said.ok().map(HttpResponse::from);
                        Ok(())
                    };
                run::run_in_component(
                    backend,
                    component,
                    counting,
                    &job,
                    self.conditions,
                    transform,
                )?
            }
        };
        Ok(accepted(&execution, answer).ok_or(ExchangeError::Transform))
    }
}

/// The answer, if the transform came to its end with one that may be kept.
fn accepted(execution: &Execution, answer: Option<HttpResponse>) -> Option<HttpResponse> {
    answer.filter(|answer| execution.status == Status::Completed && is_kept(answer))
}

/// What a transform may use: so many units of fuel, or the gas of so many operators.
fn compute(meter: Meter) -> Compute {
    match meter {
        Meter::Fuel => Compute::Fuel(TRANSFORM_FUEL),
        Meter::Gas => Compute::Gas(Fees::get().operators(TRANSFORM_FUEL)),
    }
}

/// Calls a module's transform. `None` when it gives no answer.
async fn of_module(
    store: &mut Store<State>,
    instance: Instance,
    exports: Exports,
    given: &[u8],
) -> wasmtime::Result<Option<Vec<u8>>> {
    let alloc = instance.get_typed_func::<u32, u32>(&mut *store, exports.alloc);
    let transform = instance.get_typed_func::<(u32, u32), u64>(&mut *store, exports.transform);
    let (Ok(alloc), Ok(transform), Some(memory), Ok(length)) =
        (alloc, transform, store.data().memory, u32::try_from(given.len()))
    else {
        return Ok(None);
    };
    let address = alloc.call_async(&mut *store, length).await?;
    if memory.write(&mut *store, address as usize, given).is_err() {
        return Ok(None);
    }
    let said = transform.call_async(&mut *store, (address, length)).await?.to_be_bytes();
    let [a, b, c, d, e, f, g, h] = said;
    let address = u32::from_be_bytes([a, b, c, d]) as usize;
    let length = u32::from_be_bytes([e, f, g, h]) as usize;
    let said = address.checked_add(length).and_then(|end| memory.data(&*store).get(address..end));
    Ok(said.filter(|_| (1..=MOST_BYTES).contains(&length)).map(<[u8]>::to_vec))
}

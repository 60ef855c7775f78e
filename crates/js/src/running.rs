//! An execution, from its task to its answer.

use std::collections::BTreeMap;

use outlayer_guest::{Code, Execution, Fault, Job, Stop, host::Host, prepare};
use outlayer_protocol::{Compute, GuestKind, Limit, Plan, Status};

use crate::{
    call::Call,
    ended::{self, Counters, How},
    functions::Function,
    module::{self, Prepared, Refused},
    wire::{Answer, Task},
};

/// The bytes of a page of a memory.
const PAGE_BYTES: u64 = 1 << 16;

/// A guest that is being executed.
pub(crate) struct Running {
    pub(crate) host: Host,
    pub(crate) storage: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The guest's memory, while a call is answered.
    pub(crate) memory: Vec<u8>,
    /// What is left of the fuel, while a call is answered.
    pub(crate) fuel: i64,
    pub(crate) imports: Vec<&'static Function>,
    /// What the guest was given to count down.
    pub(crate) supply: i64,
    /// How a host function ended the execution.
    stop: Option<Stop>,
}

/// What follows from a task.
pub(crate) enum Begun {
    /// The module is to be run.
    Run(Box<Running>, Vec<u8>),
    /// This came of it already.
    Ended(Answer),
}

/// Begins to execute a task.
pub(crate) fn begin(task: Task) -> Begun {
    let job = Job {
        code: Code::of(&task.code),
        kind: task.kind,
        args: &task.args,
        env: &task.env,
        secrets: &[],
        input: &task.input,
        limits: &task.limits,
        context: &task.context,
        http: None,
    };
    match prepared(&job) {
        Ok((host, prepared, supply)) => {
            let running = Running {
                host,
                storage: task.storage.into_iter().collect(),
                memory: Vec::new(),
                fuel: 0,
                imports: prepared.imports,
                supply,
                stop: None,
            };
            Begun::Run(Box::new(running), prepared.code)
        }
        Err(Refused::Verdict(status)) => {
            let execution = Execution::without_running(&job, status);
            Begun::Ended(Answer::Verdict(Box::new(execution), Plan::default()))
        }
        Err(Refused::CannotDecide(why)) => Begun::Ended(Answer::CannotDecide(why)),
    }
}

fn prepared(job: &Job<'_>) -> Result<(Host, Prepared, i64), Refused> {
    let fault = |fault: Fault| Refused::CannotDecide(fault.to_string());
    job.check().map_err(fault)?;
    let kind = prepare::kind(job.code.bytes(), job.kind, job.limits.max_module_bytes)?;
    if job.limits.instances == 0 {
        return Err(Status::LimitExceeded { which: Limit::Instances, limit: 0 }.into());
    }
    let (GuestKind::WasiP1, Compute::Fuel(fuel)) = (kind, job.limits.compute) else {
        let why = format!("this engine runs core modules under fuel, this is a {kind} guest");
        return Err(Refused::CannotDecide(why));
    };
    let prepared = module::prepare(job.code.bytes(), job.limits)?;
    let mut host = Host::new(job).map_err(fault)?;
    admit(&mut host, &prepared)?;
    Ok((host, prepared, i64::try_from(fuel).unwrap_or(i64::MAX)))
}

/// Whether the request's limits allow what the module has from the beginning.
fn admit(host: &mut Host, prepared: &Prepared) -> Result<(), Refused> {
    let size = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    let admitted = |answer: Result<bool, Stop>| match answer {
        Err(Stop::Limit { which, limit }) => {
            Err(Refused::Verdict(Status::LimitExceeded { which, limit }))
        }
        _ => Ok(()),
    };
    for memory in &prepared.memories {
        let bytes = size(memory.initial.saturating_mul(PAGE_BYTES));
        admitted(host.bounds.grow_memory(0, bytes, None))?;
    }
    for table in &prepared.tables {
        admitted(host.bounds.grow_table(0, size(table.initial), None))?;
    }
    Ok(())
}

impl Running {
    /// Answers a call of the import with this number. `None` when the guest does not go on.
    pub(crate) fn call(&mut self, import: usize, arguments: &[u64]) -> Option<u64> {
        let answer = match self.imports.get(import) {
            Some(function) => (function.answer)(&mut Call(self), arguments),
            None => Err(Fault::engine("a call of no import").into()),
        };
        match answer {
            Ok(word) => Some(word),
            Err(stop) => {
                self.stop = Some(stop);
                None
            }
        }
    }

    /// What came of the execution, which ended in this way.
    pub(crate) fn end(self, how: How, text: &str, counters: Counters) -> Answer {
        let status = match ended::status(how, text, self.stop.as_ref(), counters) {
            Ok(status) => status,
            Err(why) => return Answer::CannotDecide(why),
        };
        let (status, used) = ended::used(status, self.supply, counters.fuel);
        let mut execution = self.host.into_execution(status, Compute::Fuel(used));
        let plan = std::mem::take(&mut execution.plan);
        Answer::Verdict(Box::new(execution), plan)
    }
}

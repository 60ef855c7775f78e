//! The verdict that follows from what near-vm-runner says about a call.

use near_parameters::ExtCosts;
use near_vm_runner::logic::{
    HostError, ReturnData, VMOutcome,
    errors::{CompilationError, FunctionCallError, MethodResolveError, VMRunnerError, WasmTrap},
};
use outlayer_guest::{
    Backtrace, Execution, Fault, Job, Stop,
    host::Sink,
    verdict::{self, invalid_module, reason::MEMORY_OUT_OF_BOUNDS, trapped},
};
use outlayer_protocol::{Compute, Limit, Status, http::Transcript};

use super::{bounds::MAX_GAS, call::Ended};
use crate::gas::{fees::Fees, limits};

/// The execution that a call amounts to. The request allowed `gas`, of which the call got at most
/// [`MAX_GAS`].
pub(super) fn execution(job: &Job<'_>, gas: u64, ended: Ended) -> Result<Execution, Fault> {
    let outcome = ended.outcome.map_err(no_verdict)?;
    let mut logs = Sink::new(Limit::LogBytes, job.limits.log_bytes);
    let logged = outcome
        .logs
        .iter()
        .try_for_each(|line| logs.write(line.as_bytes()).and_then(|()| logs.write(b"\n")));
    let given = gas.min(MAX_GAS);
    let plan = ended.plan.as_ref().err();
    let status = status(job, gas, &outcome, ended.stop, plan, logged)?;
    let used = if status == exhausted(gas) { given } else { outcome.burnt_gas.as_gas().min(given) };
    let completed = status == Status::Completed;
    let output = match outcome.return_data {
        ReturnData::Value(value) if completed => value,
        _ => Vec::new(),
    };
    Ok(Execution {
        status,
        output,
        used: Compute::Gas(used),
        reads: ended.reads,
        journal: if completed { ended.journal } else { Vec::new() },
        plan: ended.plan.ok().filter(|_| completed).unwrap_or_default(),
        transcript: Transcript::default(),
        logs: logs.into_bytes(),
        // near-vm-runner says what trap it was, and not where.
        backtrace: Backtrace::default(),
    })
}

/// What ended the call first: the namespace, the contract, or a limit that is checked only now.
fn status(
    job: &Job<'_>,
    gas: u64,
    outcome: &VMOutcome,
    stop: Option<Stop>,
    not_planned: Option<&Stop>,
    logged: Result<(), Stop>,
) -> Result<Status, Fault> {
    if let Some(stop) = stop {
        return verdict::of_stop(&stop, Status::OutOfGas);
    }
    if let Some(error) = &outcome.aborted {
        return aborted(error, outcome.burnt_gas.as_gas() == gas.min(MAX_GAS), job, gas);
    }
    let calls = outcome.profile.get_ext_cost(ExtCosts::base).as_gas() / Fees::get().base;
    if calls > job.limits.host_calls {
        return verdict::of_stop(
            &Stop::limit(Limit::HostCalls, job.limits.host_calls),
            Status::OutOfGas,
        );
    }
    if let Err(stop) = logged {
        return verdict::of_stop(&stop, Status::OutOfGas);
    }
    match &outcome.return_data {
        ReturnData::Value(value) if value.len() > job.limits.output_bytes as usize => {
            Ok(Status::LimitExceeded {
                which: Limit::OutputBytes,
                limit: job.limits.output_bytes.into(),
            })
        }
        _ => not_planned
            .map_or(Ok(Status::Completed), |stop| verdict::of_stop(stop, Status::OutOfGas)),
    }
}

/// The status of a call that needed more gas than it got.
fn exhausted(gas: u64) -> Status {
    if gas > MAX_GAS {
        Status::LimitExceeded { which: Limit::Compute, limit: MAX_GAS }
    } else {
        Status::OutOfGas
    }
}

/// The status of a call that the contract ended. `burnt` says whether it burnt all of its gas.
fn aborted(
    error: &FunctionCallError,
    burnt: bool,
    job: &Job<'_>,
    gas: u64,
) -> Result<Status, Fault> {
    Ok(match error {
        FunctionCallError::HostError(error) => host_error(error, burnt, gas),
        FunctionCallError::WasmTrap(trap) => return wasm_trap(trap),
        FunctionCallError::CompilationError(CompilationError::PrepareError(error)) => {
            limits::refused(error)
        }
        FunctionCallError::MethodResolveError(error) => {
            let method = job.args.first().map_or("", String::as_str);
            invalid_module(match error {
                MethodResolveError::MethodInvalidSignature => {
                    format!("the method {method:?} must have no parameters and no results")
                }
                MethodResolveError::MethodNotFound | MethodResolveError::MethodEmptyName => {
                    format!("there is no method {method:?}")
                }
            })
        }
        FunctionCallError::LinkError { msg } if is_import_error(msg) => invalid_module(msg),
        FunctionCallError::CompilationError(CompilationError::WasmtimeCompileError { msg }) => {
            invalid_module(format!("NEAR's runtime cannot compile the contract: {msg}"))
        }
        // With each instance, near-vm-runner keeps at most a MiB beside memory and table.
        FunctionCallError::LoadingError { msg } if msg.starts_with(TOO_LARGE) => {
            invalid_module("an instance of the contract is larger than NEAR's runtime takes")
        }
        // The host lacked something. That says nothing about the guest.
        FunctionCallError::LinkError { .. }
        | FunctionCallError::LoadingError { .. }
        | FunctionCallError::CompilationError(_) => return Err(Fault::engine(error.to_string())),
    })
}

/// How near-vm-runner's wasmtime begins to say that the instances of a module are too large for it.
const TOO_LARGE: &str = "module instance size does not fit";

/// Whether an import of the guest is wrong. Other link errors are the host's: no slot, no memory.
fn is_import_error(message: &str) -> bool {
    message == "unknown or invalid import" || message.contains("types incompatible")
}

fn host_error(error: &HostError, burnt: bool, gas: u64) -> Status {
    match error {
        HostError::GasExceeded | HostError::GasLimitExceeded => exhausted(gas),
        // The instrumentation reports a charge of more than 64 bits like this, and burns all gas.
        HostError::IntegerOverflow if burnt => exhausted(gas),
        HostError::GuestPanic { panic_msg } => trapped(panic_msg),
        HostError::MemoryAccessViolation => trapped(MEMORY_OUT_OF_BOUNDS),
        error => trapped(error.to_string()),
    }
}

/// The words for traps of other guests, as far as NEAR tells traps apart.
fn wasm_trap(trap: &WasmTrap) -> Result<Status, Fault> {
    Ok(trapped(match trap {
        WasmTrap::Unreachable => "unreachable",
        WasmTrap::IncorrectCallIndirectSignature => "indirect call type mismatch",
        WasmTrap::MemoryOutOfBounds | WasmTrap::CallIndirectOOB => "memory or table out of bounds",
        WasmTrap::IllegalArithmetic => "illegal arithmetic",
        WasmTrap::IndirectCallToNull => "indirect call to null",
        WasmTrap::StackOverflow => return Err(Fault::NativeStack),
        WasmTrap::MisalignedAtomicAccess | WasmTrap::GenericTrap => {
            return Err(Fault::engine(trap.to_string()));
        }
    }))
}

fn no_verdict(error: VMRunnerError) -> Fault {
    Fault::engine(format!("near-vm-runner: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_runners_own_bound_it_is_another_limit() {
        let more = Status::LimitExceeded { which: Limit::Compute, limit: MAX_GAS };
        for error in [HostError::GasExceeded, HostError::GasLimitExceeded] {
            assert_eq!(host_error(&error, true, MAX_GAS), Status::OutOfGas);
            assert_eq!(host_error(&error, true, MAX_GAS + 1), more);
        }
        assert_eq!(host_error(&HostError::IntegerOverflow, true, MAX_GAS + 1), more);
        assert_eq!(
            host_error(&HostError::IntegerOverflow, false, MAX_GAS),
            trapped("Integer overflow.")
        );
    }

    #[test]
    fn what_the_host_lacked_is_no_verdict() {
        assert!(is_import_error("unknown or invalid import"));
        for message in ["failed to acquire execution slot", "memory allocation failed"] {
            assert!(!is_import_error(message));
        }
        assert_eq!(wasm_trap(&WasmTrap::StackOverflow), Err(Fault::NativeStack));
    }
}

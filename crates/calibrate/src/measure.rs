//! Measures one kernel: its operators, its gas on a node and in the executor, its fuel, and times.

use std::time::{Duration, Instant};

use outlayer_executor::{Code, EmptySnapshot, Executor, ExecutorConfig, Job, NEAR_CONFIG_VERSION};
use outlayer_kernels::{Kernel, node::Node};
use outlayer_protocol::{
    Compute, ExecutionContext, Hash32, NearToken, ResourceLimits, Status, random_seed,
};
use serde::{Deserialize, Serialize};

use crate::{CalibrationError, operators};

/// How many timed runs the published times are the median of.
pub const DEFAULT_RUNS: u32 = 9;

/// A limit in gas or in fuel that is more than any kernel uses.
const PLENTY: u64 = 1_000_000_000_000_000;
/// The most memory that a node gives a contract.
const MEMORY_BYTES: u64 = 128 << 20;

/// The results of one kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement {
    /// The kernel's name.
    pub kernel: String,
    /// The size of its module.
    pub bytes: u64,
    /// Operators executed, as [`operators`] defines them.
    pub operators: u64,
    /// Gas burnt by near-vm-runner, as a node would, including the gas for loading the module.
    pub gas_on_a_node: u64,
    /// Gas that the executor's gas meter counted, including the gas for loading the module.
    pub gas_here: u64,
    /// The part of either gas that pays for loading the module. It depends on its size alone.
    pub loading_gas: u64,
    /// Fuel that the executor's fuel meter counted.
    pub fuel: u64,
    /// Time on near-vm-runner: the median of several warm runs, as in the next two fields.
    pub nanos_on_a_node: u64,
    /// Time in the executor under the gas meter.
    pub nanos_by_gas: u64,
    /// Time in the executor under the fuel meter.
    pub nanos_by_fuel: u64,
}

impl Measurement {
    /// Gas here, without the gas for loading the module.
    pub fn execution_gas(&self) -> u64 {
        self.gas_here.saturating_sub(self.loading_gas)
    }

    /// A copy with all times set to 0, because two runs never take the same time.
    pub fn without_times(&self) -> Self {
        Self { nanos_on_a_node: 0, nanos_by_gas: 0, nanos_by_fuel: 0, ..self.clone() }
    }
}

/// The executor and a node's contract runtime, ready to run kernels.
pub struct Calibration {
    node: Node,
    executor: Executor,
}

impl Calibration {
    /// Sets both up.
    ///
    /// # Errors
    /// [`CalibrationError::Engine`] when this machine cannot run one of them.
    pub fn new() -> Result<Self, CalibrationError> {
        let node = Node::new(NEAR_CONFIG_VERSION)
            .map_err(|error| CalibrationError::engine("near-vm-runner", error))?;
        let executor = Executor::new(ExecutorConfig::default())
            .map_err(|error| CalibrationError::engine("the executor", error))?;
        Ok(Self { node, executor })
    }

    /// Runs `kernel` on a node's runtime and under each of the executor's meters: once to have it
    /// compiled, then `runs` times, at least once, to measure the time.
    ///
    /// # Errors
    /// [`CalibrationError::Kernel`] when it does not run to its end on one of them,
    /// [`CalibrationError::Unstable`] when two runs under one meter count different amounts.
    pub fn measure(&self, kernel: &Kernel, runs: u32) -> Result<Measurement, CalibrationError> {
        let bytes = kernel.wasm.len() as u64;
        let operators = operators::count(kernel)?;
        let (gas_on_a_node, node_time) = timed(kernel, runs, || self.on_a_node(kernel))?;
        let (gas_here, gas_time) = timed(kernel, runs, || self.here(kernel, Compute::Gas(PLENTY)))?;
        let (fuel, fuel_time) = timed(kernel, runs, || self.here(kernel, Compute::Fuel(PLENTY)))?;
        Ok(Measurement {
            kernel: kernel.name.to_owned(),
            bytes,
            operators,
            gas_on_a_node,
            gas_here,
            loading_gas: self.node.loading_gas(bytes),
            fuel,
            nanos_on_a_node: nanos(node_time),
            nanos_by_gas: nanos(gas_time),
            nanos_by_fuel: nanos(fuel_time),
        })
    }

    fn on_a_node(&self, kernel: &Kernel) -> Result<u64, CalibrationError> {
        let outcome = self
            .node
            .call(&kernel.wasm, "_start", b"", PLENTY)
            .map_err(|error| CalibrationError::kernel(kernel.name, format!("{error:?}")))?;
        match outcome.aborted {
            None => Ok(outcome.burnt_gas.as_gas()),
            Some(error) => {
                Err(CalibrationError::kernel(kernel.name, format!("on a node: {error}")))
            }
        }
    }

    fn here(&self, kernel: &Kernel, compute: Compute) -> Result<u64, CalibrationError> {
        let limits =
            ResourceLimits { compute, memory_bytes: MEMORY_BYTES, ..ResourceLimits::default() };
        let context = context(kernel.name)?;
        let job = Job::new(Code::of(&kernel.wasm), &limits, &context);
        let execution = self
            .executor
            .execute(&job, &mut EmptySnapshot)
            .map_err(|fault| CalibrationError::kernel(kernel.name, fault))?;
        match execution.status {
            Status::Completed => Ok(execution.used.amount()),
            status => {
                let reason = format!("in {}: {status:?}", compute.meter());
                Err(CalibrationError::kernel(kernel.name, reason))
            }
        }
    }
}

/// The context of a measured execution; `kernel` names it in an error.
pub(crate) fn context(kernel: &str) -> Result<ExecutionContext, CalibrationError> {
    let account =
        |name: &str| name.parse().map_err(|error| CalibrationError::kernel(kernel, error));
    Ok(ExecutionContext {
        request_id: 0,
        contract_id: account("outlayer.near")?,
        block_height: 0,
        block_timestamp: 0,
        epoch_height: 0,
        random_seed: random_seed(0, Hash32::default().as_bytes()),
        signer_id: account("alice.near")?,
        predecessor_id: account("alice.near")?,
        attached_deposit: NearToken::from_near(0),
    })
}

/// Calls `run` once untimed, then `runs` times. Returns the amount that it counts, which must be
/// the same each time, and the median of the times.
fn timed(
    kernel: &Kernel,
    runs: u32,
    run: impl Fn() -> Result<u64, CalibrationError>,
) -> Result<(u64, Duration), CalibrationError> {
    let first = run()?;
    let mut times = Vec::new();
    for _ in 0..runs.max(1) {
        let begun = Instant::now();
        let again = run()?;
        times.push(begun.elapsed());
        if again != first {
            let kernel = kernel.name.to_owned();
            return Err(CalibrationError::Unstable { kernel, first, again });
        }
    }
    times.sort_unstable();
    Ok((first, times.get(times.len() / 2).copied().unwrap_or_default()))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

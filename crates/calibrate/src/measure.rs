//! One kernel through all that counts it.

use std::time::{Duration, Instant};

use outlayer_executor::{EmptySnapshot, Executor, ExecutorConfig, Job};
use outlayer_protocol::{
    Compute, ExecutionContext, Hash32, NearToken, ResourceLimits, Status, random_seed,
};
use serde::{Deserialize, Serialize};

use crate::{CalibrationError, Kernel, node::Node, operators};

/// More gas and more fuel than any kernel uses.
const PLENTY: u64 = 1_000_000_000_000_000;
/// The memory of a contract on a node.
const MEMORY_BYTES: u64 = 128 << 20;

/// What one kernel came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement {
    /// The kernel's name.
    pub kernel: String,
    /// Bytes of its module.
    pub bytes: u64,
    /// Operators executed, as [`operators`] defines them.
    pub operators: u64,
    /// Gas that near-vm-runner burnt, as a node would.
    pub gas_on_a_node: u64,
    /// Gas that the executor's gas meter counted.
    pub gas_here: u64,
    /// The part of the gas that is for loading the module, by its bytes.
    pub loading_gas: u64,
    /// Fuel that the executor's fuel meter counted.
    pub fuel: u64,
    /// How long it took on near-vm-runner, nanoseconds: the median of several warm runs, like the two that follow.
    pub nanos_on_a_node: u64,
    /// How long it took under the gas meter, nanoseconds.
    pub nanos_by_gas: u64,
    /// How long it took under the fuel meter, nanoseconds.
    pub nanos_by_fuel: u64,
}

impl Measurement {
    /// Gas here, without that for loading.
    pub fn execution_gas(&self) -> u64 {
        self.gas_here.saturating_sub(self.loading_gas)
    }

    /// Everything but the times, which no two runs share.
    pub fn without_times(&self) -> Self {
        Self { nanos_on_a_node: 0, nanos_by_gas: 0, nanos_by_fuel: 0, ..self.clone() }
    }
}

/// The engines.
pub struct Calibration {
    node: Node,
    executor: Executor,
}

impl Calibration {
    /// Sets the engines up.
    ///
    /// # Errors
    /// [`CalibrationError::Engine`] when this machine cannot run one of them.
    pub fn new() -> Result<Self, CalibrationError> {
        let executor = Executor::new(ExecutorConfig::default()).map_err(|error| {
            CalibrationError::Engine { engine: "the executor", reason: error.to_string() }
        })?;
        Ok(Self { node: Node::new()?, executor })
    }

    /// Runs `kernel` on every engine: once to have it compiled, then `runs` times, at least once, for the clock.
    ///
    /// # Errors
    /// [`CalibrationError::Kernel`] when it does not run to its end on one of them.
    pub fn measure(&self, kernel: &Kernel, runs: u32) -> Result<Measurement, CalibrationError> {
        let bytes = kernel.wasm.len() as u64;
        let operators = operators::count(kernel)?;
        let (gas_on_a_node, node_time) = timed(runs, || self.on_a_node(kernel))?;
        let (gas_here, gas_time) = timed(runs, || self.here(kernel, Compute::Gas(PLENTY)))?;
        let (fuel, fuel_time) = timed(runs, || self.here(kernel, Compute::Fuel(PLENTY)))?;
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
        let failed = |reason: String| CalibrationError::kernel(kernel.name, reason);
        let limits =
            ResourceLimits { compute, memory_bytes: MEMORY_BYTES, ..ResourceLimits::default() };
        let account = |name: &str| name.parse().map_err(|error| failed(format!("{error}")));
        let context = ExecutionContext {
            request_id: 0,
            contract_id: account("outlayer.near")?,
            block_height: 0,
            block_timestamp: 0,
            epoch_height: 0,
            random_seed: random_seed(0, Hash32::default().as_bytes()),
            signer_id: account("alice.near")?,
            predecessor_id: account("alice.near")?,
            attached_deposit: NearToken::from_near(0),
        };
        let job = Job {
            code: &kernel.wasm,
            kind: None,
            args: &[],
            env: &[],
            input: &[],
            limits: &limits,
            context: &context,
        };
        let execution = self
            .executor
            .execute(&job, &mut EmptySnapshot)
            .map_err(|fault| failed(fault.to_string()))?;
        match execution.status {
            Status::Completed => Ok(execution.used.amount()),
            status => Err(failed(format!("in {}: {status:?}", compute.meter()))),
        }
    }
}

/// What `run` counts, which must be the same each time, and the median of the times it takes. The first run does not
/// count for those.
fn timed(
    runs: u32,
    run: impl Fn() -> Result<u64, CalibrationError>,
) -> Result<(u64, Duration), CalibrationError> {
    let counted = run()?;
    let mut times = Vec::new();
    for _ in 0..runs.max(1) {
        let begun = Instant::now();
        let again = run()?;
        times.push(begun.elapsed());
        if again != counted {
            let reason = format!("it counted {counted} and then {again}");
            return Err(CalibrationError::Engine { engine: "a meter", reason });
        }
    }
    times.sort_unstable();
    Ok((counted, times.get(times.len() / 2).copied().unwrap_or_default()))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
